"""Confidence intervals of scores, and significance tests between systems, by resampling the items' statistics.

    score(metric, predictions, references)    the metric with a bootstrap interval (Koehn 2004)
    compare(metric, a, b, references)         two systems on the same items: paired bootstrap and paired approximate randomization

A resample is a row of weights over the items, so all resamples together are one matrix product with the statistics, and the metric is
computed for all of them at once.

Unusual:
- The bootstrap test centres the resampled differences on the observed one before taking their size (Efron and Tibshirani 1993, section
  16.4): a two-sided test. sacrebleu follows a Moses script that takes the size first, which gives about half the p-value.
- A resample as extreme as the observation counts against it, so two equal systems have p = 1. sacrebleu counts only more extreme ones.
- Seed and draws are those of sacrebleu, so intervals and randomization agree with its own.
- Of a metric with a target, such as the coverage of an interval, the tests ask which system is nearer to it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from antiphon.errors import ConfigError, DataError
from antiphon.metrics.interface import Metric, Score, better, merit
from antiphon.metrics.items import check_items

SEED = 12345
_CHUNK = 1 << 22  # weights held at a time: 32 MB
_TOLERANCE = 1e-10  # of the values: two sums of the same numbers in another order count as equal, in whatever unit they are


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same items. `difference` is b's value minus a's, with its 95% interval, None where no resample has both values.

    Both p-values are two-sided: how likely so large a difference is if the systems are equally good. They are NaN where a value is.
    """

    name: str
    a: Score
    b: Score
    difference: float
    low: float | None
    high: float | None
    bootstrap_p: float
    randomization_p: float

    def better(self, level: float = 0.05) -> str | None:
        """ "a" or "b" when the randomization test finds a difference at this level, otherwise None, as for metrics that only describe."""
        if not self.randomization_p <= level:
            return None
        if better(self.b.value, self.a.value, self.b):
            return "b"
        return "a" if better(self.a.value, self.b.value, self.b) else None


def score(
    metric: Metric, predictions: Sequence[Any], references: Sequence[Sequence[Any]], *, resamples: int = 1000, seed: int = SEED
) -> Score:
    """The metric's value with its 95% percentile bootstrap interval; without interval when `resamples` is 0.

    Raises DataError when there is no item, or one without prediction or reference.
    """
    check_items(predictions, references)
    metric, counts = metric.suited(references), [len(alternatives) for alternatives in references]
    return score_statistics(metric, metric.statistics(predictions, references), counts, resamples=resamples, seed=seed)


def score_statistics(
    metric: Metric, statistics: Float[np.ndarray, "N K"], references: Sequence[int], *, resamples: int = 1000, seed: int = SEED
) -> Score:
    """Like `score`, from statistics that were computed elsewhere; `references` gives the number of references of each item."""
    low = high = None
    if _checked("resamples", resamples, least=0):
        low, high = _interval(metric.aggregate(_bootstrap(statistics, resamples, seed)))
    return _score(metric, statistics, references, resamples, seed, low, high)


def compare(
    metric: Metric,
    a: Sequence[Any],
    b: Sequence[Any],
    references: Sequence[Sequence[Any]],
    *,
    resamples: int = 1000,
    trials: int = 10_000,
    seed: int = SEED,
) -> Comparison:
    """Compare the predictions of two systems for the same items, with `resamples` bootstrap resamples and `trials` random swaps of
    predictions.

    Raises DataError when there is no item, or one without prediction or reference.
    """
    _checked("resamples", resamples, least=1)
    _checked("trials", trials, least=1)
    if len(a) != len(b):
        raise DataError(f"Two systems must have predictions for the same items, but have {len(a)} and {len(b)}.")
    check_items(a, references)
    metric, counts = metric.suited(references), [len(alternatives) for alternatives in references]
    both = np.stack([metric.statistics(a, references), metric.statistics(b, references)])
    return compare_statistics(metric, both, counts, resamples=resamples, trials=trials, seed=seed)


def compare_statistics(
    metric: Metric,
    both: Float[np.ndarray, "2 N K"],
    references: Sequence[int],
    *,
    resamples: int = 1000,
    trials: int = 10_000,
    seed: int = SEED,
) -> Comparison:
    """Like `compare`, from statistics that were computed elsewhere; `references` gives the number of references of each item."""
    value_a, value_b = metric.aggregate(both.sum(axis=1))
    difference = float(value_b - value_a)
    lead = float(merit(value_b, metric) - merit(value_a, metric))
    rounding = _TOLERANCE * max(abs(float(value_a)), abs(float(value_b)))

    resampled = metric.aggregate(np.stack([_bootstrap(statistics, resamples, seed) for statistics in both]))
    low, high = _interval(resampled[1] - resampled[0])
    leads = merit(resampled[1], metric) - merit(resampled[0], metric)
    intervals = [_interval(values) for values in resampled]
    scores = [_score(metric, both[row], references, resamples, seed, *intervals[row]) for row in (0, 1)]
    return Comparison(
        name=metric.name,
        a=scores[0],
        b=scores[1],
        difference=difference,
        low=low,
        high=high,
        bootstrap_p=_p_value(leads - lead, lead, rounding),
        randomization_p=_p_value(_swapped_leads(metric, both, trials, seed), lead, rounding),
    )


def _bootstrap(statistics: Float[np.ndarray, "N K"], resamples: int, seed: int) -> Float[np.ndarray, "resamples K"]:
    """Sums of the statistics of items drawn with replacement."""
    generator = np.random.default_rng(seed)
    items = len(statistics)
    sums = []
    for rows in _chunks(resamples, items):
        drawn = generator.choice(items, size=(rows, items), replace=True) + items * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * items).reshape(rows, items)
        sums.append(times.astype(np.float64) @ statistics)
    return np.concatenate(sums)


def _swapped_leads(metric: Metric, both: Float[np.ndarray, "2 N K"], trials: int, seed: int) -> Float[np.ndarray, " trials"]:
    """How far b leads a for pseudo-systems in which the two predictions of each item are swapped at random (Riezler and Maxwell 2005)."""
    generator = np.random.default_rng(seed)
    total_a, total_b = both.sum(axis=1)
    surplus = both[0] - both[1]
    leads = []
    for rows in _chunks(trials, both.shape[1]):
        moved = generator.integers(2, size=(rows, both.shape[1]), dtype=bool).astype(np.float64) @ surplus
        leads.append(merit(metric.aggregate(total_b + moved), metric) - merit(metric.aggregate(total_a - moved), metric))
    return np.concatenate(leads)


def _chunks(rows: int, items: int) -> Iterator[int]:
    """Sizes of chunks that add up to `rows`. They are multiples of 32: numpy draws 32 booleans at a time, and drops unused ones."""
    most = max(32, _CHUNK // items // 32 * 32)
    while rows > 0:
        yield min(rows, most)
        rows -= most


def _interval(values: Float[np.ndarray, " R"]) -> tuple[float, float] | tuple[None, None]:
    """The middle 95% by order statistics, as in sacrebleu. Resamples without any item that counts are left out; if all are, there is no
    interval."""
    ordered = np.sort(values[np.isfinite(values)])
    if not len(ordered):
        return None, None
    outside = len(ordered) // 40
    return float(ordered[outside]), float(ordered[len(ordered) - outside - 1])


def _p_value(under_null: Float[np.ndarray, " R"], observed: float, rounding: float) -> float:
    """The share at least as extreme as the observation, which is included: never 0 (Davison and Hinkley 1997)."""
    if not math.isfinite(observed):
        return math.nan
    under_null = under_null[np.isfinite(under_null)]
    extreme = np.count_nonzero(np.abs(under_null) >= abs(observed) - rounding)
    return (int(extreme) + 1) / (len(under_null) + 1)


def _score(
    metric: Metric,
    statistics: Float[np.ndarray, "N K"],
    references: Sequence[int],
    resamples: int,
    seed: int,
    low: float | None,
    high: float | None,
) -> Score:
    counts = set(references)
    signature = [f"nrefs:{counts.pop() if len(counts) == 1 else 'var'}"]
    signature += [f"bs:{resamples}|seed:{seed}"] if resamples else []
    signature += [metric.signature]
    value = float(metric.aggregate(statistics.sum(axis=0)))
    better, count = metric.higher_is_better, metric.taking_part(statistics)
    return Score(metric.name, value, "|".join(signature), better, low, high, metric.target, count, metric.worthless)


def _checked(name: str, count: int, *, least: int) -> int:
    if count < least:
        raise ConfigError(f"`{name}` must be at least {least}, but is {count}.")
    return count
