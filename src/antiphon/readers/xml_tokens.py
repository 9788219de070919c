"""Tokenizes an XML file with positions, so that the file can be written again byte for byte except for new parts.

Unusual here: expat reads the file beside the tokenizer and is what decides whether it is XML (W3C, Extensible Markup Language 1.0); the
tokenizer only finds where each tag begins and ends, which no parser tells. Entities that a file declares are refused, and what a document
type names outside the file is never opened: so a file can neither grow without bounds nor read others.
"""

import codecs
import io
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple
from xml.parsers import expat

from antiphon.data.byte_streams import DAMAGES, damaged, mark_of, open_bytes
from antiphon.errors import DataError

Kind = Literal["start", "end", "empty", "text", "verbatim", "other"]

_BLOCK = 1 << 16
_DECLARED = re.compile(rb"""<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z][\w.-]*)["']""")
_TAG = re.compile(r"""<(/?)([^\s/>"']+)(?:[^>"']|"[^"]*"|'[^']*')*>""")
_DOCTYPE = re.compile(r"""<!DOCTYPE(?:[^>"'\[]|"[^"]*"|'[^']*'|\[(?:<!--.*?-->|<\?.*?\?>|"[^"]*"|'[^']*'|[^\]"'])*\])*>""", re.DOTALL)
_ATTRIBUTE = re.compile(r"""\s([^\s=/>"']+)\s*=\s*("[^"]*"|'[^']*')""")
_REFERENCE = re.compile(r"&(#x[0-9A-Fa-f]+|#\d+|[^;\s]+);")
_ROOT = re.compile(rb"\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*|<!DOCTYPE[^>\[]*(?:\[[^\]]*\]\s*)?>\s*)*<(?:[\w.-]+:)?([\w.-]+)[\s/>]", re.DOTALL)
_SPACE = re.compile(r"\r\n|[\t\n\r]")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Token(NamedTuple):
    """A tag, a text, or another part of an XML file."""

    kind: Kind
    """`verbatim` is a CDATA section; `other` a comment, an instruction or a document type."""
    name: str
    """The name of a tag without its prefix; empty for what is none."""
    raw: str
    """As it stands in the file."""
    begin: int
    """Where, in characters from the beginning of the decoded file, a byte order mark aside."""
    line: int
    """On which line, from 1."""

    @property
    def end(self) -> int:
        """The position after it."""
        return self.begin + len(self.raw)

    @property
    def text(self) -> str:
        """The text of a text node or a CDATA section; empty for all else."""
        if self.kind == "verbatim":
            return _with_line_ends(self.raw[9:-3])
        return unescaped(_with_line_ends(self.raw)) if self.kind == "text" else ""

    @property
    def prefix(self) -> str:
        """The prefix of the tag's name, with its colon."""
        found = _TAG.match(self.raw)
        name = found[2] if found else ""
        return name[: len(name) - len(self.name)]

    def attributes(self) -> dict[str, str]:
        """The attributes of a tag, by prefixed name."""
        return dict(_attributes(self.raw))


@lru_cache(maxsize=1024)  # a file has the same few tags many times
def _attributes(tag: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, unescaped(_SPACE.sub(" ", value[1:-1]))) for name, value in _ATTRIBUTE.findall(tag))


def with_attribute(tag: str, name: str, value: str) -> str:
    """A start or empty tag as written, with a new value for one attribute, which is appended if it is missing."""
    for found in _ATTRIBUTE.finditer(tag):
        if found[1] == name:
            return f'{tag[: found.start(2)]}"{escaped_value(value)}"{tag[found.end(2) :]}'
    tail = "/>" if tag.endswith("/>") else ">"
    body = tag[: -len(tail)]
    return f'{body.rstrip()} {name}="{escaped_value(value)}"{body[len(body.rstrip()) :]}{tail}'


def with_attributes(tag: str, values: Mapping[str, str]) -> str:
    """The same for several attributes."""
    for name, value in values.items():
        tag = with_attribute(tag, name, value)
    return tag


def unescaped(text: str) -> str:
    """A text with its references resolved. Raises DataError for one that XML does not define."""

    def meant(found: re.Match[str]) -> str:
        name = found[1]
        if name.startswith("#"):
            return chr(int(name[2:], 16) if name[1] == "x" else int(name[1:]))
        if name not in _NAMED:
            raise DataError(f"`&{name};` stands for nothing in XML. Write the character itself.")
        return _NAMED[name]

    return _REFERENCE.sub(meant, text) if "&" in text else text


def escaped(text: str) -> str:
    """A text escaped for use between tags. Raises DataError for a character that XML cannot contain."""
    if (found := _NOT_XML.search(text)) is not None:
        raise DataError(f"the translation has the character U+{ord(found[0]):04X}, which XML cannot hold")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def escaped_value(text: str) -> str:
    """A text escaped for use within quotation marks."""
    return escaped(text).replace('"', "&quot;").replace("\t", "&#9;").replace("\n", "&#10;")


def tokens(path: Path) -> Iterator[Token]:
    """The tags, texts and other parts of a file, in order; together they contain all of its characters.

    Raises DataError, with file and line, for what is no XML, is cut off, or declares entities.
    """
    with open_bytes(path) as file:
        yield from _Tokenizer(path, file).tokens()


class XmlText(NamedTuple):
    """A complete file, decoded."""

    text: str
    mark: bytes
    encoding: str

    def encoded(self, text: str) -> bytes:
        """Another text, encoded like the file; characters that its encoding lacks become references."""
        return self.mark + text.encode(self.encoding, "xmlcharrefreplace")


def whole(path: Path) -> XmlText:
    """The text of a file. Raises DataError when its encoding would not restore the same bytes."""
    with open_bytes(path) as file:
        content = file.read()
    mark, encoding = _encoding(path, content[:1024])
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise _undecodable(path, content[: error.start].count(b"\n") + 1, encoding) from error
    found = XmlText(text, mark, encoding)
    if found.encoded(text) != content:
        raise DataError(f"`{path}` is {encoding} written in an unusual way, and could not be written again as it is. Convert it to utf-8.")
    return found


def root_of(opening: bytes) -> str:
    """The name of the root element of a file with this opening, without its prefix; empty if it is not XML."""
    found = _ROOT.match(opening)
    return found[1].decode("utf-8", "replace") if found else ""


def _encoding(path: Path, opening: bytes) -> tuple[bytes, str]:
    """The byte order mark of a file, and its encoding: that of the mark, or the declared one, or UTF-8."""
    mark, encoding = mark_of(opening)
    if mark:
        return mark, encoding
    if opening[:4] in (b"<\0?\0", b"\0<\0?"):
        return b"", "utf-16-le" if opening[1] == 0 else "utf-16-be"
    declared = _DECLARED.match(opening.lstrip())
    name = declared[1].decode() if declared else "utf-8"
    try:
        return b"", codecs.lookup(name).name
    except LookupError as error:
        raise DataError(f"`{path}` says that its encoding is {name}, which Python does not know. Convert it to utf-8.") from error


def _undecodable(path: Path, line: int, encoding: str) -> DataError:
    return DataError(f"{path}:{line} is not {encoding}, as its declaration says or as XML without one must be. Correct the declaration.")


def _with_line_ends(text: str) -> str:
    """Line ends normalized as in XML."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


class _Tokenizer:
    """Reads a file block by block; expat is always ahead of the tokens that are yielded."""

    def __init__(self, path: Path, file: io.BufferedReader):
        self._path, self._file = path, file
        self._buffer, self._at, self._place, self._line, self._ended = "", 0, 0, 1, False
        self._parser = expat.ParserCreate("utf-8")
        self._parser.EntityDeclHandler = self._refuse
        opening = file.read(_BLOCK)
        mark, self._encoding = _encoding(path, opening)
        self._decoder = codecs.getincrementaldecoder(self._encoding)()
        self._take(opening[len(mark) :])

    def _refuse(self, name: str, *_: object) -> None:
        raise DataError(
            f"{self._path}:{self._parser.CurrentLineNumber} declares the entity `{name}`, which is not followed, as entities may read other"
            " files or grow without bounds. Replace it by what it stands for."
        )

    def _take(self, block: bytes) -> None:
        """Check a block, and append it to what has not been yielded yet."""
        self._ended = not block
        try:
            text = self._decoder.decode(block, final=self._ended)
        except UnicodeDecodeError as error:
            raise _undecodable(self._path, self._parser.CurrentLineNumber, self._encoding) from error
        try:
            self._parser.Parse(text.encode("utf-8", "surrogatepass"), self._ended)
        except expat.ExpatError as error:
            raise DataError(f"{self._path}:{error.lineno} must be XML, but is not: {expat.ErrorString(error.code)}.") from error
        self._buffer, self._at = self._buffer[self._at :] + text, 0

    def tokens(self) -> Iterator[Token]:
        """The tokens, one after another."""
        while True:
            token = self._next()
            while token is None:
                if self._ended:
                    return
                try:
                    self._take(self._file.read(_BLOCK))
                except DAMAGES as error:
                    raise damaged(self._path, self._line, error) from error
                token = self._next()
            self._at += len(token.raw)
            self._place += len(token.raw)
            self._line += token.raw.count("\n")
            yield token

    def _next(self) -> Token | None:
        """The next token, if it is complete."""
        buffer, at = self._buffer, self._at
        if at == len(buffer):
            return None
        if buffer[at] != "<":
            end = buffer.find("<", at)
            if end < 0 and not self._ended:
                return None
            return self._token("text", "", len(buffer) if end < 0 else end)
        if buffer[at + 1 : at + 2] in ("!", "?"):
            return self._next_other()
        tag = _TAG.match(buffer, at)
        if tag is None:
            return None
        kind: Kind = "end" if tag[1] else "empty" if buffer[tag.end() - 2] == "/" else "start"
        return self._token(kind, tag[2].rpartition(":")[2], tag.end())

    def _next_other(self) -> Token | None:
        """The next token that is not a tag, if it is complete."""
        buffer, at = self._buffer, self._at
        for opening, closing, part in _PARTS:
            if buffer.startswith(opening, at):
                end = buffer.find(closing, at + len(opening))
                return None if end < 0 else self._token(part, "", end + len(closing))
        doctype = _DOCTYPE.match(buffer, at)  # which a comment or CDATA that has only begun is not
        return None if doctype is None else self._token("other", "", doctype.end())

    def _token(self, kind: Kind, name: str, end: int) -> Token:
        return Token(kind, name, self._buffer[self._at : end], self._place, self._line)


_PARTS: tuple[tuple[str, str, Kind], ...] = (("<!--", "-->", "other"), ("<![CDATA[", "]]>", "verbatim"), ("<?", "?>", "other"))
