"""What an evaluation found: scores with every prediction; and how two of them on the same records compare."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from antiphon.errors import DataError, nearest
from antiphon.metrics.interface import Score
from antiphon.metrics.scoring import find_metrics, named
from antiphon.metrics.significance import Comparison, compare
from antiphon.store.json_text import plain_numbers


@dataclass(frozen=True)
class Item:
    """One scored record."""

    source: str
    references: tuple[str, ...]
    prediction: str
    score: float
    finish_reason: str


@dataclass(frozen=True)
class Evaluation:
    """Scores of a model on a set, with every prediction.

    `items` show predictions and references as texts; `values` and `actual` are what metrics compare, in the same order. `baselines`
    are the scores of simple methods on the same records, by name, and `said_by` what each of them said; `details` what the task has to
    say beside scores; `remarks` what a reader of the scores should know, one sentence each.
    """

    run: str
    data: str
    records: int
    seconds: float
    search: dict[str, Any]
    scores: tuple[Score, ...]
    finish_reasons: dict[str, int]
    baselines: dict[str, tuple[Score, ...]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    details: dict[str, Any] = field(repr=False, default_factory=dict)
    items: tuple[Item, ...] = field(repr=False, default=())
    values: tuple[Any, ...] = field(repr=False, default=())
    actual: tuple[Sequence[Any], ...] = field(repr=False, default=())
    said_by: Mapping[str, Sequence[Any]] = field(repr=False, default_factory=dict)

    def to_plain(self, *, items: bool = False) -> dict[str, Any]:
        """Plain values, for JSON, with None for NaN; with `items` also every prediction and the details."""
        shown = asdict(replace(self, values=(), actual=(), said_by={}))
        del shown["values"], shown["actual"], shown["said_by"]
        if not items:
            del shown["items"], shown["details"]
        return dict(plain_numbers(shown))

    def __getitem__(self, name: str) -> float:
        """The value of a score by name. Raises KeyError if it does not exist."""
        score = named(self.scores, name)
        if score is None:
            raise KeyError(f"There is no score `{name}`; there are: {', '.join(self)}.{nearest(name.lower(), self)}")
        return score.value

    def __iter__(self) -> Iterator[str]:
        """The names of the scores: `dict(evaluation)` gives all of them."""
        return (score.name for score in self.scores)

    def __len__(self) -> int:
        """The number of scores."""
        return len(self.scores)

    def keys(self) -> list[str]:
        """The names of the scores."""
        return list(self)


def of_baseline(evaluation: Evaluation, name: str) -> Evaluation:
    """One of the evaluation's baselines in the form of an evaluation, for comparisons."""
    scores, values = evaluation.baselines[name], tuple(evaluation.said_by[name])
    return replace(evaluation, run=name, seconds=0.0, scores=scores, values=values, baselines={}, said_by={}, remarks=(), details={})


def compare_evaluations(one: Evaluation, two: Evaluation, metrics: Sequence[str], *, resamples: int = 1000) -> list[Comparison]:
    """Paired significance of the difference between two models on the same records."""
    if [item.source for item in one.items] != [item.source for item in two.items]:
        remedy = " Set `task.backtest` and `task.horizon` alike for both." if "steps" in one.details or "steps" in two.details else ""
        raise DataError(f"Two models can only be compared on the same records in the same order.{remedy}")
    first, second = one.values, two.values
    return [compare(metric, first, second, one.actual, resamples=resamples) for metric in find_metrics(metrics)]
