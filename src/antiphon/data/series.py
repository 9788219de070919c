"""Rows in, series out: each with its times in order, one row a step, and what is missing as NaN.

Rows may come in any order and from any number of series. They are read once, packed into numbers (8 bytes a value, on disk beyond 64 MiB)
and sorted by series; only one series at a time is unpacked. Nothing is mended silently: what was unsorted, doubled or missing is counted,
and each has a policy that says whether it is mended or refused.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any, Literal, final

import numpy as np

from antiphon.contracts.records import Record
from antiphon.errors import DataError
from antiphon.features.frequency import Frequency, IrregularTimeError
from antiphon.features.scaling import Scale
from antiphon.features.times import TimeStyle, read_time, read_times, style_of

Missing = Literal["error", "previous", "linear", "zero"]
Duplicates = Literal["error", "last", "mean", "sum"]

ONE = "series"  # the name of the series of data without a column of ids
_BLOCK = 4096
_MEMORY = 64 * 2**20


@dataclass(frozen=True)
class SeriesColumns:
    """Which columns hold what. `wide` data has a column for each series, all but `time` and `known`; then there is no `id`."""

    id: str | None
    time: str
    targets: tuple[str, ...]
    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    wide: bool = False

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns of numbers, in the order in which they are packed."""
        return (*self.targets, *self.past, *self.known)


@dataclass(frozen=True)
class Series:
    """One series. Rows behind the last known value are its future: they have times and known covariates only.

    times     int64 (T + F,)
    targets   float64 (T, C), NaN where missing
    past      float64 (T, P)
    known     float64 (T + F, K)
    static    one value for each static column
    scale     location and scale of the whole series, where they were measured before
    """

    unique_id: str
    times: np.ndarray
    targets: np.ndarray
    past: np.ndarray
    known: np.ndarray
    static: tuple[Any, ...] = ()
    scale: Scale | None = None

    def __len__(self) -> int:
        """Steps with a value."""
        return len(self.targets)


@dataclass
class Mended:
    """How many rows or steps were not as they should be, and the first series of each kind."""

    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, count: int, series: str) -> None:
        """Count something about a series."""
        if count:
            self.counts[what] = self.counts.get(what, 0) + count
            self.first.setdefault(what, series)

    def sentences(self) -> tuple[str, ...]:
        """For people, one sentence each."""
        return tuple(f"{count:,} {what} (first in series `{self.first[what]}`)." for what, count in self.counts.items())


@final
class RowTable:
    """Rows of many series as packed numbers. `series(index)` gives the raw rows of one, in the order in which they came."""

    def __init__(self, columns: SeriesColumns):
        self.columns = columns
        self.ids: dict[str, int] = {}
        self.static: list[tuple[Any, ...]] = []
        self.style: TimeStyle | None = None
        self._dtype = np.dtype([("series", "<i4"), ("row", "<i8"), ("time", "<i8"), ("numbers", "<f8", (len(columns.numbers),))])
        self._blocks: list[np.ndarray] = []
        self._file: IO[bytes] | None = None
        self._rows: np.ndarray | None = None
        self._order = self._ends = np.empty(0, dtype=np.int64)

    @property
    def names(self) -> list[str]:
        """The series, in the order in which they first came."""
        return list(self.ids)

    def read(self, records: Iterable[tuple[int, Record]], place: Callable[[int], str]) -> "RowTable":
        """Take all records. Raises DataError naming the place of the first that cannot be used."""
        try:
            stream = iter(records)
            while block := list(islice(stream, _BLOCK)):
                self._take(block, place)
            self._sort()
        finally:
            if self._file is not None:
                self._file.close()  # what is mapped stays readable, and goes with the map
        return self

    def rows(self, index: int) -> np.ndarray:
        """The rows of one series: a structured array of (series, row, time, numbers)."""
        assert self._rows is not None, "rows are there once all were read"
        return self._rows[self._order[self._ends[index] : self._ends[index + 1]]]

    def _take(self, block: list[tuple[int, Record]], place: Callable[[int], str]) -> None:
        rows = [row for number, record in block for row in self._long(number, record)]
        packed = np.empty(len(rows), dtype=self._dtype)
        packed["row"] = [number for number, *_ in rows]
        try:
            if self.style is None:
                self.style = style_of(rows[0][2])
            packed["time"] = read_times([time for _, _, time, _, _ in rows])
            self._check_styles([time for _, _, time, _, _ in rows])
        except DataError:
            self._blame_time(block, place)
            raise
        for position, (number, name, _, record, numbers) in enumerate(rows):
            try:
                packed["series"][position] = self._index(name, record)
                packed["numbers"][position] = numbers if numbers is not None else self._numbers(record)
            except DataError as error:
                raise DataError(f"{place(number)}, series `{name}`: {error}") from error
        self._keep(packed)

    def _long(self, number: int, record: Record) -> Iterator[tuple[int, str, Any, Record, list[float] | None]]:
        """(number, series, time, record, numbers) of a row; of a wide row, one for each of its series."""
        columns = self.columns
        time = record.get(columns.time)
        if not columns.wide:
            name = ONE if columns.id is None else record.get(columns.id)
            yield number, "" if name is None else str(name), time, record, None
            return
        shared = [_number(record.get(column), column) for column in columns.known]
        for column, value in record.items():
            if column != columns.time and column not in columns.known:
                yield number, column, time, {}, [_number(value, column), *shared]

    def _numbers(self, record: Record) -> list[float]:
        return [_number(record.get(column), column) for column in self.columns.numbers]

    def _index(self, name: str, record: Record) -> int:
        """The number of a series; a new one's static values are kept, an old one's must be the same."""
        if not name:
            raise DataError(f"`{self.columns.id}` must name the series, but is missing.")
        static = tuple(record.get(column) for column in self.columns.static)
        index = self.ids.setdefault(name, len(self.ids))
        if index == len(self.static):
            self.static.append(static)
        elif static and static != self.static[index]:
            column, old, new = next(
                (column, old, new) for column, old, new in zip(self.columns.static, self.static[index], static, strict=True) if old != new
            )
            raise DataError(f"the static column `{column}` must have one value for a series, but is {old!r} and {new!r}.")
        return index

    def _check_styles(self, times: Sequence[Any]) -> None:
        assert self.style is not None, "the first row told it"
        found = style_of(times[-1])
        if found.calendar != self.style.calendar:
            raise DataError("times must be all whole numbers or all dates, but are both.")

    def _blame_time(self, block: list[tuple[int, Record]], place: Callable[[int], str]) -> None:
        column = self.columns.time
        for number, record in block:
            try:
                read_time(record.get(column))
            except DataError as error:
                raise DataError(f"{place(number)}, column `{column}`: {error}") from None

    def _keep(self, packed: np.ndarray) -> None:
        """Hold rows in memory as long as they are few, then on disk."""
        self._blocks.append(packed)
        if sum(block.nbytes for block in self._blocks) > _MEMORY:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by `read`
            for block in self._blocks:
                self._file.write(block.tobytes())
            self._blocks = []

    def _sort(self) -> None:
        if self._file is not None:
            for block in self._blocks:
                self._file.write(block.tobytes())
            self._file.flush()
            self._rows = np.memmap(self._file, dtype=self._dtype, mode="r").view(np.ndarray)
        else:
            self._rows = np.concatenate(self._blocks) if self._blocks else np.empty(0, dtype=self._dtype)
        self._blocks = []
        owners = np.array(self._rows["series"])
        self._order = np.argsort(owners, kind="stable")
        self._ends = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(self.ids)))]).astype(np.int64)


@final
class SeriesReader:
    """Makes a `Series` of the rows of each, by the policies."""

    def __init__(self, table: RowTable, frequency: Frequency, missing: Missing, duplicates: Duplicates, place: Callable[[int], str]):
        self.table, self.frequency, self.missing, self.duplicates, self.place = table, frequency, missing, duplicates, place
        self.mended = Mended()

    def __iter__(self) -> Iterator[Series]:
        return (self.series(index) for index in range(len(self.table.ids)))

    def series(self, index: int) -> Series:
        """One series. Raises DataError with its name and the place of the row that is wrong."""
        name, columns = self.table.names[index], self.table.columns
        rows = self._unique(name, self._ascending(name, self.table.rows(index)))
        times, numbers = self._on_grid(name, rows)
        targets, past, known = np.split(numbers, np.cumsum([len(columns.targets), len(columns.past)]), axis=1)
        with_value = np.flatnonzero(~np.isnan(targets).all(axis=1))
        if len(with_value) == 0:
            raise DataError(f"Series `{name}` must have a value in `{columns.targets[0]}`, but has none in {len(rows)} rows.")
        begin, end = int(with_value[0]), int(with_value[-1]) + 1
        self.mended.add("leading rows without a value were left out", begin, name)
        if not columns.known:
            behind = int((rows["time"] > times[end - 1]).sum())
            self.mended.add("trailing rows without a value were left out", behind, name)
        targets = targets[begin:end]
        self._check_missing(name, columns.targets, targets, times[begin:], rows["time"])
        self._check_missing(name, columns.past, past[begin:end], times[begin:], rows["time"])
        self._check_missing(name, columns.known, known[begin:], times[begin:], rows["time"])
        return Series(
            name,
            times[begin:],
            targets,
            _filled(past[begin:end], self.missing),
            _filled(known[begin:], self.missing),
            self.table.static[index],
        )

    def _ascending(self, name: str, rows: np.ndarray) -> np.ndarray:
        if (np.diff(rows["time"]) < 0).any():
            self.mended.add("series had rows that were not in the order of time", 1, name)
            rows = rows[np.argsort(rows["time"], kind="stable")]
        for column, values in zip(self.table.columns.numbers, rows["numbers"].T, strict=True):
            if np.isinf(values).any():
                where = self.place(int(rows["row"][np.argmax(np.isinf(values))]))
                raise DataError(f"{where}, series `{name}`: `{column}` must be a finite number, but is infinite.")
        return rows

    def _unique(self, name: str, rows: np.ndarray) -> np.ndarray:
        """One row a time."""
        starts = np.flatnonzero(np.concatenate([[True], np.diff(rows["time"]) > 0]))
        if len(starts) == len(rows):
            return rows
        if self.duplicates == "error":
            second = int(np.flatnonzero(np.diff(rows["time"]) == 0)[0]) + 1
            first, again = (self.place(int(rows["row"][place])) for place in (second - 1, second))
            raise DataError(
                f"Series `{name}` must have one row for {self._shown(rows['time'][second])}, but has more: {first} and {again}."
                " Remove one, or set `task.duplicates` to last, mean or sum."
            )
        self.mended.add(f"rows shared their time with another ({self.duplicates} of them was taken)", len(rows) - len(starts), name)
        ends = np.concatenate([starts[1:], [len(rows)]])
        kept: np.ndarray = rows[ends - 1].copy()
        if self.duplicates != "last":
            reduce = np.nanmean if self.duplicates == "mean" else np.nansum
            for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
                if end - start > 1:
                    group = rows["numbers"][start:end]
                    there = ~np.isnan(group).all(axis=0)
                    kept["numbers"][place][there] = reduce(group[:, there], axis=0)
        return kept

    def _on_grid(self, name: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Times (T,) and numbers (T, all) with a row for every step; NaN where there was none."""
        times = np.array(rows["time"])
        try:
            steps = self.frequency.positions(times)
        except IrregularTimeError as error:
            raise DataError(
                f"{self.place(int(rows['row'][error.index]))}, series `{name}`: times must be one {self.frequency.words} apart, but"
                f" {self._shown(times[error.index])} is not a whole number of steps behind {self._shown(times[0])}."
                " Bring the series to one frequency, or set `task.frequency`."
            ) from None
        if len(steps) == steps[-1] + 1:
            return times, np.array(rows["numbers"])
        gaps = int(steps[-1]) + 1 - len(steps)
        if gaps > 100 * len(steps) + 10_000:
            raise DataError(
                f"Series `{name}` must have most of its steps, but lacks {gaps:,} of {steps[-1] + 1:,}."
                " Set `task.frequency` to its real step."
            )
        numbers = np.full((int(steps[-1]) + 1, rows["numbers"].shape[1]), np.nan)
        numbers[steps] = rows["numbers"]
        return self.frequency.grid(times, np.arange(len(numbers))), numbers

    def _check_missing(self, name: str, columns: Sequence[str], numbers: np.ndarray, times: np.ndarray, given: np.ndarray) -> None:
        """Count what is missing, or refuse it; `given` are the times that have a row."""
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
        """A remedy for whole numbers that read like dates without hyphens, 20240131 or 202401: as numbers they have gaps."""
        assert self.table.style is not None, "there are rows"
        if self.table.style.calendar or (times < 190_001).any():
            return ""
        months = times // 100 if (times > 999_999).all() else times
        if not ((months % 100 >= 1) & (months % 100 <= 12) & (months // 100 >= 1900) & (months // 100 <= 2100)).all():
            return ""
        return f" If the times are dates, write {int(times[0])} as {'-'.join(_date_parts(int(times[0])))}."

    def _shown(self, time: Any) -> str:
        assert self.table.style is not None, "there are rows"
        return str(self.table.style.write(np.array([time]))[0])


def fill(values: np.ndarray, policy: Missing) -> np.ndarray:
    """Values (T, C) with others in the place of NaN: the previous one (or the first), those on a line between neighbours, or 0."""
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


def _number(value: Any, column: str) -> float:
    """A cell as a number; an empty one is NaN."""
    if value is None or value == "":
        return np.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        if isinstance(value, str) and value.strip().lower() in ("na", "n/a", "null", "none"):
            return np.nan
        remedy = "Write numbers like 1234.5, and leave a cell empty where the number is not known."
        raise DataError(f"`{column}` must be a number, but is {value!r}. {remedy}") from None
