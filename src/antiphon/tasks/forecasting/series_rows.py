"""Collects the user's rows in a packed table, which is read once and used for fitting, holding out and corpora.

The rows of several files are those of one table, so that a series may go on in the next file.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, final, runtime_checkable

import numpy as np

from antiphon.contracts.records import Record, Records
from antiphon.data.records import JoinedRecords
from antiphon.data.series_reading import Progress, read_table
from antiphon.data.series_table import SeriesColumns, SeriesTable
from antiphon.errors import DataError


@runtime_checkable
class HasTable(Protocol):
    """Records with a table of series, or a view of one."""

    def table(self, progress: Progress | None = None) -> SeriesTable: ...


def open_table(records: Any, columns: SeriesColumns, required: Sequence[str], progress: Progress | None = None) -> SeriesTable:
    """The series in any rows. Raises DataError where there are none, or one is invalid."""
    if isinstance(records, HasTable):
        return records.table(progress)
    whole = getattr(records, "whole", None)  # what inputs that are read one by one, and splits, know of themselves
    records = whole if isinstance(whole, Records) else records
    if isinstance(records, HasTable):
        return records.table(progress)
    if isinstance(records, JoinedRecords) and all(isinstance(part, HasTable) for part in records.parts):
        return _joined([part.table(progress) for part in records.parts if isinstance(part, HasTable)])
    return read_table(records, columns, required, progress)


def joined_files(parts: Sequence[tuple[Records, float]], columns: SeriesColumns, required: Sequence[str]) -> list[tuple[Records, float]]:
    """Files of equal weight joined into one, without duplicates."""
    by_weight: dict[float, list[Records]] = defaultdict(list)
    for records, weight in parts:
        by_weight[weight].append(records)
    return [(SeriesRecords(same, columns, required), weight) for weight, same in by_weight.items()]


@final
class SeriesRecords(Records):
    """The rows of some files, and their table, which is read on first use and kept."""

    def __init__(self, parts: Sequence[Records], columns: SeriesColumns, required: Sequence[str]):
        self.inner = parts[0] if len(parts) == 1 else JoinedRecords(parts)
        self.columns, self.required = columns, tuple(required)
        self._table: SeriesTable | None = None

    def table(self, progress: Progress | None = None) -> SeriesTable:
        """The series. Raises DataError where there are none, or a row is invalid."""
        if self._table is None:
            self._table = read_table(self.inner, self.columns, self.required, progress)
        return self._table

    def __call__(self) -> Iterator[tuple[int, Record]]:
        return self.inner()

    def place(self, number: int) -> str:
        """The place of the row in its file."""
        return self.inner.place(number)

    def label(self, number: int) -> str:
        """The row's label in its file."""
        return self.inner.label(number)

    def signature(self) -> str:
        """The signature of the files."""
        return hashlib.sha256(f"series:{self.inner.signature()}:{self.columns}".encode()).hexdigest()


def _joined(tables: Sequence[SeriesTable]) -> SeriesTable:
    """The series of several tables; a series must not be in two, as it would be unclear how often it is shown."""
    weights: dict[str, int] = {}
    for number, table in enumerate(tables):
        for index, name in enumerate(table.names):
            if weights.setdefault(str(name), number) != number:
                place = table.place(int(table.row[table.starts[index]]))
                raise DataError(f"{place}, series `{name}`: a series must have one `weight`, but goes on in a file of another weight.")
    first, *others = tables
    if not others:
        return first
    if any(other.style.calendar != first.style.calendar or other.style.zone != first.style.zone for other in others):
        raise DataError("The times of all files must be of one kind and zone, but are not.")
    shifts = np.cumsum([0, *(len(table.times) for table in tables)])
    rows = np.cumsum([0, *(int(table.row.max(initial=-1)) + 1 for table in tables)])

    def place_of(number: int) -> str:
        part = int(np.searchsorted(rows, number, side="right")) - 1
        return tables[part].place(number - int(rows[part]))

    counts = np.cumsum([0, *(len(table) for table in tables)])
    return replace(
        first,
        names=tuple(name for table in tables for name in table.names),
        static=tuple(static for table in tables for static in table.static),
        place=place_of,
        times=np.concatenate([table.times for table in tables]),
        numbers=tuple(np.concatenate(columns) for columns in zip(*(table.numbers for table in tables), strict=True)),
        row=np.concatenate([table.row + start for table, start in zip(tables, rows, strict=False)]),
        starts=np.concatenate([table.starts + shift for table, shift in zip(tables, shifts, strict=False)]),
        stops=np.concatenate([table.stops + shift for table, shift in zip(tables, shifts, strict=False)]),
        unsorted=frozenset(index + int(count) for table, count in zip(tables, counts, strict=False) for index in table.unsorted),
        doubled=frozenset(index + int(count) for table, count in zip(tables, counts, strict=False) for index in table.doubled),
    )
