"""Rows of many series, packed by columns: the rows of a series are contiguous and in order of time, so that a series is a slice.

Fitting, holding out and corpora look at one such table. A number takes 8 bytes, as does a time; what is more than 64 MiB lies on disk,
mapped into memory.
"""

import re
import tempfile
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, final

import numpy as np

from antiphon.features.times import TimeStyle

_MEMORY = 64 * 2**20
_COUNTED = 2**21
_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}")

Place = Callable[[int], str]
"""How people find the row of this number."""


@dataclass(frozen=True)
class SeriesColumns:
    """The roles of columns. `wide` data has a column for each series, besides `time` and `known`, and no `id`.

    zone   the time zone of times that are written with an offset from UTC, where a user names it
    """

    id: str | None
    time: str
    targets: tuple[str, ...]
    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    wide: bool = False
    zone: str | None = None

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns of numbers, in the order in which they are packed."""
        return (*self.targets, *self.past, *self.known)


class Rows(NamedTuple):
    """The rows of one series, in the order of time.

    times     int64 (T,)
    numbers   float64 (T, all columns of numbers)
    row       the number of the row that each comes from, (T,)
    """

    times: np.ndarray
    numbers: np.ndarray
    row: np.ndarray


@final
@dataclass(frozen=True, kw_only=True)
class SeriesTable:
    """Packed series; series i has the rows from `starts[i]` up to `stops[i]`.

    names      the series, in the order in which they first came, with the type that the data gives them
    static     the static values of each; None where one is missing
    style      how times are written
    place      how people find a row
    times      int64 (rows,)
    numbers    float64 (rows,) for each column of numbers
    row        the number of the record that each row comes from (rows,)
    unsorted   the series whose rows did not come in the order of time
    doubled    the series of which several rows have one time
    """

    columns: SeriesColumns
    names: tuple[Hashable, ...]
    static: tuple[tuple[Any, ...], ...]
    style: TimeStyle
    place: Place
    times: np.ndarray
    numbers: tuple[np.ndarray, ...]
    row: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    unsorted: frozenset[int] = frozenset()
    doubled: frozenset[int] = frozenset()

    def __len__(self) -> int:
        """The number of series."""
        return len(self.names)

    @property
    def nbytes(self) -> int:
        """The memory of times and numbers, in bytes."""
        return self.times.nbytes + sum(column.nbytes for column in self.numbers)

    def rows(self, index: int) -> Rows:
        """The rows of one series."""
        own = self.own(index)
        return Rows(self.times[own], np.stack([column[own] for column in self.numbers], axis=1), self.row[own])

    def own(self, index: int) -> slice:
        """The row numbers of one series."""
        return slice(int(self.starts[index]), int(self.stops[index]))

    def until(self, stops: np.ndarray) -> "SeriesTable":
        """The same series, each only up to a row: a view, without copying."""
        return replace(self, stops=stops)


class Packed(NamedTuple):
    """Some rows: their series numbers, their times, each numeric column, and their record numbers, (T,) each."""

    owners: np.ndarray
    times: np.ndarray
    numbers: Sequence[np.ndarray]
    row: np.ndarray


@final
class Names:
    """The names of series in order of appearance, and their static values. Names with the same text are the same series."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._values: list[tuple[Hashable, bool]] = []
        self.static: dict[int, tuple[Any, ...]] = {}

    def __len__(self) -> int:
        return len(self._values)

    def number(self, value: Hashable, *, typed: bool) -> int:
        """The number of a series; `typed` says whether its name has a type, which text files do not give."""
        value = value.item() if isinstance(value, np.generic) else value
        text = str(value)
        found = self._numbers.setdefault(text, len(self._values))
        if found == len(self._values):
            self._values.append((value, typed))
        elif typed and not self._values[found][1]:
            self._values[found] = (value, True)
        return found

    def shown(self, number: int) -> str:
        """A name, formatted for display."""
        return str(self._values[number][0])

    def settled(self) -> tuple[Hashable, ...]:
        """All names: integers if all look like integers, else of their common type, else texts."""
        values = [value for value, _ in self._values]
        if all(
            isinstance(value, int) and not isinstance(value, bool) if typed else _WHOLE.fullmatch(str(value))
            for value, typed in self._values
        ):
            return tuple(int(value) for value in values)  # type: ignore[call-overload]
        return tuple(values) if len({type(value) for value in values}) == 1 else tuple(map(str, values))


@final
class _Growing:
    """A growing column in one piece of memory: many small pieces would fragment memory."""

    def __init__(self, dtype: type[np.generic]):
        self._values, self.count = np.empty(0, dtype=dtype), 0

    def add(self, values: np.ndarray) -> None:
        """Append values (T,)."""
        end = self.count + len(values)
        wide = self._values.dtype == np.int32 and len(values) > 0 and int(values.max()) > np.iinfo(np.int32).max
        if end > len(self._values) or wide:
            grown = np.empty(max(end, len(self._values) * 2), dtype=np.int64 if wide else self._values.dtype)  # costs nothing until filled
            grown[: self.count] = self._values[: self.count]
            self._values = grown
        self._values[self.count : end] = values
        self.count = end

    def taken(self) -> np.ndarray:
        """All values; the column is empty afterwards."""
        values = self._values[: self.count]
        self._values, self.count = self._values[:0], 0
        return values


@final
class Packer:
    """Collects rows; `table` sorts them, once."""

    def __init__(self, numbers: int) -> None:
        self.names = Names()
        self._owners, self._times, self._row = _Growing(np.int32), _Growing(np.int64), _Growing(np.int32)
        self._numbers = [_Growing(np.float64) for _ in range(numbers)]

    def add(self, rows: Packed) -> None:
        """Take some rows."""
        for column, values in zip(self._all, (rows.owners, rows.times, rows.row, *rows.numbers), strict=True):
            column.add(values)

    def mark(self) -> int:
        """A position that `rewind` can return to."""
        return self._owners.count

    def rewind(self, mark: int) -> None:
        """Discard the rows added since."""
        for column in self._all:
            column.count = mark

    @property
    def _all(self) -> list[_Growing]:
        return [self._owners, self._times, self._row, *self._numbers]

    def table(self, columns: SeriesColumns, style: TimeStyle, place: Place) -> SeriesTable:
        """All rows, sorted. Nothing can be added any more."""
        owners = self._owners.taken()
        starts, order = _by_owner(owners, len(self.names))
        owners = owners if order is None else owners[order]
        times, unsorted, order = _by_time(self._times.taken(), owners, starts, order)
        doubled = frozenset(owners[1:][(times[1:] == times[:-1]) & (owners[1:] == owners[:-1])].tolist())
        del owners
        stored = [times]
        for column in (*self._numbers, self._row):
            values = column.taken()
            stored.append(values if order is None else values[order])
        times, *numbers, row = _on_disk(stored)
        return SeriesTable(
            columns=columns,
            names=self.names.settled(),
            static=tuple(self.names.static.get(number, ()) for number in range(len(self.names))),
            style=style,
            place=place,
            times=times,
            numbers=tuple(numbers),
            row=row,
            starts=starts[:-1],
            stops=starts[1:],
            unsorted=unsorted,
            doubled=doubled,
        )


def _by_owner(owners: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray | None]:
    """The first row of each series (N + 1,), and the order that sorts rows by series; None if they are sorted."""
    counts = np.zeros(count, dtype=np.int64)
    for begin in range(0, len(owners), _COUNTED):  # which makes wider numbers of all that it is given
        counts += np.bincount(owners[begin : begin + _COUNTED], minlength=count)
    starts = np.concatenate([[0], np.cumsum(counts)])
    return starts, None if (owners[1:] >= owners[:-1]).all() else _compact(np.argsort(owners, kind="stable"))


def _by_time(
    times: np.ndarray, owners: np.ndarray, starts: np.ndarray, order: np.ndarray | None
) -> tuple[np.ndarray, frozenset[int], np.ndarray | None]:
    """Times sorted within each series, the series that were not sorted, and the order of all rows."""
    if order is not None:
        times = times[order]
    back = np.flatnonzero((times[1:] < times[:-1]) & (owners[1:] == owners[:-1]))
    unsorted = np.unique(owners[back])
    if not len(unsorted):
        return times, frozenset(), order
    order = _compact(np.arange(len(times))) if order is None else order
    times = np.array(times)
    for series in unsorted:
        own = slice(int(starts[series]), int(starts[series + 1]))
        within = np.argsort(times[own], kind="stable")
        times[own], order[own] = times[own][within], order[own][within]
    return times, frozenset(int(series) for series in unsorted), order


def _compact(order: np.ndarray) -> np.ndarray:
    return order if len(order) >= 2**31 else order.astype(np.int32)


def _on_disk(columns: list[np.ndarray]) -> list[np.ndarray]:
    """The columns, moved to disk if they are large; the file is deleted with its memory map."""
    if sum(column.nbytes for column in columns) <= _MEMORY:
        return columns
    found = []
    for place, column in enumerate(columns):
        with tempfile.TemporaryFile() as file:
            np.ascontiguousarray(column).tofile(file)
            file.flush()
            found.append(np.memmap(file, dtype=column.dtype, mode="r").view(np.ndarray))
        columns[place] = found[-1]
    return found
