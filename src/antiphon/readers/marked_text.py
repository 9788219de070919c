"""A text with marks in it: tags, emphasis, links. A model reads it without them, and they are put back into what it says.

Where words are linked, a mark goes where its words went; otherwise where it stood, by the share of words before it. A pair stays a pair,
pairs stay within each other, and marks that stand alone keep their order. Text that no model may change (code) is looked for in what was
said, and must be there.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, final

from antiphon.contracts.reader import MissingError
from antiphon.errors import DataError

Links = tuple[tuple[int, int], ...]


class Atom(NamedTuple):
    """A part of a file's text: where it stands, and what is read of it."""

    start: int
    end: int
    kind: Literal["text", "open", "close", "alone", "verbatim"]
    """`text` is read; `open` and `close` are the marks of a pair, `alone` is one by itself; `verbatim` is read, but stays as it is."""
    text: str = ""
    """What is read; of a mark how it is to be written, where that is another way."""


class Segment(NamedTuple):
    """A part of what is written, and what is seen of it."""

    raw: str
    shown: str


@final
@dataclass
class Mark:
    """A mark, or a pair, or text that stays: from `start` to `end` in the text that is read."""

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
    """A stretch of a file as text, with its marks aside. Runs of white space are one space.

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
        """Take the letters of an atom, which stand for all of it where it is written in another way (an escape, an entity)."""
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
        """Give the second of two spaces to the mark between them, which is to stand apart from words on both sides."""
        if (
            self.marks
            and self.marks[-1].start == place
            and not (self.marks[-1].is_pair or self.marks[-1].is_open or self.marks[-1].verbatim)
        ):
            self.marks[-1].raw = f"{self.marks[-1].raw.rstrip(' ')} "

    def allows(self, place: int, starts: set[int], ends: set[int]) -> bool:
        """Whether a sentence may begin at a place: not within a pair, unless the pair begins and ends with a sentence, too."""
        return all(
            (not mark.is_pair and not mark.verbatim)
            or not mark.start < place < mark.end
            or (mark.start in starts and mark.end in ends and not mark.is_renamed)
            for mark in self.marks
        )

    def part(self, start: int, end: int) -> "Part":
        """The part from one letter to before another. Marks at its edges are outside, unless they are halves of pairs within."""
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
    """A part of a marked text: letters, the stretch of the file that they stand in, and the marks in it."""

    whole: MarkedText
    start: int
    end: int
    first: int
    last: int
    marks: tuple[Mark, ...]

    @property
    def text(self) -> str:
        """What is read of it."""
        return self.whole.text[self.start : self.end]

    @property
    def raw(self) -> str:
        """How it stands in the file."""
        return self.whole.raw[self.first : self.last]

    @property
    def has_marks(self) -> bool:
        """Whether there is something to be put in its place by words."""
        return any(not mark.verbatim for mark in self.marks)

    @property
    def kept(self) -> tuple[str, ...]:
        """What must be said as it is."""
        return tuple(mark.verbatim for mark in self.marks if mark.verbatim)

    def written(self, said: str, links: Links | None, escaped: Callable[[str], str]) -> list[Segment]:
        """What was said with the marks in it, as segments to be written. Raises MissingError when it lacks what must stay."""
        return list(_Placing(self, said, links).segments(escaped))


@final
class _Placing:
    """Puts the marks of a part into what was said of it."""

    def __init__(self, part: Part, said: str, links: Links | None):
        self._text, self._said = part.text, said
        self._source, self._target = words_of(part.text), words_of(said)
        sizes = (len(self._source), len(self._target))
        self._links = None if links is None else [(one, other) for one, other in links if one < sizes[0] and other < sizes[1]]
        self._marks = [_within_part(mark, part) for mark in part.marks]
        self._fixed = self._found()

    def _found(self) -> dict[int, tuple[int, int]]:
        """Where what must stay stands in what was said, by the number of its mark."""
        found: dict[int, tuple[int, int]] = {}
        taken: set[int] = set()
        kept = [number for number, mark in enumerate(self._marks) if mark.verbatim]
        for number in sorted(kept, key=lambda one: -len(self._marks[one].verbatim)):  # one may be within another
            mark = self._marks[number]
            start = self._place_of(mark, taken)
            if start is None:
                lost = f"the translation lacks `{mark.verbatim}` of its source"
                raise MissingError(lost, tuple(self._marks[one].verbatim for one in kept))
            found[number] = (start, start + len(mark.verbatim))
            taken.update(range(*found[number]))
        return found

    def _place_of(self, mark: Mark, taken: set[int]) -> int | None:
        """Where text that stays begins in what was said: the first time, the second, ... as in the source, or where it is free."""
        as_word = _is_word(self._text, mark.start, mark.end)
        before = _places(self._text, mark.verbatim, as_word)
        behind = _places(self._said, mark.verbatim, as_word)
        if len(before) == len(behind) and mark.start in before:
            behind = [behind[before.index(mark.start)], *behind]
        return next((start for start in behind if taken.isdisjoint(range(start, start + len(mark.verbatim)))), None)

    def segments(self, escaped: Callable[[str], str]) -> Iterator[Segment]:
        """The whole, from its first letter to its last."""
        yield from self._within(range(len(self._marks)), 0, len(self._said), escaped)

    def _within(self, numbers: Iterable[int], first: int, last: int, escaped: Callable[[str], str]) -> Iterator[Segment]:
        """What was said between two letters, with the marks of these numbers, of which some are within others."""
        top, inner = self._nested(numbers)
        spans = [(self._span(number, inner[number]), number) for number in top]
        alone = [number for number in top if not self._marks[number].is_pair and not self._marks[number].verbatim]
        ordered = dict(zip(alone, sorted(span for span, number in spans if number in set(alone)), strict=True))
        fixed = [self._fixed[number] for number in top if number in self._fixed]
        placed = sorted((ordered[number] if number in ordered else _beside(span, fixed), number) for span, number in spans)
        at = first
        for (start, end), number in placed:
            mark = self._marks[number]
            start, end = (min(max(start, at), last), min(max(end, at), last))
            yield from _plain(self._said[at:start], escaped)
            if mark.verbatim:
                if end - start < len(mark.verbatim):
                    raise DataError(f"the translation has `{mark.verbatim}` apart from the words that it belongs to")
                yield Segment(mark.raw, mark.verbatim)
            else:
                yield Segment(mark.raw, "")
                if mark.is_pair:
                    yield from self._within(inner[number], start, end, escaped)
                    yield Segment(mark.closing, "")
            at = end
        yield from _plain(self._said[at:last], escaped)

    def _nested(self, numbers: Iterable[int]) -> tuple[list[int], dict[int, list[int]]]:
        """The outermost marks, and for each those within it."""
        top: list[int] = []
        inner: dict[int, list[int]] = {}
        for number in numbers:
            mark = self._marks[number]
            outer = self._marks[top[-1]] if top else None
            if outer is not None and outer.is_pair and mark.order < outer.order_end:
                inner[top[-1]].append(number)
            else:
                top.append(number)
                inner[number] = []
        return top, inner

    def _span(self, number: int, inner: Sequence[int]) -> tuple[int, int]:
        """Where a mark goes: the letters that it is around, or the place before which it stands."""
        mark = self._marks[number]
        if number in self._fixed:
            return self._fixed[number]
        if not mark.is_pair or mark.start == mark.end:
            place = self._point(mark.start)
            return place, place
        kept = [self._fixed[one] for one in inner if one in self._fixed]
        start, end = self._stretch(mark)
        if sum(last - first for first, last in kept) == mark.end - mark.start:  # code alone
            start, end = kept[0]
        return min([start, *(one for one, _ in kept)]), max([end, *(one for _, one in kept)])

    def _stretch(self, mark: Mark) -> tuple[int, int]:
        """The letters that a pair is around."""
        inside = self._text[mark.start : mark.end]
        if not self._target or not self._source:
            return 0, len(self._said)
        words = [number for number, (start, end) in enumerate(self._source) if start < mark.end and end > mark.start]
        linked = sorted({other for one, other in self._links or () if one in words})
        if not linked:
            if inside.strip() and self._said.count(inside) == 1:
                start = self._said.index(inside)
                return start, start + len(inside)
            linked = self._share(words)
        start, end = self._target[linked[0]][0], self._target[linked[-1]][1]
        if not words:
            return start, start
        before = self._text[self._source[words[0]][0] : mark.start]
        behind = self._text[mark.end : self._source[words[-1]][1]]
        if before and not any(map(str.isalnum, before)):
            while start < end - 1 and not self._said[start].isalnum():
                start += 1
        if behind and not any(map(str.isalnum, behind)):
            while end > start + 1 and not self._said[end - 1].isalnum():
                end -= 1
        return start, end

    def _share(self, words: Sequence[int]) -> list[int]:
        """The words that take as much of what was said, as these do of the source."""
        of, to = len(self._source), len(self._target)
        if not words:
            return [0]
        start = min(round(words[0] * to / of), to - 1)
        return list(range(start, min(max(round((words[-1] + 1) * to / of), start + 1), to)))

    def _point_within(self, word: int, place: int) -> int:
        """Where a mark goes that stands in a word: before the punctuation at its end, or behind it."""
        linked = [other for one, other in self._links or () if one == word] or self._share([word])
        start, end = self._target[max(linked)]
        if not any(map(str.isalnum, self._text[place : self._source[word][1]])):
            while end > start + 1 and not self._said[end - 1].isalnum():
                end -= 1
        return end

    def _point(self, place: int) -> int:
        """Where a mark goes that stands before a letter."""
        if not self._source or not self._target:
            return 0
        within = next((number for number, (start, end) in enumerate(self._source) if start < place < end), None)
        if within is not None:
            return self._point_within(within, place)
        starts = [start for start, _ in self._source]
        word = bisect_left(starts, place)  # the first word that begins at the mark, or behind it
        linked = sorted(other for one, other in self._links or () if one == word)
        if linked:
            return self._target[linked[0]][0]
        linked = sorted(other for one, other in self._links or () if one == word - 1)
        if linked:
            return self._target[linked[-1]][1]
        share = min(round(word * len(self._target) / len(self._source)), len(self._target))
        return self._target[share][0] if share < len(self._target) else len(self._said)


def _within_part(mark: Mark, part: Part) -> Mark:
    """A mark with places counted from the beginning of a part; one behind its last letter keeps the space before it."""
    start, last = mark.start - part.start, part.end - part.start
    raw = f" {mark.raw}" if start > last else mark.raw
    return replace(mark, start=min(start, last), end=min(mark.end - part.start, last), raw=raw)


def _beside(span: tuple[int, int], fixed: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """A stretch without those of texts that stay, unless it is one of them, which do not overlap."""
    start, end = span
    for first, last in fixed:
        if span != (first, last) and start < last and end > first:
            start, end = (start, first) if start < first else (last, max(end, last))
    return start, end


def _tight(letters: Sequence[str], start: int, end: int) -> tuple[int, int]:
    """A stretch without the spaces at its edges."""
    while start < end and letters[end - 1] == " ":
        end -= 1
    while start < end and letters[start] == " ":
        start += 1
    return start, end


def plain_spaces(text: str) -> str:
    """A text with single spaces, and none at its edges, as marked texts are read; no-break spaces stay."""
    return re.sub(r"[^\S\u00a0\u202f\u2007]+", " ", text).strip(" ")


def words_of(text: str) -> list[tuple[int, int]]:
    """Where words begin and end, which are parted by white space."""
    found, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        found.append((start, at))
    return found


def _places(text: str, phrase: str, as_word: bool) -> list[int]:
    """Where a phrase stands, as a word or anywhere."""
    found = (one.start() for one in re.finditer(f"(?={re.escape(phrase)})", text))
    return [start for start in found if not as_word or _is_word(text, start, start + len(phrase))]


def _is_word(text: str, start: int, end: int) -> bool:
    """Whether no word goes on at the edges of a stretch."""
    return not (_is_one_word(text[max(start - 1, 0) : start], text[start]) or _is_one_word(text[end - 1], text[end : end + 1]))


def _is_one_word(one: str, other: str) -> bool:
    """Whether two neighbours are letters of one word: of Latin both, or of neither."""
    return one.isalnum() and other.isalnum() and one.isascii() == other.isascii()


def _plain(text: str, escaped: Callable[[str], str]) -> Iterator[Segment]:
    """Text as a segment; where letters are written in another way, each is one."""
    if text and escaped(text) == text:
        yield Segment(text, text)
    else:
        yield from (Segment(escaped(letter), letter) for letter in text)
