"""JSON lines: a JSON object per line."""

import json
from collections.abc import Sequence
from pathlib import Path

from antiphon.contracts.reader import Located, ReaderPlugin, Reading
from antiphon.contracts.records import Record
from antiphon.data.byte_streams import read_lines
from antiphon.data.fields import check_columns, with_fields
from antiphon.errors import DataError


def read(reading: Reading) -> Located:
    """A record for each line; a required column may be a nested field, such as `translation.en`."""
    path, blank, found = reading.path, 0, False
    for number, line in read_lines(path, reading.file.encoding):
        if not line.strip():
            blank = blank or number
            continue
        if blank:
            raise DataError(f"{path}:{blank} must be a JSON object, but is blank. Remove the line.")
        yield number, json_object(path, number, line, reading.required)
        found = True
    if not found:
        raise DataError(f"`{path}` has blank lines but no records.")


def json_object(path: Path, number: int, line: str, required: Sequence[str]) -> Record:
    """The object on a line. Raises DataError when it is not an object, or lacks a required column."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        listed = number == 1 and line.startswith("[")
        hint = " The file begins like a JSON list: call it .json, or set `format: json` of it." if listed else ""
        raise DataError(f"{path}:{number} must be JSON, but is not at character {error.colno}: {error.msg}.{hint}") from error
    except RecursionError as error:
        raise DataError(f"{path}:{number} must be a JSON object of plain values, but is nested too deeply to be read.") from error
    if not isinstance(record, dict):
        raise DataError(f'{path}:{number} must be a JSON object such as {{"source": ...}}, but is a {type(record).__name__}.')
    whole = with_fields(record, required)
    check_columns(whole, required, f"{path}:{number}")
    return whole


plugin = ReaderPlugin(
    name="jsonl",
    summary="one JSON object per line; fields within objects as `translation.en`",
    suffixes=(".jsonl", ".ndjson"),
    read=read,
    line_of=lambda _, number: number + 1,
)
