"""Parses the entries of a gettext PO file, each with the positions of its parts, so that one part can be replaced and all else stays.

The grammar is that of GNU gettext (manual, "The Format of PO Files"): keywords and texts in quotes in any arrangement of lines, comments
up to the end of a line, `#~` in front of what is obsolete.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, final

from antiphon.errors import DataError

WIDTH = 79
"""The most columns of a line that gettext's tools write."""
SINGULAR = -1
"""The number of `msgstr` without one."""

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\f\v]+)|(?P<end>\n)|(?P<obsolete>\#~(?!\|))|(?P<comment>\#[^\n]*)|"(?P<text>(?:[^"\\\n]|\\[^\n])*)"
    |(?P<keyword>msgid_plural|msgid|msgctxt|msgstr|domain)(?:[ \t]*\[[ \t]*(?P<number>\d+)[ \t]*\])?""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"(?:\\(?:[0-7]{1,3}|x[0-9A-Fa-f]{1,2}))+|\\(.)", re.DOTALL)
_CODE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2}))")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "a": "\a"}
_ESCAPED = {character: f"\\{letter}" for letter, character in _LETTERS.items()} | {"\\": "\\\\", '"': '\\"'}


@final
@dataclass
class Part:
    """A text of an entry: its positions, from the first quote to the last."""

    start: int
    end: int
    text: str = ""
    pieces: int = 0


@final
@dataclass
class Entry:
    """An entry. `parts` are found by keyword, `strings` by number of the plural form; `start` is the position of its first keyword."""

    start: int
    line: int
    obsolete: bool
    comments: list[tuple[int, str]]
    """Where each comment before it stands, and what it says, from # on."""
    parts: dict[str, Part] = field(default_factory=dict)
    strings: dict[int, Part] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The text of `msgid`."""
        return self.parts["msgid"].text

    @property
    def plural(self) -> str | None:
        """The text of `msgid_plural`; None without one."""
        return self.parts["msgid_plural"].text if "msgid_plural" in self.parts else None

    @property
    def context(self) -> str:
        """The text of `msgctxt`; empty without one."""
        return self.parts["msgctxt"].text if "msgctxt" in self.parts else ""

    @property
    def is_header(self) -> bool:
        """Whether it is the header of the file."""
        return not self.source and "msgctxt" not in self.parts and not self.obsolete

    @property
    def flags(self) -> frozenset[str]:
        """The flags after `#,`, and after `#=` (gettext 0.26)."""
        said = (comment[2:] for _, comment in self.comments if comment.startswith(("#,", "#=")))
        return frozenset(flag.strip() for one in said for flag in one.split(","))

    @property
    def is_fuzzy(self) -> bool:
        """Whether its translation needs a review."""
        return "fuzzy" in self.flags

    @property
    def note(self) -> str:
        """The comments of programmers and translators, one per line."""
        said = (
            comment[2:] if comment.startswith("#.") else comment[1:] for _, comment in self.comments if re.match(r"#(?:[.\s]|$)", comment)
        )
        return "\n".join(line.strip() for line in said if line.strip())


def entries(text: str, path: Path, encoding: str) -> Iterator[Entry]:
    """The entries of a file's text, in order, the header among them. Raises DataError that names file and line."""
    return _Parser(text, path, encoding).entries()


@final
class _Parser:
    """One pass over the tokens of a file."""

    def __init__(self, text: str, path: Path, encoding: str):
        self._text, self._path, self._encoding = text, path, encoding
        self._line, self._obsolete = 1, False
        self._comments: list[tuple[int, str]] = []
        self._entry: Entry | None = None
        self._part: Part | None = None

    def entries(self) -> Iterator[Entry]:
        """Each entry, once the next one begins."""
        place = 1 if self._text.startswith("\ufeff") else 0
        while place < len(self._text):
            token = _TOKEN.match(self._text, place)
            if token is None:
                self._fail(self._unknown(place))
            place, kind = token.end(), token.lastgroup
            if kind == "end":
                self._line, self._obsolete = self._line + 1, False
            elif kind == "obsolete":
                self._obsolete = True
            elif kind == "comment":
                self._comments.append((token.start(), token["comment"].rstrip("\r")))
                self._part = None
            elif kind == "text":
                self._add(token)
            elif kind in ("keyword", "number"):
                finished = self._begin(token)
                if finished is not None:
                    yield finished
        if self._entry is not None:
            yield self._finished(self._entry)

    def _begin(self, token: re.Match[str]) -> Entry | None:
        """Process a keyword; yields the entry that it ends, if any."""
        keyword, finished = token["keyword"], None
        if self._entry is not None and self._starts(keyword, self._entry):
            finished, self._entry = self._finished(self._entry), None
        self._part = Part(token.end(), token.end())
        if keyword == "domain":
            return finished
        if self._entry is None:
            if keyword not in ("msgid", "msgctxt"):
                self._fail(f"must have a msgid before this {keyword}")
            self._entry = Entry(token.start(), self._line, self._obsolete, self._comments)
            self._comments = []
        if keyword != "msgstr":
            self._entry.parts[keyword] = self._part
            return finished
        number = SINGULAR if token["number"] is None else int(token["number"])
        if number in self._entry.strings:
            self._fail("must not have a second msgstr of one number")
        if (number == SINGULAR) != ("msgid_plural" not in self._entry.parts):
            self._fail("must have `msgstr[0]`, `msgstr[1]` and so on just where it has a msgid_plural")
        self._entry.strings[number] = self._part
        return finished

    def _starts(self, keyword: str, entry: Entry) -> bool:
        """Whether a keyword cannot belong to the current entry, and so begins a new one."""
        if keyword in ("msgid", "msgctxt", "domain"):
            return bool(entry.strings) or "msgid" in entry.parts or keyword != "msgid"
        if "msgid" not in entry.parts:
            self._fail(f"must have a msgid before this {keyword}")
        if keyword == "msgid_plural" and (entry.strings or entry.plural is not None):
            self._fail("must have one msgid_plural, before its msgstr[0]")
        return False

    def _add(self, token: re.Match[str]) -> None:
        """Add a quoted text, which continues the previous one."""
        if self._part is None:
            self._fail("must have a keyword such as msgid before its text in quotes")
        if self._part.pieces == 0:
            self._part.start = token.start()
        self._part.pieces += 1
        self._part.end = token.end()
        self._part.text += self._unescaped(token["text"])

    def _finished(self, entry: Entry) -> Entry:
        if not entry.strings:
            raise DataError(f'{self._path}:{entry.line} must have a msgstr, but its entry ends without one. Add `msgstr ""`.')
        for part in (*entry.parts.values(), *entry.strings.values()):
            if part.pieces == 0:
                raise DataError(f'{self._path}:{entry.line} must have a text in quotes after each keyword; an empty one is "".')
        return entry

    def _unescaped(self, text: str) -> str:
        return _ESCAPE.sub(self._character, text) if "\\" in text else text

    def _character(self, found: re.Match[str]) -> str:
        if found[1] is not None:
            return _LETTERS.get(found[1], found[1])
        codes = bytes((int(octal, 8) if octal else int(hexadecimal, 16)) & 0xFF for octal, hexadecimal in _CODE.findall(found[0]))
        try:
            return codes.decode(self._encoding)
        except UnicodeDecodeError:
            self._fail(f"must be {self._encoding}, but its {found[0]} is not")

    def _unknown(self, place: int) -> str:
        rest = self._text[place : place + 1000].partition("\n")[0]
        if rest.startswith('"'):
            return "must have a quote at the end of its text"
        return f"must be a keyword such as msgid, a text in quotes, or a comment, but is {rest[:40]!r}"

    def _fail(self, what: str) -> NoReturn:
        raise DataError(f"{self._path}:{self._line} {what}. `msgfmt -c {self._path}` says more.")


def quoted(text: str, width: int, end: str) -> str:
    """A text in quotes as msgcat writes it: on one line if it fits, else "" followed by one line for each of its lines, broken after
    blanks.

    width   the most columns of what stands behind the keyword, quotes included; 0 for lines of any length
    end     the line end
    """
    lines, whole = re.findall(r"[^\n]*\n|[^\n]+", text), f'"{_escaped(text)}"'
    if len(lines) <= 1 and (width == 0 or len(whole) <= width):
        return whole
    return end.join(['""', *(f'"{piece}"' for line in lines for piece in _broken(_escaped(line), width and WIDTH - 2))])


def _escaped(text: str) -> str:
    return "".join(_ESCAPED.get(character, character) for character in text)


def _broken(line: str, width: int) -> Iterator[str]:
    """A line in pieces that end with blanks."""
    if width <= 0:
        yield line
        return
    piece = ""
    for word in re.findall(r"[^ ]* *", line):
        if piece and len(piece) + len(word.rstrip(" ")) > width:
            yield piece
            piece = ""
        piece += word
    if piece:
        yield piece
