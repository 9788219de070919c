"""Reads files of series by columns: in blocks of lines, or in data frames from readers; regular files need no loop over rows.

Whatever is not regular (`IrregularError`) is read again row by row, by the readers that all tasks use, which say what is wrong and where.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from antiphon.contracts.reader import IrregularError
from antiphon.contracts.records import Records
from antiphon.data.file_records import FileRecords
from antiphon.data.records import FrameRecords, TextRows
from antiphon.data.series_table import SeriesColumns
from antiphon.data.series_times import repeats
from antiphon.data.table_blocks import blocks_of, names_in, parsed

if TYPE_CHECKING:
    import polars

_ROWS = 500_000


def frames_of(records: Records, columns: SeriesColumns) -> Iterator["polars.DataFrame"] | None:
    """All rows of a source as data frames; None if it has none. Raises IrregularError when it turns out to be irregular."""
    if isinstance(records, FrameRecords):
        _check_columns(records.frame.columns, columns)
        slices: Iterator[polars.DataFrame] = records.frame.iter_slices(_ROWS)
        return slices
    if not isinstance(records, FileRecords) or len(records.paths) != 1:
        return None
    if records.reader.frames is not None:
        return records.reader.frames(records.reading, None if columns.wide else _needed(columns))
    if records.format in ("csv", "tsv") and records.file.encoding.lower().replace("-", "") == "utf8":
        return _lines(records, columns)
    return None


def has_types(records: Records) -> bool:
    """Whether the values of a source have types, which text files do not give."""
    return not isinstance(records, TextRows) and not (isinstance(records, FileRecords) and not records.reader.has_types)


def _lines(records: FileRecords, columns: SeriesColumns) -> Iterator["polars.DataFrame"]:
    separator, quotes = ("\t", False) if records.format == "tsv" else (records.file.delimiter, True)
    if not separator.isascii():
        raise IrregularError
    names, known = list(records.file.columns), set[str]()  # columns in which the same texts come again and again
    for block in blocks_of(records.paths[0], quotes):
        if not names:
            head, _, block = block.partition(b"\n")
            names = names_in(head, separator, quotes)
            if not block:
                raise IrregularError
        _check_columns(names, columns)
        numbers = set(names) - {columns.time} if columns.wide else set(columns.numbers)
        frame = parsed(block, names, separator, quotes, numbers=numbers, repeated=known, decimal=records.file.decimal)
        if not columns.wide:
            frame = frame.select(_needed(columns))
            known = known or {name for name in (columns.id, columns.time) if name is not None and repeats(frame[name])}
        yield frame


def _needed(columns: SeriesColumns) -> tuple[str, ...]:
    return (*(() if columns.id is None else (columns.id,)), columns.time, *columns.numbers, *columns.static)


def _check_columns(there: Sequence[str], columns: SeriesColumns) -> None:
    needed = (columns.time, *columns.known) if columns.wide else _needed(columns)
    if not set(needed) <= set(there):
        raise IrregularError
