"""Texts with marks: tags, emphasis, links. A model reads the text without them, and they are put back into its translation.

Where they go says `tag_placement`; marks that stand alone keep their order, since they may be halves of pairs. Text that no model may
change (code) is looked for in what was said, and must be there.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, final

from antiphon.readers.tag_placement import Links, Piece, placed


class Atom(NamedTuple):
    """A part of a file's text: its position, and the text that is read for it."""

    start: int
    end: int
    kind: Literal["text", "open", "close", "alone", "verbatim"]
    """`text` is read; `open` and `close` are the marks of a pair, `alone` is one by itself; `verbatim` is read, but stays as it is."""
    text: str = ""
    """What is read; of a mark how it is to be written, where that is another way."""


class Segment(NamedTuple):
    """A part of the output, and its visible text."""

    raw: str
    shown: str


@final
@dataclass
class Mark:
    """A mark, or a pair, or text that must stay: from `start` to `end` in the text that is read."""

    start: int
    end: int
    raw: str
    closing: str = ""
    verbatim: str = ""
    is_pair: bool = False
    is_open: bool = False
    is_renamed: bool = False
    """Whether its end is written in another way than it was, when its text changes."""
    order: int = 0
    """Where it begins in the file."""
    order_end: int = 0
    """Where its last part ends in the file."""


@final
class MarkedText:
    """A stretch of a file as text, with its marks separate. Runs of white space become one space.

    text     what is read
    places   for each letter of it where it begins and ends in the file
    marks    the marks, in the order in which they begin
    """

    def __init__(self, raw: str, atoms: Iterable[Atom]):
        self.raw = raw
        letters: list[str] = []
        self.places: list[tuple[int, int]] = []
        self.marks: list[Mark] = []
        opened: list[Mark] = []
        for atom in atoms:
            if atom.kind in ("text", "verbatim"):
                start = len(letters)
                self._read(atom, letters)
                if atom.kind == "verbatim" and len(letters) > start:
                    own, shown = raw[atom.start : atom.end], "".join(letters[start:])
                    self.marks.append(Mark(start, len(letters), own, verbatim=shown, order=atom.start, order_end=atom.end))
                continue
            mark = Mark(len(letters), len(letters), atom.text or raw[atom.start : atom.end], order=atom.start, order_end=atom.end)
            if atom.kind == "close" and opened:
                pair = opened.pop()
                pair.closing, pair.is_pair, pair.order_end, pair.is_renamed = mark.raw, True, atom.end, bool(atom.text)
                pair.start, pair.end = _tight(letters, pair.start, len(letters))
                continue
            self.marks.append(mark)
            mark.is_open = atom.kind == "open"
            if mark.is_open:
                opened.append(mark)
        self.text = "".join(letters)

    def _read(self, atom: Atom, letters: list[str]) -> None:
        """Add the letters of an atom; if it is an escape or an entity, they all stand for the whole of it."""
        same = self.raw[atom.start : atom.end] == atom.text
        for number, letter in enumerate(atom.text):
            if letter.isspace() and letter not in "\u00a0\u202f\u2007":
                if letters and letters[-1] == " ":
                    self._part_spaces(len(letters))
                    continue
                letter = " "
            letters.append(letter)
            self.places.append((atom.start + number, atom.start + number + 1) if same else (atom.start, atom.end))

    def _part_spaces(self, place: int) -> None:
        """Assign the second of two spaces to the mark between them, which is to be separated from words on both sides."""
        if (
            self.marks
            and self.marks[-1].start == place
            and not (self.marks[-1].is_pair or self.marks[-1].is_open or self.marks[-1].verbatim)
        ):
            self.marks[-1].raw = f"{self.marks[-1].raw.rstrip(' ')} "

    def allows(self, place: int, starts: set[int], ends: set[int]) -> bool:
        """Whether a sentence may begin at a place: not within a pair, unless the pair begins and ends together with a sentence."""
        return all(
            (not mark.is_pair and not mark.verbatim)
            or not mark.start < place < mark.end
            or (mark.start in starts and mark.end in ends and not mark.is_renamed)
            for mark in self.marks
        )

    def part(self, start: int, end: int) -> "Part":
        """The part from one letter to before another. Marks at its edges belong to the outside, unless they are halves of pairs within."""
        within = [
            mark
            for mark in self.marks
            if (start < mark.start < end or start < mark.end < end or mark.verbatim or mark.is_renamed)
            and start <= mark.start
            and mark.end <= end
        ]
        first = min([self.places[start][0], *(mark.order for mark in within)])
        last = max([self.places[end - 1][1], *(mark.order_end for mark in within)])
        within = [mark for mark in self.marks if mark in within or (first <= mark.order and mark.order_end <= last)]
        return Part(self, start, end, first, last, tuple(within))


@final
@dataclass(frozen=True)
class Part:
    """A part of a marked text: letters, their stretch in the file, and the marks within."""

    whole: MarkedText
    start: int
    end: int
    first: int
    last: int
    marks: tuple[Mark, ...]

    @property
    def text(self) -> str:
        """The text that is read."""
        return self.whole.text[self.start : self.end]

    @property
    def raw(self) -> str:
        """The text as written in the file."""
        return self.whole.raw[self.first : self.last]

    @property
    def has_marks(self) -> bool:
        """Whether there are marks that must be placed by word alignment."""
        return any(not mark.verbatim for mark in self.marks)

    @property
    def kept(self) -> tuple[str, ...]:
        """Phrases that must occur unchanged in the translation."""
        return tuple(mark.verbatim for mark in self.marks if mark.verbatim)

    def written(self, said: str, links: Links | None, escaped: Callable[[str], str]) -> list[Segment]:
        """The translation with the marks in it, as segments. Raises MissingError when it lacks text that must stay."""
        marks = [_within_part(mark, self) for mark in self.marks]
        pieces = _pieces(marks)
        found, at = list[Segment](), 0
        for place, number in placed(self.text, [piece for piece, _ in pieces], said, links, in_order=True):
            piece, mark = pieces[number]
            if mark.verbatim and piece.role == "close":
                found.append(Segment(mark.raw, mark.verbatim))
            else:
                found.extend(_plain(said[at:place], escaped))
                inner = bool(said[:place]) and not said[place - 1].isspace() and not said[place : place + 1].isspace()
                raw = piece.raw.strip(" ") if inner and said[place:] else piece.raw  # between letters that no space parts
                found.extend([Segment(raw, "")] if raw else [])
            at = place
        return [*found, *_plain(said[at:], escaped)]


def _pieces(marks: Sequence[Mark]) -> list[tuple[Piece, Mark]]:
    """The halves of pairs, and lone marks, in order, each with its mark; text that must stay lies between two invisible halves."""
    found: list[tuple[Piece, Mark]] = []
    opened: list[tuple[int, Mark]] = []

    def close(until: int | None) -> None:
        while opened and (until is None or opened[-1][1].order_end <= until):
            number, mark = opened.pop()
            found[number] = replace(found[number][0], partner=len(found)), mark
            found.append((Piece(mark.closing, mark.end, "close", number), mark))

    for mark in marks:
        close(mark.order)
        if mark.is_pair or mark.verbatim:
            opened.append((len(found), mark))
            found.append((Piece("" if mark.verbatim else mark.raw, mark.start, "open", kept=bool(mark.verbatim)), mark))
        else:
            found.append((Piece(mark.raw, mark.start, "alone"), mark))
    close(None)
    return found


def _within_part(mark: Mark, part: Part) -> Mark:
    """A mark with positions relative to a part; one after its last letter keeps the space before it."""
    start, last = mark.start - part.start, part.end - part.start
    raw = f" {mark.raw}" if start > last else mark.raw
    return replace(mark, start=min(start, last), end=min(mark.end - part.start, last), raw=raw)


def _tight(letters: Sequence[str], start: int, end: int) -> tuple[int, int]:
    """A stretch without spaces at its edges."""
    while start < end and letters[end - 1] == " ":
        end -= 1
    while start < end and letters[start] == " ":
        start += 1
    return start, end


def plain_spaces(text: str) -> str:
    """A text with single spaces, and none at its edges, as in marked texts; no-break spaces are kept."""
    return re.sub(r"[^\S\u00a0\u202f\u2007]+", " ", text).strip(" ")


def _plain(text: str, escaped: Callable[[str], str]) -> Iterator[Segment]:
    """Text as segments; where letters are escaped, each is a segment."""
    if text and escaped(text) == text:
        yield Segment(text, text)
    else:
        yield from (Segment(escaped(letter), letter) for letter in text)
