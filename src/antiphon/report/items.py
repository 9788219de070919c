"""Scores of single items, and the selection of items to show.

An item's score is the metric of a set that holds this item only: what `aggregate` makes of its row of statistics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from jaxtyping import Float

from antiphon.contracts import registry
from antiphon.errors import ConfigError, DataError
from antiphon.metrics.interface import Metric
from antiphon.report.quantities import as_real
from antiphon.report.run_record import Plain, StoredEvaluation

Kind = Literal["best", "typical", "worst", "longest", "random"]
KINDS: tuple[Kind, ...] = ("best", "typical", "worst", "longest", "random")
_FIRST: tuple[Kind, ...] = ("best", "worst", "typical", "longest", "random")

SEED = 12345
MOST_SCORED = 10_000


@final
@dataclass(frozen=True)
class ScoredItems:
    """Items of an evaluation with the value of one metric for each, (N,), and the statistics behind it, (N, K).

    `numbers` are the items' places in the evaluation, which has `total` items. `others` holds how good each item is by the evaluation's
    other metrics (higher is better), which tell items apart that are equal by the first one.
    """

    items: Sequence[Plain]
    numbers: Sequence[int]
    total: int
    metric: Metric
    statistics: Float[np.ndarray, "N K"]
    values: Float[np.ndarray, " N"]
    others: tuple[Float[np.ndarray, " N"], ...] = ()

    def by_length(self, most_groups: int = 6) -> list[tuple[str, float, int]]:
        """The metric over items of similar source length: (lengths, value, number of items), shortest first."""
        lengths, _ = source_lengths(self.items)
        if len(lengths) < 2 * most_groups:
            return []
        edges = np.unique(np.quantile(lengths, np.linspace(0, 1, most_groups + 1)[1:]).astype(int))
        groups = np.searchsorted(edges, lengths)
        rows = []
        for group in np.unique(groups):
            inside = groups == group
            low, high = int(lengths[inside].min()), int(lengths[inside].max())
            label = str(low) if low == high else f"{low} to {high}"
            rows.append((label, float(self.metric.aggregate(self.statistics[inside].sum(axis=0))), int(inside.sum())))
        return rows if len(rows) > 1 else []


def score_items(evaluation: StoredEvaluation) -> ScoredItems | str:
    """Each item's score by the evaluation's first metric, for all or a random `MOST_SCORED` items; or a sentence why there are none."""
    numbers = [number for number, item in enumerate(evaluation.items) if references(item)]
    if not numbers:
        return "The evaluation holds no predictions."
    metrics = _metrics(evaluation)
    if not metrics:
        return "None of the evaluation's metrics is known here, so single predictions cannot be scored."
    if len(numbers) > MOST_SCORED:
        numbers = np.sort(np.random.default_rng(SEED).choice(numbers, MOST_SCORED, replace=False)).tolist()
    items = [evaluation.items[number] for number in numbers]
    predicted, known = [prediction(item) for item in items], [references(item) for item in items]
    try:
        statistics = [metric.statistics(predicted, known) for metric in metrics]
    except DataError as error:
        return f"Single predictions cannot be scored: {error}"
    values = [np.asarray(metric.aggregate(rows), dtype=np.float64) for metric, rows in zip(metrics, statistics, strict=True)]
    others = tuple(_sign(metric) * own for metric, own in zip(metrics[1:], values[1:], strict=True))
    return ScoredItems(items, numbers, len(evaluation.items), metrics[0], statistics[0], values[0], others)


def orders(scored: ScoredItems, *, seed: int = SEED) -> dict[Kind, list[int]]:
    """All items in the order of preference of each kind.

    best, worst   by score
    typical       nearest to the median score; which of many equals comes first is drawn by the seed
    longest       by source
    random        drawn by the seed
    """
    draw = np.random.default_rng(seed)
    shuffled = draw.permutation(len(scored.items))
    distance = np.abs(scored.values - np.median(scored.values))[shuffled]
    goodness = _sign(scored.metric) * scored.values
    # Among equals by every metric, longer references and then surer predictions come first: a short text is easily all right or wrong.
    lengths = np.array([-len(references(item)[0]) for item in scored.items])
    confidence = np.array([-(as_real(item.get("score")) or 0.0) for item in scored.items])
    return {
        "best": np.lexsort((confidence, lengths, *(-other for other in reversed(scored.others)), -goodness)).tolist(),
        "typical": shuffled[np.argsort(distance, kind="stable")].tolist(),
        "worst": np.lexsort((confidence, lengths, *reversed(scored.others), goodness)).tolist(),
        "longest": np.argsort(-source_lengths(scored.items)[0], kind="stable").tolist(),
        "random": draw.permutation(len(scored.items)).tolist(),
    }


def pick(ordered: Mapping[Kind, Sequence[int]], counts: Mapping[Kind, int]) -> dict[Kind, list[int]]:
    """The requested number of items of each kind, none twice: with few items, kinds that come later in `_FIRST` get fewer or none."""
    taken: set[int] = set()
    picked: dict[Kind, list[int]] = {}
    for kind in _FIRST:
        fresh = [index for index in ordered[kind] if index not in taken][: counts.get(kind, 0)]
        taken.update(fresh)
        picked[kind] = fresh
    return {kind: picked[kind] for kind in KINDS}


def source_lengths(items: Sequence[Plain]) -> tuple[np.ndarray, str]:
    """The length of each source, (N,), and its unit: words, or characters if most sources have hardly more than one word."""
    words = np.array([len(source(item).split()) for item in items])
    if len(words) and np.mean(words) >= 2:
        return words, "words"
    return np.array([len(source(item)) for item in items]), "characters"


def source(item: Plain) -> str:
    """The source of an item."""
    return str(item.get("source", ""))


def prediction(item: Plain) -> str:
    """The prediction for an item."""
    return str(item.get("prediction", ""))


def references(item: Plain) -> list[str]:
    """The references of an item."""
    return [str(reference) for reference in item.get("references") or ()]


def _metrics(evaluation: StoredEvaluation) -> list[Metric]:
    """The scores that measure quality. Code outside Antiphon is not imported just because a file names it."""
    found = []
    for score in evaluation.scores:
        try:
            found.append(registry.find("metrics", str(score.get("name", ""))))
        except ConfigError:
            continue  # loss and perplexity are measured by the model
    return [metric for metric in found if isinstance(metric, Metric) and metric.higher_is_better is not None]


def _sign(metric: Metric) -> float:
    return 1.0 if metric.higher_is_better else -1.0
