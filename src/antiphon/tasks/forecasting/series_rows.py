"""Rows of the user's data -> the table that series are read from, with what is wrong named by its place."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from antiphon.contracts.records import Record
from antiphon.data.series import RowTable, SeriesColumns
from antiphon.errors import DataError

Place = Callable[[int], str]
"""How people find the row of this number."""


@runtime_checkable
class Located(Protocol):
    """Records that know where each of them stands."""

    def __call__(self) -> Iterator[tuple[int, Record]]: ...

    def place(self, number: int) -> str: ...


def open_rows(records: Iterable[Any], series: SeriesColumns, columns: Sequence[str]) -> tuple[RowTable, Place]:
    """All rows, and how to name the place of one. Raises DataError where rows are none, or lack one of `columns`."""
    if isinstance(records, Located):
        return read_rows(records(), records.place, series, columns), records.place
    return read_rows(enumerate(records), _record_place, series, columns), _record_place


def read_rows(records: Iterable[tuple[int, Record]], place: Place, series: SeriesColumns, columns: Sequence[str]) -> RowTable:
    """All rows. Raises DataError where there are none, or one lacks a column."""
    table = RowTable(series).read(_checked(records, columns, place), place)
    if not table.ids:
        raise DataError("There must be at least one row, but there is none.")
    return table


def watched(records: Iterator[tuple[int, Record]], progress: Callable[[int], None] | None) -> Iterator[tuple[int, Record]]:
    """The records, telling from time to time how many there were."""
    for number, record in records:
        yield number, record
        if progress is not None and number % 4096 == 4095:
            progress(number + 1)


def _checked(records: Iterable[tuple[int, Record]], columns: Sequence[str], place: Place) -> Iterator[tuple[int, Record]]:
    """The records, each seen to be a mapping with the columns."""
    for number, record in records:
        if not isinstance(record, Mapping):
            raise DataError(f"{place(number)} must be a row with the columns {', '.join(columns)}, but is a {type(record).__name__}.")
        for column in columns:
            if column not in record:
                raise DataError(
                    f"{place(number)} has no column `{column}`; it has: {', '.join(map(str, record))}. Say in `task` how yours are called"
                    " (`id`, `time`, `target`, ...)."
                )
        yield number, record


def _record_place(number: int) -> str:
    return f"record {number}"
