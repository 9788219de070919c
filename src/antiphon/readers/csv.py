"""Tables separated by commas, or another delimiter, with quotes; a quoted value may contain line ends."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from antiphon.contracts.reader import Located, ReaderPlugin, Reading
from antiphon.data.byte_streams import read_lines
from antiphon.data.tables import rows_of
from antiphon.errors import DataError


def read(reading: Reading) -> Located:
    """A record for each row, after a first one with the names of the columns."""
    file = reading.file
    rows = _rows(reading.path, read_lines(reading.path, file.encoding, with_ends=True), file.delimiter)
    return rows_of(reading.path, rows, file.columns, reading.required, file.delimiter)


def _rows(path: Path, lines: Iterator[tuple[int, str]], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows of a csv file; line ends within a quoted cell are kept. The number is that of the row's first line."""
    # The limit is process-wide; its default of 128 KiB would refuse long documents, and only raising it harms nobody.
    if csv.field_size_limit() < sys.maxsize:
        csv.field_size_limit(sys.maxsize)
    reader = csv.reader((line for _, line in lines), strict=True, delimiter=delimiter)
    first = 1
    try:
        for cells in reader:
            yield first, cells
            first = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}:{first} must be a row of csv, but its quotes do not match ({error}). Double a quote inside a quoted value."
        ) from error


plugin = ReaderPlugin(
    name="csv",
    summary="commas (or `delimiter`) and quotes; a quoted value may hold line ends",
    suffixes=(".csv",),
    read=read,
    settings=frozenset({"encoding", "columns", "delimiter", "decimal"}),
    has_types=False,
)
