"""HTML as tags and text with their positions: as much of its syntax as is needed to keep every byte in place (WHATWG, HTML, section
13.2.5).

Unusual: no tree is made, since one that mends errors could not be written as the file was.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

TAG = r"<(?P<close>/)?(?P<name>[A-Za-z][^\s/>]*)(?P<attributes>(?:\"[^\"]*\"|'[^']*'|[^'\">])*)>"
_MARKUP = re.compile(rf"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?\]\]>|<[!?][^>]*>|{TAG}", re.DOTALL)
_ATTRIBUTE = re.compile(r"(?P<name>[^\s\"'<>/=]+)(?:\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s\"'<>=`]+)))?")
VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"))
OPAQUE = frozenset(("script", "style", "pre", "textarea", "svg", "math", "template", "iframe", "object", "canvas", "audio", "video"))
"""Elements whose content is not text to read, or is as it stands."""


@dataclass(frozen=True)
class Token:
    """A tag, a comment (without a name), or text between them (`is_text`), with its first letter in the file and the one after its last."""

    start: int
    end: int
    name: str = ""
    is_text: bool = False
    is_close: bool = False
    attributes: int = 0
    """Where the attributes begin."""


@dataclass(frozen=True)
class Attribute:
    """An attribute with a value, and the value's position."""

    name: str
    value: str
    start: int
    end: int


def tokens(text: str, first: int, last: int) -> Iterator[Token]:
    """The tokens of a stretch of a file."""
    at = first
    for found in _MARKUP.finditer(text, first, last):
        if at < found.start():
            yield Token(at, found.start(), is_text=True)
        name = (found["name"] or "").lower()
        yield Token(found.start(), found.end(), name, is_close=found["close"] is not None, attributes=found.start("attributes"))
        at = found.end()
    if at < last:
        yield Token(at, last, is_text=True)


def attributes(text: str, token: Token) -> list[Attribute]:
    """The attributes of a tag that have values."""
    found = []
    for one in _ATTRIBUTE.finditer(text, token.attributes, token.end - 1):
        kind = next((kind for kind in ("double", "single", "bare") if one[kind] is not None), None)
        if kind is not None:
            found.append(Attribute(one["name"].lower(), one[kind], one.start(kind), one.end(kind)))
    return found
