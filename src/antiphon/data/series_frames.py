"""Files of series by columns: polars reads blocks of lines, batches of parquet, and frames, and what is regular needs no loop.

Unusual: polars pads short rows and skips blank lines without a word, so cells and lines of each block are counted. Whatever is not as
regular as that (`IrregularError`) is read again row by row, by the readers that all tasks use, which say what is wrong and where.
"""

import csv
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import zstandard

from antiphon.contracts.records import Records
from antiphon.data.byte_streams import open_bytes
from antiphon.data.file_records import FileRecords
from antiphon.data.records import FrameRecords, TextRows
from antiphon.data.series_table import SeriesColumns
from antiphon.data.series_times import repeats

if TYPE_CHECKING:
    import polars

_BLOCK = 16 * 2**20
_ROWS = 500_000
_MARK = b"\xef\xbb\xbf"


class IrregularError(Exception):
    """The source must be read row by row."""


def frames_of(records: Records, columns: SeriesColumns) -> Iterator["polars.DataFrame"] | None:
    """All rows of a source in frames; None where it has none. Raises IrregularError when it turns out not to be regular."""
    if isinstance(records, FrameRecords):
        _check_columns(records.frame.columns, columns)
        slices: Iterator[polars.DataFrame] = records.frame.iter_slices(_ROWS)
        return slices
    if not isinstance(records, FileRecords) or len(records.paths) != 1:
        return None
    if records.reader.frames is not None:
        return records.reader.frames(records.reading)
    if records.format == "parquet":
        return _parquet(records.paths[0], columns)
    plain = records.file.delimiter == "," and records.file.decimal == "."
    if plain and records.format in ("csv", "tsv") and records.file.encoding.lower().replace("-", "") == "utf8":
        return _lines(records, columns)
    return None


def has_types(records: Records) -> bool:
    """Whether what a source holds has types, as text in a file of text has not."""
    return not isinstance(records, TextRows) and not (isinstance(records, FileRecords) and not records.reader.has_types)


def _parquet(path: Path, columns: SeriesColumns) -> Iterator["polars.DataFrame"]:
    import polars

    try:
        frame = polars.scan_parquet(path, glob=False)
        there = frame.collect_schema().names()
        _check_columns(there, columns)
        if not columns.wide:
            frame = frame.select(_needed(columns))
        empty = True
        for batch in frame.collect_batches(chunk_size=_ROWS, maintain_order=True):
            empty = False
            yield batch
    except (polars.exceptions.PolarsError, OSError) as error:
        raise IrregularError from error
    if empty:
        raise IrregularError


def _lines(records: FileRecords, columns: SeriesColumns) -> Iterator["polars.DataFrame"]:
    separator, quotes = ("\t", False) if records.format == "tsv" else (",", True)
    names, known = list(records.file.columns), set[str]()  # columns in which the same texts come again and again
    for block in _blocks(records.paths[0], quotes):
        if not names:
            head, _, block = block.partition(b"\n")
            names = _head(head, separator, quotes)
            if not block:
                raise IrregularError
        frame = _parsed(block, names, known, columns, separator, quotes)
        if not known and not columns.wide:
            known = {name for name in (columns.id, columns.time) if name is not None and repeats(frame[name])}
        yield frame


def _blocks(path: Path, quotes: bool) -> Iterator[bytes]:
    """The file in blocks of whole lines; the blank lines at its end are left out."""
    rest, first = b"", True
    try:
        with open_bytes(path) as file:
            while True:
                read = file.read(_BLOCK)
                if not read:
                    break
                rest += read
                if first:
                    rest, first = rest.removeprefix(_MARK), False
                cut = _before_blank_lines(rest, _last_end(rest, quotes))
                if cut:
                    block, rest = rest[:cut], rest[cut:]
                    yield block
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise IrregularError from error
    last = rest.rstrip(b"\r\n")
    if last:
        yield last + b"\n"


def _before_blank_lines(text: bytes, cut: int) -> int:
    """Where the last line ends that is not blank: those behind it may be the end of the file."""
    while text.endswith((b"\n\n", b"\n\r\n"), 0, cut):
        cut = text.rfind(b"\n", 0, cut - 1) + 1
    return cut


def _last_end(text: bytes, quotes: bool) -> int:
    """Where the last line ends that is whole; a line end between quotes is none."""
    cut = text.rfind(b"\n") + 1
    if not quotes or b'"' not in text or text.count(b'"', 0, cut) % 2 == 0:
        return cut
    array = np.frombuffer(text, dtype=np.uint8)
    ends = np.flatnonzero((array == 10) & ~_quoted(array))
    return int(ends[-1]) + 1 if len(ends) else 0


def _quoted(array: np.ndarray) -> np.ndarray:
    """Which bytes stand between quotes."""
    inside: np.ndarray = np.logical_xor.accumulate(array == 34)
    return inside


def _head(line: bytes, separator: str, quotes: bool) -> list[str]:
    try:
        text = line.decode().removesuffix("\r")
        names = next(csv.reader([text], strict=True)) if quotes else text.split(separator)
    except (UnicodeDecodeError, csv.Error, StopIteration) as error:
        raise IrregularError from error
    if len(set(names)) != len(names):
        raise IrregularError
    return names


def _parsed(block: bytes, names: list[str], known: set[str], columns: SeriesColumns, separator: str, quotes: bool) -> "polars.DataFrame":
    """Lines as a frame: numbers as numbers where all of them are, everything else as text."""
    import polars

    _check_columns(names, columns)
    _check_text(block)
    numbers = set(names) - {columns.time} if columns.wide else set(columns.numbers)
    frame = None
    for kind in (polars.Float64, polars.String):
        try:
            frame = polars.read_csv(
                block,
                has_header=False,
                separator=separator,
                quote_char='"' if quotes else None,
                schema={name: kind if name in numbers else polars.Categorical if name in known else polars.String for name in names},
            )
            break
        except polars.exceptions.PolarsError:
            continue
    if frame is None:
        raise IrregularError
    array = np.frombuffer(block, dtype=np.uint8)
    ends, separators = array == 10, array == ord(separator)
    if quotes and b'"' in block:
        outside = ~_quoted(array)
        ends, separators = ends & outside, separators & outside
    lines, cells = np.count_nonzero(ends), np.count_nonzero(separators)
    if frame.height != lines or cells != lines * (len(names) - 1):
        raise IrregularError
    return frame if columns.wide else frame.select(_needed(columns))


def _check_text(block: bytes) -> None:
    if b"\0" in block:
        raise IrregularError
    if not block.isascii():
        try:
            block.decode()
        except UnicodeDecodeError as error:
            raise IrregularError from error


def _needed(columns: SeriesColumns) -> list[str]:
    return [*([] if columns.id is None else [columns.id]), columns.time, *columns.numbers, *columns.static]


def _check_columns(there: Sequence[str], columns: SeriesColumns) -> None:
    needed = [columns.time, *columns.known] if columns.wide else _needed(columns)
    if not set(needed) <= set(there):
        raise IrregularError
