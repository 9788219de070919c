"""JSON: a list of objects, or an object with one such list in it, such as {"data": [...]}. Several objects on lines of their own are JSON
lines.

Unusual here: a record is taken from the text when its brace closes, so that a file of many lines is never in memory as a whole. What is
left of the text, with a 0 for each record, must be JSON, too.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from antiphon.contracts.reader import Located, ReaderPlugin, Reading
from antiphon.data.byte_streams import read_lines
from antiphon.data.fields import check_columns, with_fields
from antiphon.errors import DataError
from antiphon.readers import jsonl

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:"]|[^\s,:"{}\[\]]+')
_OPENING = {"}": "{", "]": "["}


def read(reading: Reading) -> Located:
    """A record for each object; a required column may be a nested field, such as `translation.en`."""
    if _is_lines(reading.path, reading.file.encoding):
        yield from jsonl.read(reading)
        return
    found = False
    for number, record in _Text(reading.path).records(reading.file.encoding):
        whole = with_fields(record, reading.required)
        check_columns(whole, reading.required, f"{reading.path}:{number}")
        yield number, whole
        found = True
    if not found:
        raise DataError(f"`{reading.path}` has no objects, which would be its records.")


def _is_lines(path: Path, encoding: str) -> bool:
    """Whether the first line is a complete object, followed by another one."""
    lines = list(islice((line for _, line in read_lines(path, encoding) if line.strip()), 2))
    try:
        return len(lines) == 2 and isinstance(json.loads(lines[0]), dict)
    except (ValueError, RecursionError):
        return False


@dataclass
class _Text:
    """A file that is read in pieces."""

    path: Path
    open: list[tuple[str, int]] = field(default_factory=list)
    """The brackets that are open, with their lines."""
    base: int | None = None
    """How many are open around a record, once that is known."""
    list_line: int | None = None
    """Where the list of the records begins."""
    rest: list[str] = field(default_factory=list)
    """The text without the records."""
    before: str = ""
    """The last piece."""
    held: list[str] | None = None
    """The text of the record that has begun."""

    def records(self, encoding: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """(line, record) of each record. Raises DataError with the line for invalid JSON."""
        first = 0
        for number, line in read_lines(self.path, encoding, with_ends=True):
            cut = 0
            for match in _TOKEN.finditer(line):
                piece = match[0]
                if self.held is None and self._begins(piece, number):
                    self.rest.append(line[cut : match.start()])
                    cut, first, self.held = match.start(), number, []
                self._follow(piece, number)
                if self.held is not None and len(self.open) == self.base:
                    yield first, self._loaded("".join([*self.held, line[cut : match.end()]]), first)
                    self.rest.append("0")
                    cut, self.held = match.end(), None
                self.before = piece
            (self.rest if self.held is None else self.held).append(line[cut:])
        if self.open:
            bracket, number = self.open[-1]
            raise DataError(f"`{self.path}` ends before the {bracket} in line {number} is closed. Copy or download it again.")
        left = self._loaded("".join(self.rest), 1, any_value=True)
        if self.list_line is None:
            if left and not isinstance(left, dict):
                kind = "list of others" if isinstance(left, list) else type(left).__name__
                raise DataError(f"`{self.path}` must be a list of objects, or an object, but is a {kind}.")
            if left:
                yield 1, left

    def _begins(self, piece: str, number: int) -> bool:
        """Whether a record begins with this piece of text; also detects where the list of records begins."""
        if self.base is None and piece == "{" and self.before == "[" and self._in_list():
            if self.list_line is not None:
                raise DataError(
                    f"`{self.path}` must have one list of objects, which are its records, but a second one begins in line {number}."
                    f" Write each to a file of its own."
                )
            self.base, self.list_line = len(self.open), self.open[-1][1]
        if self.base is None or len(self.open) != self.base or piece in ",]":
            return False
        if piece != "{":
            raise DataError(f'{self.path}:{number} must be a JSON object such as {{"source": ...}}, but is {piece[:60]}.')
        return True

    def _in_list(self) -> bool:
        """Whether the open brackets are a list at the top, or one in an object at the top."""
        brackets = "".join(bracket for bracket, _ in self.open)
        return brackets in ("[", "{[")

    def _follow(self, piece: str, number: int) -> None:
        """Update the stack of open brackets."""
        if piece in "{[":
            self.open.append((piece, number))
        elif piece in "}]":
            if not self.open or self.open[-1][0] != _OPENING[piece]:
                raise DataError(f"{self.path}:{number} must be JSON, but a {piece} closes nothing.")
            self.open.pop()
            if self.base is not None and len(self.open) < self.base:
                self.base = None
        elif piece == '"':
            raise DataError(f"{self.path}:{number} must be JSON, but a text that begins with a quote does not end in its line.")

    def _loaded(self, text: str, first: int, *, any_value: bool = False) -> Any:
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            line = first + error.lineno - 1
            raise DataError(f"{self.path}:{line} must be JSON, but is not at character {error.colno}: {error.msg}.") from error
        except RecursionError as error:
            raise DataError(f"{self.path}:{first} must be a JSON object of plain values, but is nested too deeply to be read.") from error
        assert any_value or isinstance(value, dict), "it begins with a brace"
        return value


plugin = ReaderPlugin(
    name="json",
    summary='a list of objects, or {"data": [...]}; fields within objects as `translation.en`',
    suffixes=(".json",),
    read=read,
)
