"""HTML documents: text by sentence, with its inline tags, and the attributes that people read. Structure, scripts and code stay unchanged.

What is text, and what is not, follows the standard (WHATWG, HTML): `translate="no"`, and the class `notranslate` that is its forerunner,
keep an element as it is; `alt`, `title`, `placeholder`, `aria-label` and the description of a page are texts.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from functools import partial
from html import unescape
from typing import final

from antiphon.contracts.reader import ReaderPlugin
from antiphon.errors import DataError
from antiphon.readers.document_blocks import Block, DocumentFormat, DocumentRewriter, located, plainly
from antiphon.readers.html_tokens import OPAQUE, VOID, Token, attributes, tokens
from antiphon.readers.marked_text import Atom, MarkedText

_INLINE = (
    "a abbr acronym b bdi bdo big cite code data del dfn em font i img input ins kbd label mark q rb rp rt ruby s samp small "
    "span strike strong sub sup time tt u var wbr"
)
INLINE = frozenset(_INLINE.split())
_KEPT = frozenset(("code", "kbd", "samp", "var", "tt"))
_READ = frozenset(("alt", "title", "placeholder", "aria-label"))
_DESCRIPTIONS = frozenset(("description", "og:title", "og:description", "twitter:title", "twitter:description"))
_ENTITY = re.compile(r"&(?:#\d+|#[xX][0-9A-Fa-f]+|[A-Za-z][A-Za-z0-9]*);")
_CHARSET = re.compile(rb"<meta[^>]*charset\s*=\s*[\"']?([A-Za-z0-9_-]+)", re.IGNORECASE)


def text_atoms(text: str, first: int, last: int) -> Iterator[Atom]:
    """The text and entities of a stretch without tags."""
    at = first
    for entity in _ENTITY.finditer(text, first, last):
        if at < entity.start():
            yield Atom(at, entity.start(), "text", text[at : entity.start()])
        yield Atom(entity.start(), entity.end(), "text", unescape(entity[0]))
        at = entity.end()
    if at < last:
        yield Atom(at, last, "text", text[at:last])


def escaped(text: str) -> str:
    """Text escaped for use between tags."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\u00a0", "&nbsp;")


@final
class _Scan:
    """Goes through the tokens of a file, and collects those of a paragraph."""

    def __init__(self, text: str, found: list[Token]):
        self._text, self._tokens = text, found
        self._atoms: list[Atom] = []

    def blocks(self) -> Iterator[Block | tuple[int, str]]:
        at = 0
        while at < len(self._tokens):
            token = self._tokens[at]
            if token.is_text:
                self._atoms.extend(text_atoms(self._text, token.start, token.end))
            elif token.name and not token.is_close and self._is_kept(token):
                end = self._end_of(at)
                if token.name in INLINE:
                    self._keep(at, end)
                else:
                    yield from self._ended()
                    yield token.start, "script or style" if token.name in ("script", "style") else "code or content that stays"
                at = end
            elif token.name in INLINE or not token.name:
                is_alone = token.name in VOID or not token.name
                self._atoms.append(Atom(token.start, token.end, "alone" if is_alone else "close" if token.is_close else "open"))
                yield from self._attributes(token)
            else:
                yield from self._ended()
                yield from self._attributes(token)
            at += 1
        yield from self._ended()

    def _is_kept(self, token: Token) -> bool:
        if token.name in OPAQUE or token.name in _KEPT:
            return True
        found = {one.name: one.value for one in attributes(self._text, token)}
        return found.get("translate", "").lower() == "no" or "notranslate" in found.get("class", "").split()

    def _end_of(self, at: int) -> int:
        """The token that closes an element, or the element's own if it has no content, or the last one."""
        first = self._tokens[at]
        if first.name in VOID or self._text[first.start : first.end].endswith("/>"):
            return at
        depth = 0
        for place in range(at, len(self._tokens)):
            token = self._tokens[place]
            if token.name == first.name:
                depth += -1 if token.is_close else 1
            if depth == 0:
                return place
        return len(self._tokens) - 1

    def _keep(self, at: int, end: int) -> None:
        """Keep an inline element unchanged; its text, if it contains nothing else, is read, since the sentence needs it."""
        start, last = self._tokens[at].start, self._tokens[end].end
        inner = self._tokens[at + 1 : end]
        if len(inner) == 1 and inner[0].is_text:
            shown = " ".join(unescape(self._text[inner[0].start : inner[0].end]).split())
            self._atoms.append(Atom(start, last, "verbatim", shown))
        else:
            self._atoms.append(Atom(start, last, "alone"))

    def _ended(self) -> Iterator[Block]:
        """The finished paragraph, if it has text."""
        atoms, self._atoms = self._atoms, []
        texts = [atom for atom in atoms if atom.kind in ("text", "verbatim") and atom.text.strip()]
        if texts:
            first, last = texts[0].start, texts[-1].end
            inside = [atom for atom in atoms if atom.end > first and atom.start < last]
            marked = MarkedText(self._text, _balanced(atoms, inside))
            yield Block(inside[0].start, inside[-1].end, marked, self._continuation(first, last))

    def _continuation(self, first: int, last: int) -> str:
        found = re.search(r"\n([ \t]*)\S", self._text[first:last])
        return found[1] if found else ""

    def _attributes(self, token: Token) -> Iterator[Block]:
        """Values of attributes that people read."""
        if token.is_close or not token.name:
            return
        found = attributes(self._text, token)
        described = {one.value.lower() for one in found if one.name in ("name", "property")} & _DESCRIPTIONS
        for one in found:
            is_read = one.name in _READ or (token.name == "meta" and one.name == "content" and described)
            if is_read and one.value.strip() and self._text[one.start - 1] in "\"'":
                marked = MarkedText(self._text, text_atoms(self._text, one.start, one.end))
                yield Block(one.start, one.end, marked, within=(token.start, token.end))


def _balanced(atoms: list[Atom], inside: list[Atom]) -> list[Atom]:
    """The atoms from the first text to the last, with those halves of pairs around them whose other half lies within."""
    first, last = atoms.index(inside[0]), atoms.index(inside[-1])
    depth = lowest = 0
    for atom in inside:
        depth += {"open": 1, "close": -1}.get(atom.kind, 0)
        lowest = min(lowest, depth)
    while lowest < 0 and first > 0:
        first -= 1
        lowest += atoms[first].kind == "open"
    depth = sum({"open": 1, "close": -1}.get(atom.kind, 0) for atom in atoms[first : last + 1])
    while depth > 0 and last < len(atoms) - 1:
        last += 1
        depth -= atoms[last].kind == "close"
    inside[:] = atoms[first : last + 1]
    return inside


def blocks(text: str, name: str, first: int = 0, last: int | None = None) -> Iterator[Block | tuple[int, str]]:
    """The paragraphs and attributes in a stretch of a file. Raises DataError where there is no tag at all."""
    found = list(tokens(text, first, len(text) if last is None else last))
    if not any(token.name for token in found):
        raise DataError(f"`{name}` must be HTML, but has no tag. Set `format: document` of this file if it is plain text.")
    merged: list[Token] = []
    opaque = ""
    for token in found:  # what looks like tags in a script is none
        if opaque:
            if token.is_close and token.name == opaque:
                opaque = ""
            else:
                continue
        elif token.name in ("script", "style", "textarea") and not token.is_close:
            opaque = token.name
        merged.append(token)
    yield from _Scan(text, merged).blocks()


def encoding_of(opening: bytes) -> str | None:
    """The encoding that a page declares, if Python supports it."""
    named = _CHARSET.search(opening)
    try:
        return None if named is None else codecs.lookup(named[1].decode("ascii")).name
    except LookupError:
        return None


def _escaped_value(text: str) -> str:
    return escaped(text).replace('"', "&quot;").replace("'", "&#39;")


_PUT: tuple[Callable[..., list], Callable[..., list]] = (plainly(escaped), plainly(_escaped_value))  # type: ignore[type-arg]

FORMAT = DocumentFormat(
    blocks=blocks,
    put=lambda block, part, said, links: _PUT[block.within is not None](block, part, said, links),
    stays=lambda _: False,
    encoding=encoding_of,
)

plugin = ReaderPlugin(
    name="html",
    summary="web pages, for prediction; one record per sentence, with tags and code kept in their places",
    suffixes=(".html", ".htm", ".xhtml"),
    read=partial(located, format=FORMAT),
    back=partial(DocumentRewriter, format=FORMAT),
    recognizes=lambda opening: (
        re.match(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)[\s>]", opening, re.IGNORECASE | re.DOTALL) is not None
    ),
    settings=frozenset({"encoding", "languages"}),
    unit="sentence",
)
