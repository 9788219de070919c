"""Look at series before a model does: how many, how long, from when to when, how large, and whether what is scored was learned from.

Lengths of windows say nothing, since nearly all are alike; what can go wrong lies in the series. Unusual: a forecast counts as seen when
one of its steps lies within the training data of its series, not only when the same window was trained on. Its score then measures memory.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, final, runtime_checkable

import numpy as np

from antiphon.contracts.corpus import StoredCorpus
from antiphon.data.findings import Distribution, distribution
from antiphon.data.windows import WindowCorpus

_LISTED = 3


@runtime_checkable
class AuditsSeries(Protocol):
    """A task whose data are series."""

    def audit_series(self, corpora: Mapping[str, Sequence[StoredCorpus]]) -> dict[str, "SeriesAudit"]:
        """What there is to know about the series of each split."""


@final
@dataclass(frozen=True)
class Values:
    """One target: its lowest, mean and highest value, and how many are missing. NaN where there is none."""

    name: str
    lowest: float
    mean: float
    highest: float
    missing: int


@final
@dataclass(frozen=True)
class SeriesAudit:
    """The series of one split that have a window.

    windows    how many windows they have, of `context` steps (fewest and most) and the `horizon` that follows
    steps      the lengths of the series
    times      the first and the last time of all, as the data writes them
    forecast   the first and the last time that a window forecasts
    seen       windows that forecast what was learned from or chosen by, with the names of the first series; 0 for the training data
    notes      what was mended while reading, one sentence each
    """

    series: int
    windows: int
    context: tuple[int, int]
    horizon: int
    steps: Distribution | None
    times: tuple[str, str]
    forecast: tuple[str, str]
    values: tuple[Values, ...]
    seen: int
    first_seen: tuple[str, ...]
    notes: tuple[str, ...]

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON: keys are the names of fields."""
        return asdict(self)


def audit_series(
    splits: Mapping[str, Sequence[WindowCorpus]], targets: Sequence[str], write: Callable[[np.ndarray], Sequence[object]]
) -> dict[str, SeriesAudit]:
    """Look at all splits: "train" was learned from, "validation" is what the best weights are chosen by, and what else there is has to be
    new to both. `write` gives times (T,) as the data writes them.
    """
    known_until: dict[str, int] = {}
    found = {}
    for name in sorted(splits, key=lambda name: (name != "train", name != "validation")):
        found[name] = _audit(splits[name], targets, write, known_until if name != "train" else {})
        if name in ("train", "validation"):
            for corpus in splits[name]:
                for owner in corpus.used:
                    series = corpus.series(int(owner))
                    name = str(series.unique_id)
                    known_until[name] = max(int(series.times[-1]), known_until.get(name, int(series.times[-1])))
    return found


def _audit(
    corpora: Sequence[WindowCorpus], targets: Sequence[str], write: Callable[[np.ndarray], Sequence[object]], known_until: Mapping[str, int]
) -> SeriesAudit:
    tally, lengths = _Tally(len(targets)), Counter[int]()
    seen: Counter[str] = Counter()
    for corpus in corpora:
        for owner in corpus.used:
            series, origins = corpus.series(int(owner)), corpus.origins(int(owner))
            lengths[len(series)] += 1
            tally.add(series.targets, series.times, (int(origins[0]), int(origins[-1]) + corpus.plan.horizon))
            name = str(series.unique_id)
            if name in known_until:
                seen[name] += int((series.times[origins] <= known_until[name]).sum())
    overlapping = [name for name, count in seen.items() if count]
    plan = corpora[0].plan
    first, last, begin, end = (str(time) for time in write(np.array(tally.times, dtype=np.int64)))
    return SeriesAudit(
        series=lengths.total(),
        windows=sum(len(corpus) for corpus in corpora),
        context=(plan.shortest, plan.context),
        horizon=plan.horizon,
        steps=distribution(lengths),
        times=(first, last),
        forecast=(begin, end),
        values=tally.values(targets),
        seen=seen.total(),
        first_seen=tuple(overlapping[:_LISTED]),
        notes=tuple(note for corpus in corpora for note in corpus.notes),
    )


@final
class _Tally:
    """The span of all times, and the extremes, sums and gaps of each channel."""

    def __init__(self, channels: int):
        self.times = [0, 0, 0, 0]  # of the data: first and last; of what is forecast: first and last
        self._empty = True
        self._lowest, self._highest = np.full(channels, np.inf), np.full(channels, -np.inf)
        self._sums, self._counts, self._missing = np.zeros(channels), np.zeros(channels), np.zeros(channels, dtype=np.int64)

    def add(self, values: np.ndarray, times: np.ndarray, forecast: tuple[int, int]) -> None:
        """Take in one series, of which some window forecasts each of the steps from one number up to another."""
        own = [int(times[0]), int(times[-1]), int(times[forecast[0]]), int(times[forecast[1] - 1])]
        if self._empty:
            self.times, self._empty = own, False
        self.times = [choose(old, new) for choose, old, new in zip((min, max, min, max), self.times, own, strict=True)]
        there = ~np.isnan(values)
        self._lowest = np.minimum(self._lowest, np.where(there, values, np.inf).min(axis=0))
        self._highest = np.maximum(self._highest, np.where(there, values, -np.inf).max(axis=0))
        self._sums += np.where(there, values, 0.0).sum(axis=0)
        self._counts += there.sum(axis=0)
        self._missing += (~there).sum(axis=0)

    def values(self, names: Sequence[str]) -> tuple[Values, ...]:
        """What is known of each channel."""
        found = []
        for channel, name in enumerate(names):
            count = self._counts[channel]
            numbers = (self._lowest[channel], self._sums[channel] / max(count, 1), self._highest[channel])
            lowest, mean, highest = (float(number) if count else float("nan") for number in numbers)
            found.append(Values(name, lowest, mean, highest, int(self._missing[channel])))
        return tuple(found)
