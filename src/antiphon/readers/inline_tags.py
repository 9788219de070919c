"""Texts with inline tags, as in XLIFF and TMX: the text alone, for a model, and the positions of the tags.

Elements that hold text (`g`, `mrk`, `pc`, `hi`) become two pieces around a part of the text. Those that hold code of another format
(`bpt`, `ept`, `ph`, `it`, `ut`, with their `sub`), or nothing (`x`, `bx`, `ex`, `sc`, `ec`, `cp`, `sm`, `em`), are pieces as a whole; two
that belong together are around what is between them.

Sources: XLIFF 1.2 (OASIS 2008), section 2.4; XLIFF 2.1 (OASIS 2018), section 4.7; TMX 1.4b (LISA OSCAR 2005), section 5.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import final

from antiphon.contracts.reader import Said
from antiphon.readers.tag_placement import Piece, placed
from antiphon.readers.xml_elements import Element
from antiphon.readers.xml_tokens import Token, escaped, unescaped

_AROUND_TEXT = {"g", "mrk", "pc", "hi"}
_OPENING = {"bpt": "ept", "bx": "ex", "sc": "ec", "sm": "em"}
_CLOSING = {closing: opening for opening, closing in _OPENING.items()}
_KEYS = ("i", "rid", "startRef", "id")
_BREAKS = re.compile(r"\s*\n\s*")
_BLANKS = re.compile(" {2,}")


@final
@dataclass(frozen=True)
class Inline:
    """The content of a source, a target or a segment."""

    raw: str
    """As it stands in the file."""
    text: str
    """Without tags."""
    pieces: tuple[Piece, ...]
    """Its tags, in order."""

    @property
    def plain(self) -> str:
        """The input for a model: the text without white space at its ends, with one blank where a tag separates two words."""
        return (_BLANKS.sub(" ", self.text) if self.pieces else self.text).strip()

    def written(self, said: Said) -> str:
        """A translation as written into a file: with these tags, and the original's surrounding white space.

        Raises MissingError when a part that must stay as it is does not.
        """
        text = said.text.strip()
        if text.split() == self.text.split():
            return self.raw
        body = self.text.strip()
        before = self.text.index(body)
        text = f"{self.text[:before]}{text}{self.text[before + len(body) :]}"
        parts, at = list[str](), 0
        for spot, number in placed(self.text, self.pieces, text, said.links):
            parts.extend((escaped(text[at:spot]), self._spaced(number, text, spot)))
            at = spot
        return "".join([*parts, escaped(text[at:])])

    def _spaced(self, number: int, text: str, spot: int) -> str:
        """A tag as written at a position; a lone one with blanks on both sides in the source gets them here too, if words follow."""
        piece = self.pieces[number]
        before, behind = self.text[: piece.place], self.text[piece.place :]
        free = piece.role == "alone" and before.strip() and behind.strip() and before[-1].isspace() and behind[0].isspace()
        follows, precedes = spot == 0 or text[spot - 1].isspace(), spot == len(text) or text[spot].isspace()
        if not free or follows == precedes:
            return piece.raw
        return f" {piece.raw}" if precedes else f"{piece.raw} "


def inline(children: Sequence[Element | Token], *, keeps_space: bool = False) -> Inline:
    """The content of an element. Without `keeps_space` a line end, with the white space around it, is a blank, as it only wraps the
    text."""
    found = _Pieces()
    found.take(children, keeps_space=keeps_space)
    raw = "".join(child.raw for child in children)
    return Inline(raw, "".join(found.texts), tuple(_paired(found.pieces, found.keys)))


class _Pieces:
    """Texts and tags in order of occurrence."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.pieces: list[Piece] = []
        self.keys: list[tuple[str, str] | None] = []
        self._place = 0

    def take(self, children: Iterable[Element | Token], *, keeps_space: bool) -> None:
        """Add the content of an element."""
        for child in children:
            if isinstance(child, Token):
                self._take_token(child, keeps_space=keeps_space)
            elif child.name in _AROUND_TEXT and child.end is not None:
                number = len(self.pieces)
                self._add(Piece(child.start.raw, self._place, "open", kept=_stays(child)))
                self.take(child.children, keeps_space=keeps_space)
                self.pieces[number] = replace(self.pieces[number], partner=len(self.pieces))
                self._add(Piece(child.end.raw, self._place, "close", number))
            else:
                self._add(Piece(child.raw, self._place, "alone"), _key(child))
                if _is_break(child):
                    self._say(" ")

    def _take_token(self, token: Token, *, keeps_space: bool) -> None:
        if token.kind == "other":  # a comment within a text
            self._add(Piece(token.raw, self._place, "alone"))
            return
        self._say(token.text if keeps_space or token.kind == "verbatim" else unescaped(_BREAKS.sub(" ", token.raw)))

    def _say(self, text: str) -> None:
        self.texts.append(text)
        self._place += len(text)

    def _add(self, piece: Piece, key: tuple[str, str] | None = None) -> None:
        self.pieces.append(piece)
        self.keys.append(key)


def _stays(child: Element) -> bool:
    attributes = child.attributes
    return attributes.get("translate") == "no" or attributes.get("mtype") == "protected"


def _is_break(child: Element) -> bool:
    """Whether a tag separates two words, like a line end."""
    attributes = child.attributes
    kind = attributes.get("ctype") or attributes.get("subType") or attributes.get("type") or ""
    return kind in ("lb", "xlf:lb") or attributes.get("equiv") == "\n"


def _key(child: Element) -> tuple[str, str] | None:
    """What a tag shares with its counterpart: the opening tag's name, and an identity."""
    name = _CLOSING.get(child.name, child.name)
    if name not in _OPENING or child.attributes.get("isolated") == "yes":
        return None
    attributes = child.attributes
    return next(((name, attributes[key]) for key in _KEYS if key in attributes), None)


def _paired(pieces: list[Piece], keys: Sequence[tuple[str, str] | None]) -> list[Piece]:
    """The tags, with counterparts joined to pairs."""
    open_ones: dict[tuple[str, str], int] = {}
    for number, key in enumerate(keys):
        if key is None:
            continue
        opens = _element_name(pieces[number].raw) == key[0]
        if opens:
            open_ones[key] = number
        elif (first := open_ones.pop(key, None)) is not None:
            pieces[first] = replace(pieces[first], role="open", partner=number)
            pieces[number] = replace(pieces[number], role="close", partner=first)
    return pieces


def _element_name(raw: str) -> str:
    found = re.match(r"<([^\s/>]+)", raw)
    return found[1].rpartition(":")[2] if found else ""
