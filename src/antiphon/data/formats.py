"""One reader for each file format: lines in, (line number, record) out.

Tables (tsv, csv) have a first line that names the columns unless `columns` names them. jsonl holds one object a line. Two line-aligned
text files are one record a line; a single text file is a table of one column. Parquet is read batch by batch.

Unusual here: tsv knows no quoting, as translation corpora are full of unpaired quotation marks; csv is the format with quotes. Blank lines
are accepted only at the end of a table, since one in the middle is more often a lost record than a decoration.
"""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from antiphon.contracts.records import Record
from antiphon.data.byte_streams import COMPRESSIONS, check_file, read_lines
from antiphon.errors import DataError, nearest

FORMATS = ("tsv", "csv", "jsonl", "parquet", "txt")

Located = Iterator[tuple[int, Record]]
"""(line number from 1, record)."""


def format_of(path: Path) -> str:
    """The format that a path's suffix names, compression aside.

    Raises DataError when it names none.
    """
    suffixes = [suffix for suffix in path.suffixes if suffix not in COMPRESSIONS]
    name = suffixes[-1].removeprefix(".").lower() if suffixes else ""
    name = {"ndjson": "jsonl", "tab": "tsv", "text": "txt"}.get(name, name)
    if name in FORMATS:
        return name
    raise DataError(
        f"The suffix of `{path}` must be one of {', '.join('.' + known for known in FORMATS)} (and .gz or .zst behind it). "
        f"Set `format` of this file.{nearest(name, FORMATS)}"
    )


def read_file(path: Path, kind: str, encoding: str, columns: Sequence[str], required: Sequence[str], text_column: str) -> Located:
    """Read the records of one file of the format `kind`. `text_column` names the column of a text file that has no `columns`."""
    if kind == "parquet":
        return _read_parquet(path, columns, required)
    if kind == "csv":
        return _table(path, _csv_rows(path, read_lines(path, encoding, with_ends=True)), columns, required)
    lines = read_lines(path, encoding)
    if kind == "jsonl":
        return _read_jsonl(path, lines, required)
    if kind == "txt":
        return _read_text(path, lines, tuple(columns) or (text_column,), required)
    return _table(path, ((number, line.split("\t") if line else []) for number, line in lines), columns, required)


def read_aligned(source: Path, target: Path, encoding: str, names: tuple[str, str]) -> Located:
    """Read two text files line by line side by side.

    Raises DataError when one has more lines than the other, with the counts of both.
    """
    both = zip_longest(read_lines(source, encoding), read_lines(target, encoding))
    for shared, (left, right) in enumerate(both):
        if left is None or right is None:
            rest = 1 + sum(1 for _ in both)
            counts = (shared, shared + rest) if left is None else (shared + rest, shared)
            raise DataError(
                f"Line-aligned files must have as many lines as each other, but `{source}` has {counts[0]} and `{target}` has {counts[1]}."
            )
        yield left[0], {names[0]: left[1], names[1]: right[1]}


def check_columns(there: Iterable[str], required: Sequence[str], place: str) -> None:
    """Raise DataError when a required column is missing, with the columns that there are."""
    known = list(there)
    for name in required:
        if name not in known:
            raise DataError(f"{place} has no column `{name}`; it has: {', '.join(map(str, known))}.{nearest(name, map(str, known))}")


def _read_text(path: Path, lines: Iterator[tuple[int, str]], columns: Sequence[str], required: Sequence[str]) -> Located:
    if len(columns) != 1:
        raise DataError(f"`columns` of the text file `{path}` must be one name, but is {', '.join(columns)}. A line is one value.")
    check_columns(columns, required, f"`{path}`")
    return ((number, {columns[0]: line}) for number, line in lines)


def _table(path: Path, rows: Iterator[tuple[int, list[str]]], columns: Sequence[str], required: Sequence[str]) -> Located:
    """Pair each row's cells with the columns' names."""
    names, place = list(columns), f"`{path}`"
    if not names:
        _, names = next(rows)
        place = f"The first line of `{path}`"
        if not names:
            raise DataError(f"{path}:1 must name the columns, but is blank. Name them there, or set `columns` of this file.")
    _check_names(path, names)
    check_columns(names, required, place)
    count, blank, found = len(names), 0, False
    for number, cells in rows:
        if not cells and count == 1:
            cells = [""]
        if not cells:
            blank = blank or number
            continue
        if blank:
            raise DataError(f"{path}:{blank} must hold {count} columns, but is blank. Remove the line, or fill it in.")
        if len(cells) != count:
            raise DataError(
                f"{path}:{number} must hold {count} columns ({', '.join(names)}), but holds {len(cells)}.{_why(path, cells, count)}"
            )
        yield number, dict(zip(names, cells, strict=True))
        found = True
    if not found:
        raise DataError(f"`{path}` has {'a first line' if not columns else 'blank lines'} but no records.")


def _why(path: Path, cells: list[str], count: int) -> str:
    if len(cells) > count:
        return " A separator inside a value splits it: remove it, or quote the value in a .csv file."
    return " Add what is missing, or remove the line."


def _check_names(path: Path, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"The columns of `{path}` must have different names, but `{twice[0]}` stands there twice.")


def _csv_rows(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    """Rows of a csv file; a quoted cell may hold line ends, which stay what they are. The number is that of the row's first line."""
    # The limit is process-wide; its default of 128 KiB would refuse long documents, and only raising it harms nobody.
    if csv.field_size_limit() < sys.maxsize:
        csv.field_size_limit(sys.maxsize)
    reader = csv.reader((line for _, line in lines), strict=True)
    first = 1
    try:
        for cells in reader:
            yield first, cells
            first = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}:{first} must be a row of csv, but its quotes do not match ({error}). Double a quote inside a quoted value."
        ) from error


def _read_jsonl(path: Path, lines: Iterator[tuple[int, str]], required: Sequence[str]) -> Located:
    blank, found = 0, False
    for number, line in lines:
        if not line.strip():
            blank = blank or number
            continue
        if blank:
            raise DataError(f"{path}:{blank} must be a JSON object, but is blank. Remove the line.")
        yield number, _json_object(path, number, line, required)
        found = True
    if not found:
        raise DataError(f"`{path}` has blank lines but no records.")


def _json_object(path: Path, number: int, line: str, required: Sequence[str]) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        hint = " The file begins like a JSON list: write one object a line instead." if number == 1 and line.startswith("[") else ""
        raise DataError(f"{path}:{number} must be JSON, but is not at character {error.colno}: {error.msg}.{hint}") from error
    except RecursionError as error:
        raise DataError(f"{path}:{number} must be a JSON object of plain values, but is nested too deeply to be read.") from error
    if not isinstance(record, dict):
        raise DataError(f'{path}:{number} must be a JSON object such as {{"source": ...}}, but is a {type(record).__name__}.')
    check_columns(record, required, f"{path}:{number}")
    return record


def _read_parquet(path: Path, columns: Sequence[str], required: Sequence[str]) -> Located:
    import polars

    if path.suffix in COMPRESSIONS:
        raise DataError(f"`{path}` must be a plain .parquet file, but is compressed from outside. Parquet compresses by itself: unpack it.")
    check_file(path)
    try:
        frame = polars.scan_parquet(path, glob=False)
        check_columns(frame.collect_schema(), [*columns, *required], f"`{path}`")
        number = 0
        for batch in frame.select(columns or polars.all()).collect_batches(chunk_size=1024, maintain_order=True):
            for record in batch.iter_rows(named=True):
                number += 1
                yield number, record
    except polars.exceptions.PolarsError as error:
        raise DataError(f"`{path}` cannot be read as parquet: {str(error).splitlines()[0]}.") from error
    if number == 0:
        raise DataError(f"`{path}` has columns but no records.")
