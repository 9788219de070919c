"""Makes series from rows: times in order, one row a step, and NaN for missing values.

Rows come from a packed table (`series_table`), one series at a time. Nothing is mended silently: what was unsorted, doubled or missing is
counted, and each has a policy that says whether it is mended or refused.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, final

import numpy as np

from antiphon.data.series_table import Rows, SeriesTable
from antiphon.errors import DataError
from antiphon.features.frequency import MONTHS, Frequency, IrregularTimeError
from antiphon.features.scaling import Scale
from antiphon.features.times import TimeStyle

Missing = Literal["error", "previous", "linear", "zero"]
Duplicates = Literal["error", "last", "mean", "sum"]


@dataclass(frozen=True)
class Series:
    """One series. Rows after the last known value are its future: they only have times and known covariates.

    times     int64 (T + F,)
    targets   float64 (T, C), NaN where missing
    past      float64 (T, P)
    known     float64 (T + F, K)
    static    one value for each static column
    scale     location and scale of the whole series, where they were measured before
    style     how the data writes its times, where they come from there
    """

    unique_id: Hashable
    times: np.ndarray
    targets: np.ndarray
    past: np.ndarray
    known: np.ndarray
    static: tuple[Any, ...] = ()
    scale: Scale | None = None
    style: TimeStyle | None = None

    def __len__(self) -> int:
        """The number of steps with a value."""
        return len(self.targets)


@dataclass
class Mended:
    """Counts repairs of rows or steps, with the first series of each kind."""

    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, count: int, series: Hashable) -> None:
        """Count a repair of a series."""
        if count:
            self.counts[what] = self.counts.get(what, 0) + count
            self.first.setdefault(what, str(series))

    def sentences(self) -> tuple[str, ...]:
        """The repairs, one sentence each."""
        return tuple(f"{count:,} {what} (first in series `{self.first[what]}`)." for what, count in self.counts.items())


@final
class SeriesReader:
    """Makes a `Series` from its rows, according to the policies."""

    def __init__(self, table: SeriesTable, frequency: Frequency, missing: Missing, duplicates: Duplicates):
        self.table, self.frequency, self.missing, self.duplicates = table, frequency, missing, duplicates
        self.mended = Mended()

    def __iter__(self) -> Iterator[Series]:
        return (self.series(index) for index in range(len(self.table)))

    def series(self, index: int) -> Series:
        """One series. Raises DataError with its name and the place of a wrong row."""
        name, columns = self.table.names[index], self.table.columns
        rows = self.table.rows(index)
        if index in self.table.unsorted:
            self.mended.add("series had rows that were not in the order of time", 1, name)
        self._check_static(index, rows)
        self._check_finite(name, rows)
        if index in self.table.doubled:
            rows = self._unique(name, rows)
        times, numbers = self._on_grid(name, rows)
        targets, past, known = np.split(numbers, np.cumsum([len(columns.targets), len(columns.past)]), axis=1)
        with_value = np.flatnonzero(~np.isnan(targets).all(axis=1))
        if len(with_value) == 0:
            raise DataError(f"Series `{name}` must have a value in `{columns.targets[0]}`, but has none in {len(rows.times)} rows.")
        begin, end = int(with_value[0]), int(with_value[-1]) + 1
        self.mended.add("leading rows without a value were left out", begin, name)
        if not columns.known:
            behind = int((rows.times > times[end - 1]).sum())
            self.mended.add("trailing rows without a value were left out", behind, name)
        targets = targets[begin:end]
        self._check_missing(name, columns.targets, targets, times[begin:], rows.times)
        self._check_missing(name, columns.past, past[begin:end], times[begin:], rows.times)
        self._check_missing(name, columns.known, known[begin:], times[begin:], rows.times)
        return Series(
            name,
            times[begin:],
            targets,
            _filled(past[begin:end], self.missing),
            _filled(known[begin:], self.missing),
            self.table.static[index],
            style=self.table.style,
        )

    def _check_static(self, index: int, rows: Rows) -> None:
        for column, value in zip(self.table.columns.static, self.table.static[index], strict=True):
            if value is None:
                raise DataError(
                    f"Series `{self.table.names[index]}`: the static column `{column}` must have a value, but is missing at"
                    f" {self.table.place(int(rows.row[0]))}."
                )

    def _check_finite(self, name: Hashable, rows: Rows) -> None:
        infinite = np.isinf(rows.numbers)
        if infinite.any():
            place, column = (int(each[0]) for each in np.nonzero(infinite))
            where, name_of = self.table.place(int(rows.row[place])), self.table.columns.numbers[column]
            raise DataError(f"{where}, series `{name}`: `{name_of}` must be a finite number, but is infinite.")

    def _unique(self, name: Hashable, rows: Rows) -> Rows:
        """The rows with duplicate times resolved."""
        starts = np.flatnonzero(np.concatenate([[True], np.diff(rows.times) > 0]))
        if len(starts) == len(rows.times):  # what is left of the series has no two
            return rows
        if self.duplicates == "error":
            second = int(np.flatnonzero(np.diff(rows.times) == 0)[0]) + 1
            first, again = (self.table.place(int(rows.row[place])) for place in (second - 1, second))
            raise DataError(
                f"Series `{name}` must have one row for {self._shown(rows.times[second])}, but has more: {first} and {again}."
                " Remove one, or set `task.duplicates` to last, mean or sum."
            )
        self.mended.add(f"rows shared their time with another ({self.duplicates} of them was taken)", len(rows.times) - len(starts), name)
        ends = np.concatenate([starts[1:], [len(rows.times)]])
        kept = Rows(rows.times[ends - 1], rows.numbers[ends - 1], rows.row[ends - 1])
        if self.duplicates == "last":
            return kept
        targets, unlike = len(self.table.columns.targets), 0
        reduce = np.nanmean if self.duplicates == "mean" else np.nansum
        for place in np.flatnonzero(ends - starts > 1):
            group = rows.numbers[starts[place] : ends[place]]
            added = group if self.duplicates == "mean" else group[:, :targets]  # a price is no more when it stands there twice
            there = np.flatnonzero(~np.isnan(added).all(axis=0))
            kept.numbers[place, there] = reduce(added[:, there], axis=0)
            if self.duplicates == "sum":
                unlike += self._take_last(kept.numbers[place], group, targets)
        self.mended.add("times whose rows differ in a covariate, of which the last was taken", unlike, name)
        return kept

    def _take_last(self, kept: np.ndarray, group: np.ndarray, targets: int) -> bool:
        """The last known number in each column after the targets; and whether there were different ones."""
        unlike = False
        for column in range(targets, group.shape[1]):
            there = group[~np.isnan(group[:, column]), column]
            if len(there):
                kept[column] = there[-1]
                unlike = unlike or bool((there != there[-1]).any())
        return unlike

    def _on_grid(self, name: Hashable, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Times (T,) and numbers (T, all) with a row for every step; NaN where there was none."""
        times = rows.times
        try:
            steps = self.frequency.positions(times)
        except IrregularTimeError as error:
            raise DataError(
                f"{self.table.place(int(rows.row[error.index]))}, series `{name}`: times must be one {self.frequency.words} apart, but"
                f" {self._shown(times[error.index])} is not a whole number of steps behind {self._shown(times[0])}."
                f" {self._remedy(times, error.index)}"
            ) from None
        if len(steps) == steps[-1] + 1:
            return times, rows.numbers
        gaps = int(steps[-1]) + 1 - len(steps)
        if gaps > 100 * len(steps) + 10_000:
            raise DataError(
                f"Series `{name}` must have most of its steps, but lacks {gaps:,} of {steps[-1] + 1:,}."
                " Set `task.frequency` to its real step."
            )
        numbers = np.full((int(steps[-1]) + 1, rows.numbers.shape[1]), np.nan)
        numbers[steps] = rows.numbers
        return self.frequency.grid(times, np.arange(len(numbers))), numbers

    def _remedy(self, times: np.ndarray, odd: int) -> str:
        months = times.astype("M8[us]").astype("M8[M]")
        if self.frequency.unit in MONTHS and len(np.unique(months)) == len(months):
            return f"If each row stands for a month, write {months[odd]} instead of {self._shown(times[odd])}."
        if self.table.style.zone is not None and self.table.columns.zone is None:
            return "Bring the series to one frequency, or set `task.frequency`, or `task.time_zone` where clocks are changed."
        return "Bring the series to one frequency, or set `task.frequency`."

    def _check_missing(self, name: Hashable, columns: Sequence[str], numbers: np.ndarray, times: np.ndarray, given: np.ndarray) -> None:
        """Count missing values, or refuse them; `given` are the times with a row."""
        holes = np.isnan(numbers)
        if not holes.any():
            return
        step, column = (int(place[0]) for place in np.nonzero(holes))
        if self.missing == "error":
            more = int(holes.sum()) - 1
            others = "" if not more else "; 1 more is missing" if more == 1 else f"; {more:,} more are missing"
            raise DataError(
                f"Series `{name}` must have a number in `{columns[column]}` at {self._shown(times[step])}, but"
                f" {'is empty there' if times[step] in given else 'has no row for it'}{others}."
                f" Fill in what is missing, or set `task.missing` to previous, linear or zero.{self._date_hint(given)}"
            )
        self.mended.add(f"missing values, for which the model reads others ({self.missing})", int(holes.sum()), name)

    def _date_hint(self, times: np.ndarray) -> str:
        """A hint for integers that look like dates without hyphens, 20240131 or 202401: as numbers they have gaps."""
        if self.table.style.calendar or (times < 190_001).any():
            return ""
        months = times // 100 if (times > 999_999).all() else times
        if not ((months % 100 >= 1) & (months % 100 <= 12) & (months // 100 >= 1900) & (months // 100 <= 2100)).all():
            return ""
        return f" If the times are dates, write {int(times[0])} as {'-'.join(_date_parts(int(times[0])))}."

    def _shown(self, time: Any) -> str:
        return str(self.table.style.write(np.array([time]))[0])


def fill(values: np.ndarray, policy: Missing) -> np.ndarray:
    """Values (T, C) with NaN filled in: by the previous value (or the first), by linear interpolation, or by 0."""
    holes = np.isnan(values)
    if not holes.any():
        return values
    filled = values.copy()
    steps = np.arange(len(values))
    for channel in range(values.shape[1]):
        known = steps[~holes[:, channel]]
        if policy == "zero" or len(known) == 0:
            filled[holes[:, channel], channel] = 0.0
        elif policy == "linear":
            filled[:, channel] = np.interp(steps, known, values[known, channel])
        else:
            filled[:, channel] = values[known[np.maximum(np.searchsorted(known, steps, side="right") - 1, 0)], channel]
    return filled


def _date_parts(number: int) -> list[str]:
    text = str(number)
    return [text[:4], *(text[place : place + 2] for place in range(4, len(text), 2))]


def _filled(values: np.ndarray, policy: Missing) -> np.ndarray:
    return fill(values, "previous" if policy == "error" else policy)
