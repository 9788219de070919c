"""Audits series before training: their number, lengths, time span and values, and whether scored steps are used in training.

Lengths of windows say nothing, since nearly all are alike; what can go wrong lies in the series. Unusual: a forecast counts as seen when
one of its steps lies within the training data of its series, not only when the same window was trained on. Its score then measures memory.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, final, runtime_checkable

import numpy as np

from antiphon.contracts.corpus import StoredCorpus
from antiphon.data.findings import Distribution, distribution
from antiphon.data.windows import WindowCorpus

_LISTED = 3


@runtime_checkable
class AuditsSeries(Protocol):
    """A task whose data are series."""

    def audit_series(self, corpora: Mapping[str, Sequence[StoredCorpus]]) -> dict[str, "SeriesAudit"]:
        """The audit of each split."""


@final
@dataclass(frozen=True)
class Values:
    """One target: minimum, mean and maximum, and the number of missing values. NaN if there are no values."""

    name: str
    lowest: float
    mean: float
    highest: float
    missing: int


Role = Literal["past", "known", "calendar", "static"]


@final
@dataclass(frozen=True)
class Covariate:
    """A covariate and its role: known for the past only, known in advance, derived from the times, or constant for a series.

    Numbers have a lowest, mean and highest value (NaN where there is none); others have categories, of which the first are named.
    """

    name: str
    role: Role
    lowest: float = math.nan
    mean: float = math.nan
    highest: float = math.nan
    categories: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class Beside:
    """The names of covariates by role. Numbers, first those of the past, are stored standardized: value = stored * scale + location.

    categories   those static columns that are no numbers
    """

    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    calendar: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    categories: frozenset[str] = frozenset()
    location: Sequence[float] | np.ndarray = ()
    scale: Sequence[float] | np.ndarray = ()


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
    covariates   what stands beside the values
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
    covariates: tuple[Covariate, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON: keys are the names of fields."""
        return asdict(self)


def audit_series(
    splits: Mapping[str, Sequence[WindowCorpus]],
    targets: Sequence[str],
    write: Callable[[np.ndarray], Sequence[object]],
    beside: Beside | None = None,
) -> dict[str, SeriesAudit]:
    """Audit all splits: "train" is used in training, "validation" for choosing the best weights, and all others must be new to both.
    `write` formats times (T,) like the data, `beside` names the covariates."""
    known_until: dict[str, int] = {}
    found = {}
    for name in sorted(splits, key=lambda name: (name != "train", name != "validation")):
        found[name] = _audit(splits[name], targets, write, known_until if name != "train" else {}, beside or Beside())
        if name in ("train", "validation"):
            for corpus in splits[name]:
                for owner in corpus.used:
                    series = corpus.series(int(owner))
                    name = str(series.unique_id)
                    known_until[name] = max(int(series.times[-1]), known_until.get(name, int(series.times[-1])))
    return found


def _audit(
    corpora: Sequence[WindowCorpus],
    targets: Sequence[str],
    write: Callable[[np.ndarray], Sequence[object]],
    known_until: Mapping[str, int],
    beside: Beside,
) -> SeriesAudit:
    tally, lengths, others = _Tally(len(targets)), Counter[int](), _Others(beside)
    seen: Counter[str] = Counter()
    for corpus in corpora:
        for owner in corpus.used:
            series, origins = corpus.series(int(owner)), corpus.origins(int(owner))
            lengths[len(series)] += 1
            tally.add(series.targets, series.times, (int(origins[0]), int(origins[-1]) + corpus.plan.horizon))
            others.add(corpus.covariates(int(owner)), series.static)
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
        covariates=others.found(),
    )


@final
class _Tally:
    """Collects the span of all times, and statistics of each channel."""

    def __init__(self, channels: int):
        self.times = [0, 0, 0, 0]  # of the data: first and last; of what is forecast: first and last
        self._empty, self._numbers = True, _Numbers(channels)

    def add(self, values: np.ndarray, times: np.ndarray, forecast: tuple[int, int]) -> None:
        """Add one series, of which windows forecast the steps from one number up to another."""
        own = [int(times[0]), int(times[-1]), int(times[forecast[0]]), int(times[forecast[1] - 1])]
        if self._empty:
            self.times, self._empty = own, False
        self.times = [choose(old, new) for choose, old, new in zip((min, max, min, max), self.times, own, strict=True)]
        self._numbers.add(values)

    def values(self, names: Sequence[str]) -> tuple[Values, ...]:
        """The statistics of each channel."""
        return self._numbers.values(names)


@final
class _Others:
    """Collects statistics of covariates: numbers and categories."""

    def __init__(self, beside: Beside):
        self._beside = beside
        self._numbers = _Numbers(len(beside.past) + len(beside.known))
        self._static: tuple[Counter[str], ...] = tuple(Counter() for _ in beside.static)

    def add(self, channels: np.ndarray, static: Sequence[object]) -> None:
        """Add the channels (T, P + K) of a series, as stored, and its static values."""
        count = len(self._beside.past) + len(self._beside.known)
        self._numbers.add(channels[:, :count] * np.asarray(self._beside.scale) + np.asarray(self._beside.location))
        for seen, value in zip(self._static, static, strict=True):
            seen[str(value)] += 1

    def found(self) -> tuple[Covariate, ...]:
        """The statistics of each covariate."""
        names = (*self._beside.past, *self._beside.known)
        numbers = [
            Covariate(one.name, "past" if number < len(self._beside.past) else "known", one.lowest, one.mean, one.highest)
            for number, one in enumerate(self._numbers.values(names))
        ]
        calendar = [Covariate(name, "calendar") for name in self._beside.calendar]
        return (*numbers, *calendar, *(self._static_one(name, seen) for name, seen in zip(self._beside.static, self._static, strict=True)))

    def _static_one(self, name: str, seen: Counter[str]) -> Covariate:
        if name in self._beside.categories:
            return Covariate(name, "static", categories=tuple(sorted(seen)))
        values = [float(value) for value in seen.elements()] or [math.nan]  # one for each series
        return Covariate(name, "static", min(values), sum(values) / len(values), max(values))


@final
class _Numbers:
    """Collects extremes, sums and gaps of channels."""

    def __init__(self, channels: int):
        self._lowest, self._highest = np.full(channels, np.inf), np.full(channels, -np.inf)
        self._sums, self._counts, self._missing = np.zeros(channels), np.zeros(channels), np.zeros(channels, dtype=np.int64)

    def add(self, values: np.ndarray) -> None:
        """Add values (T, C) of one series; NaN is a gap."""
        there = ~np.isnan(values)
        self._lowest = np.minimum(self._lowest, np.where(there, values, np.inf).min(axis=0))
        self._highest = np.maximum(self._highest, np.where(there, values, -np.inf).max(axis=0))
        self._sums += np.where(there, values, 0.0).sum(axis=0)
        self._counts += there.sum(axis=0)
        self._missing += (~there).sum(axis=0)

    def values(self, names: Sequence[str]) -> tuple[Values, ...]:
        """The statistics of each channel."""
        found = []
        for channel, name in enumerate(names):
            count = self._counts[channel]
            numbers = (self._lowest[channel], self._sums[channel] / max(count, 1), self._highest[channel])
            lowest, mean, highest = (float(number) if count else float("nan") for number in numbers)
            found.append(Values(name, lowest, mean, highest, int(self._missing[channel])))
        return tuple(found)
