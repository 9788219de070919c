"""Scores of single items, and which items are worth showing.

An item's score is the metric of a set that holds this item only: what `aggregate` makes of its row of statistics.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from jaxtyping import Float

from antiphon import registry
from antiphon.errors import ConfigError, DataError
from antiphon.metrics.interface import Metric
from antiphon.report.run_record import Plain, StoredEvaluation

Kind = Literal["best", "typical", "worst", "longest", "random"]
KINDS: tuple[Kind, ...] = ("best", "typical", "worst", "longest", "random")

SEED = 12345


@final
@dataclass(frozen=True)
class ScoredItems:
    """The items of an evaluation with the value of one metric for each, (N,), and the statistics behind it, (N, K)."""

    items: Sequence[Plain]
    metric: Metric
    statistics: Float[np.ndarray, "N K"]
    values: Float[np.ndarray, " N"]

    def ranked(self) -> list[int]:
        """Numbers of items, the best first. Among equals, longer references and then surer predictions come first: they show more."""
        sign = -1.0 if self.metric.higher_is_better else 1.0
        lengths = [-len(references(item)[0]) for item in self.items]
        confidence = [-float(item.get("score") or 0.0) for item in self.items]
        return [int(index) for index in np.lexsort((confidence, lengths, sign * self.values))]

    def by_length(self, most_groups: int = 6) -> list[tuple[str, float, int]]:
        """The metric over items of similar source length: (lengths, value, number of items), the shortest first."""
        lengths, unit = source_lengths(self.items)
        if len(lengths) < 2 * most_groups:
            return []
        edges = np.unique(np.quantile(lengths, np.linspace(0, 1, most_groups + 1)[1:]).astype(int))
        groups = np.searchsorted(edges, lengths)
        rows = []
        for group in np.unique(groups):
            inside = groups == group
            low, high = int(lengths[inside].min()), int(lengths[inside].max())
            label = f"{low} {unit}" if low == high else f"{low} to {high} {unit}"
            rows.append((label, float(self.metric.aggregate(self.statistics[inside].sum(axis=0))), int(inside.sum())))
        return rows if len(rows) > 1 else []


def score_items(evaluation: StoredEvaluation) -> ScoredItems | str:
    """Each item by the evaluation's first metric; or a sentence why that cannot be."""
    items = [item for item in evaluation.items if references(item)]
    if not items:
        return "The evaluation holds no predictions."
    metric = _first_metric(evaluation)
    if metric is None:
        return "None of the evaluation's metrics is known here, so single predictions cannot be scored."
    try:
        statistics = metric.statistics([prediction(item) for item in items], [references(item) for item in items])
    except DataError as error:
        return f"Single predictions cannot be scored: {error}"
    return ScoredItems(items, metric, statistics, np.asarray(metric.aggregate(statistics), dtype=np.float64))


def choose(scored: ScoredItems, count: int, *, seed: int = SEED) -> dict[Kind, list[int]]:
    """So many items of each kind, none twice: with few items, later kinds get fewer or none.

    best, worst   by score
    typical       nearest to the median score; which of many equals is drawn by the seed
    longest       by source
    random        drawn by the seed
    """
    draw = np.random.default_rng(seed)
    ranked = scored.ranked()
    order = draw.permutation(len(ranked))
    distance = np.abs(scored.values - np.median(scored.values))
    orders: dict[Kind, Sequence[int]] = {
        "best": ranked,
        "typical": [int(index) for index in order[np.argsort(distance[order], kind="stable")]],
        "worst": _worst_first(scored),
        "longest": [int(index) for index in np.argsort(-source_lengths(scored.items)[0], kind="stable")],
        "random": [int(index) for index in draw.permutation(len(ranked))],
    }
    taken: set[int] = set()
    chosen: dict[Kind, list[int]] = {}
    for kind in ("best", "worst", "typical", "longest", "random"):
        fresh = [index for index in orders[kind] if index not in taken][:count]
        taken.update(fresh)
        chosen[kind] = fresh
    return {kind: chosen[kind] for kind in KINDS}


def spread_over(scored: ScoredItems, suits: Callable[[Plain], bool], good: int, typical: int, bad: int) -> dict[Kind, list[int]]:
    """Items for a closer look: some good, typical and bad ones among those that suit."""
    median = float(np.median(scored.values))
    orders: list[tuple[Kind, Sequence[int], int]] = [
        ("best", scored.ranked(), good),
        ("worst", _worst_first(scored), bad),
        ("typical", [int(index) for index in np.argsort(np.abs(scored.values - median), kind="stable")], typical),
    ]
    taken: set[int] = set()
    chosen: dict[Kind, list[int]] = {}
    for kind, order, count in orders:
        fresh = [index for index in order if index not in taken and suits(scored.items[index])][:count]
        taken.update(fresh)
        chosen[kind] = fresh
    return chosen


def source_lengths(items: Sequence[Plain]) -> tuple[np.ndarray, str]:
    """The length of each source, (N,), and its unit: words, or characters where sources hold hardly more than one word."""
    words = np.array([len(source(item).split()) for item in items])
    if len(words) and np.mean(words) >= 2:
        return words, "words"
    return np.array([len(source(item)) for item in items]), "characters"


def source(item: Plain) -> str:
    """The source of an item."""
    return str(item.get("source", ""))


def prediction(item: Plain) -> str:
    """What was predicted for an item."""
    return str(item.get("prediction", ""))


def references(item: Plain) -> list[str]:
    """The references of an item."""
    return [str(reference) for reference in item.get("references") or ()]


def _worst_first(scored: ScoredItems) -> list[int]:
    """The worst first; among equals those with the longest reference, as an error in a short text is easily made."""
    sign = 1.0 if scored.metric.higher_is_better else -1.0
    lengths = [-len(references(item)[0]) for item in scored.items]
    return [int(index) for index in np.lexsort((lengths, sign * scored.values))]


def _first_metric(evaluation: StoredEvaluation) -> Metric | None:
    """The first score that is a metric of predictions. Code outside Antiphon is not imported because a file names it."""
    for score in evaluation.scores:
        try:
            found = registry.find("metrics", str(score.get("name", "")), allow_paths=False)
        except ConfigError:
            continue  # loss and perplexity are measured by the model
        if isinstance(found, Metric):
            return found
    return None
