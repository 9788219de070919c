"""Places the marks of a text (tags, emphasis, links) in its translation: around, or beside, the same words.

A pair of marks goes around the run of target words with the most links to the words in it, less those to others (the run of the largest
sum: Kadane's algorithm, Bentley 1984); pairs within stay within. A lone mark goes beside the word that it stands beside. Without links it
is the same part of the length. What must stay as it is is looked for in the translation, and marks never come between its letters. No mark
is lost, doubled, or parted from its other end. Where pairs are across each other all marks keep their order, which is then as valid as it
was.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

from antiphon.contracts.reader import MissingError
from antiphon.errors import DataError

Links = Sequence[tuple[int, int]]
_Range = tuple[int, int]

_WORD = re.compile(r"\S+")
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # kana and Chinese characters, whose words no blanks part
_UNIT = re.compile(rf"[{_UNSPACED}][^\w\s]*|[^\s{_UNSPACED}]+")
_UNLINKED = -0.01
_OUTSIDE = -0.5  # to leave out a word that belongs to a tag is worse than to take in one that does not


@dataclass(frozen=True)
class Piece:
    """A mark, or one of the two marks of a pair."""

    raw: str
    place: int
    """Where, in characters of the text."""
    role: Literal["open", "close", "alone"]
    partner: int | None = None
    """The number of the other one of two."""
    kept: bool = False
    """Whether the text between the two must stay as it is in every language."""


def placed(text: str, pieces: Sequence[Piece], said: str, links: Links | None, *, in_order: bool = False) -> list[tuple[int, int]]:
    """The places of marks in a translation, as (place, number of the piece) in the order in which they are written.

    text       the source; `said` has the white space at its edges, too
    pieces     in the order in which they stand in it
    links      (word of the source, word of what was said), counted from 0 and separated by white space
    in_order   whether lone pieces keep their order among each other

    Raises MissingError when a part that must stay as it is does not, DataError when marks would come into it.
    """
    return _Placing(text, pieces, said, links or (), in_order=in_order).placed()


@final
class _Placing:
    """The placement of one text's marks in its translation."""

    def __init__(self, text: str, pieces: Sequence[Piece], said: str, links: Links, *, in_order: bool):
        self._text, self._said = text, said
        self._words, self._targets = _spans(_WORD, text), _spans(_WORD, said)
        self._fixed = _kept_places(text, pieces, said)
        nested = is_nested(pieces)
        self._pieces = list(pieces) if nested else [replace(one, role="alone", partner=None) for one in pieces]
        self._in_order = in_order or not nested
        self._links: list[_Range] = []
        if nested and len(self._targets) > 1:
            self._links = [(one, other) for one, other in links if 0 <= one < len(self._words) and 0 <= other < len(self._targets)]
        if not self._links:
            self._targets = _spans(_UNIT, said)

    def placed(self) -> list[tuple[int, int]]:
        """The places of all marks."""
        found = list(self._among(range(len(self._pieces)), 0, len(self._said)))
        for place, number in found:
            if self._fixed.get(number, place) != place:
                raise DataError("its tags around what must stay as it is cannot be put into the translation")
        return found

    def _among(self, numbers: Iterable[int], first: int, last: int) -> Iterator[tuple[int, int]]:
        """The places of the given marks, some of which may be nested, between two places."""
        top, until = list[int](), -1
        for number in numbers:
            if number > until:
                top.append(number)
                until = max(number, self._pieces[number].partner or -1)
        spans = {number: self._span(number) for number in top}
        fixed = [spans[number] for number in top if number in self._fixed]
        spans = {number: _beside(span, fixed) for number, span in spans.items()}
        if self._in_order:
            alone = [number for number in top if self._pieces[number].partner is None]
            spans.update(zip(alone, sorted(spans[number] for number in alone), strict=True))
        at = first
        for number in sorted(top, key=lambda one: (spans[one][0], one)):
            start, end = spans[number]
            start = min(max(start, at), last)
            end = min(max(end, start), last)
            yield start, number
            partner = self._pieces[number].partner
            if partner is not None:
                yield from self._among(range(number + 1, partner), start, end)
                yield end, partner
            at = end

    def _span(self, number: int) -> _Range:
        """The letters that a pair encloses, or the place of a lone mark twice."""
        piece, partner = self._pieces[number], self._pieces[number].partner
        if number in self._fixed:
            return self._fixed[number], self._fixed[number if partner is None else partner]
        last = piece.place if partner is None else self._pieces[partner].place
        inside = [one for one, (begin, end) in enumerate(self._words) if begin < last and end > piece.place]
        if partner is None or not inside or not self._targets:
            place = self._point(piece)
            return place, place
        kept = self._kept_within(number, partner)
        if kept and sum(end - begin for begin, end in kept) == len(self._text[piece.place : last].strip()):  # nothing else is in it
            return min(kept)[0], max(kept)[1]
        start, end = self._around(piece.place, last, inside)
        return min([start, *(one for one, _ in kept)]), max([end, *(one for _, one in kept)])

    def _kept_within(self, number: int, partner: int) -> list[_Range]:
        """The outermost stretches of fixed text within a pair."""
        found, until = list[_Range](), -1
        for one in range(number + 1, partner):
            other = self._pieces[one].partner
            if one > until and one in self._fixed and other is not None:
                found.append((self._fixed[one], self._fixed[other]))
                until = other
        return found

    def _around(self, first: int, last: int, inside: Sequence[int]) -> _Range:
        """The stretch of the translation that corresponds to a stretch of the source with these words in it."""
        run = self._run(set(inside))
        if run is None:
            own = self._text[first:last].strip()
            same = _places(self._said, own, as_word=True) if own else []
            if len(same) == 1:
                return same[0], same[0] + len(own)
            begin = self._same_part(first)
            run = begin, max(self._same_part(last), begin + 1)
        begin, end = min(run[0], len(self._targets) - 1), min(run[1], len(self._targets))
        return self._start(begin, first), self._end(max(end - 1, begin), last)

    def _run(self, inside: set[int]) -> _Range | None:
        """The range of target words that is linked to some words; None if there are no links."""
        best, found, running, begin = 0.0, None, 0.0, 0
        for target in range(len(self._targets)):
            linked = [word for word, other in self._links if other == target]
            belongs = sum(word in inside for word in linked)
            score = belongs / len(linked) if belongs else _OUTSIDE if linked else _UNLINKED
            if running <= 0:
                running, begin = 0.0, target
            running += score
            if running > best:
                best, found = running, (begin, target + 1)
        return found

    def _point(self, piece: Piece) -> int:
        """The place of a lone mark: beside the target of the word that it stands beside, or in."""
        if not self._targets or not self._words:
            return 0
        place = piece.place
        if place <= self._words[0][0]:
            return self._start(0, place)
        if place >= self._words[-1][1]:
            return self._end(len(self._targets) - 1, place)
        before = max(number for number, (begin, _) in enumerate(self._words) if begin < place)
        behind = min(number for number, (_, end) in enumerate(self._words) if end > place)
        follows = self._follows(place)
        for word, is_before in ((before, True), (behind, False)) if follows else ((behind, False), (before, True)):
            linked = [target for source, target in self._links if source == word]
            if linked:
                return self._end(max(linked), place) if is_before else self._start(min(linked), place)
        boundary = self._same_part(place)
        if boundary == len(self._targets) or (follows and boundary > 0):
            return self._end(boundary - 1, place)
        return self._start(boundary, place)

    def _same_part(self, place: int) -> int:
        """The word boundary in the translation nearest to the same relative position."""
        if place <= self._words[0][0]:
            return 0
        if place >= self._words[-1][1]:
            return len(self._targets)
        wanted = place / len(self._text) * len(self._said)
        boundaries = [begin for begin, _ in self._targets] + [self._targets[-1][1]]
        return min(range(len(boundaries)), key=lambda number: abs(boundaries[number] - wanted))

    def _follows(self, place: int) -> bool:
        """Whether a lone mark belongs to the text before it; that may be a character, such as a quotation mark, of the next word."""
        before, behind = self._text[place - 1 : place], self._text[place : place + 1]
        return bool(before.strip()) and (before.isalnum() or not behind.isalnum())

    def _start(self, target: int, place: int) -> int:
        """The start of a target word; after its leading punctuation (a bracket, a comma), if that comes before the place in the source."""
        if target == 0 and place <= self._words[0][0]:
            return place
        begin, end = self._targets[target]
        rest = next((self._text[one:place] for one, other in self._words if one <= place < other), "")
        core = _core(self._said[begin:end]) if rest and not any(map(str.isalnum, rest)) else None
        return begin + (core[0] if core else 0)

    def _end(self, target: int, place: int) -> int:
        """The end of a target word; before its trailing punctuation, if that comes after the place in the source."""
        if target == len(self._targets) - 1 and place >= self._words[-1][1]:
            return len(self._said) - (len(self._text) - place)
        begin, end = self._targets[target]
        rest = next((self._text[place:other] for one, other in self._words if one < place <= other), "")
        core = _core(self._said[begin:end]) if rest and not any(map(str.isalnum, rest)) else None
        return begin + core[1] if core else end


def is_nested(pieces: Sequence[Piece]) -> bool:
    """Whether pairs are nested or separate, but never overlap partially."""
    open_ones: list[int | None] = []
    for number, piece in enumerate(pieces):
        if piece.role == "open":
            open_ones.append(number)
        elif piece.role == "close" and (not open_ones or open_ones.pop() != piece.partner):
            return False
    return not open_ones


def _kept_places(text: str, pieces: Sequence[Piece], said: str) -> dict[int, int]:
    """The places of the marks around text that must stay as it is, and of those within it. Raises MissingError when it is missing."""
    stretches, until = list[tuple[int, int, int, int]](), -1
    for number, piece in enumerate(pieces):
        if number <= until or not piece.kept or piece.partner is None:
            continue
        last = pieces[piece.partner].place
        inner = text[piece.place : last]
        if inner.strip():
            start = piece.place + len(inner) - len(inner.lstrip())
            stretches.append((start, start + len(inner.strip()), number, piece.partner))
            until = piece.partner
    places, taken, lost = dict[int, int](), set[int](), list[int]()
    for start, end, number, partner in sorted(stretches, key=lambda one: one[0] - one[1]):  # the longest first: one may be within another
        found = _place_of(text, start, end, said, taken)
        if found is None:
            lost.append(number)
            continue
        taken.update(range(found, found + end - start))
        for one in range(number, partner + 1):
            places[one] = found + min(max(pieces[one].place - start, 0), end - start)
    if lost:
        phrases = {number: text[start:end] for start, end, number, _ in stretches}
        told = ", ".join(f"`{phrases[number]}`" for number in sorted(lost))
        raise MissingError(f"the translation lacks {told}, which must stay as it is", tuple(phrases.values()))
    return places


def _place_of(text: str, start: int, end: int, said: str, taken: set[int]) -> int | None:
    """The start of a part of the source in the translation: at the same occurrence as in the source, or at one that is free."""
    as_word = _is_word(text, start, end)
    before, behind = _places(text, text[start:end], as_word=as_word), _places(said, text[start:end], as_word=as_word)
    if len(before) == len(behind) and start in before:
        behind = [behind[before.index(start)], *behind]
    return next((place for place in behind if taken.isdisjoint(range(place, place + end - start))), None)


def _beside(span: _Range, fixed: Sequence[_Range]) -> _Range:
    """A stretch without the fixed texts in it, unless it is one itself; these do not overlap."""
    start, end = span
    for first, last in fixed:
        if span != (first, last) and start < last and end > first:
            start, end = (start, first) if start < first else (last, max(end, last))
    return start, end


def _places(text: str, phrase: str, *, as_word: bool) -> list[int]:
    """The occurrences of a phrase, as whole words or anywhere."""
    found = (one.start() for one in re.finditer(f"(?={re.escape(phrase)})", text))
    return [start for start in found if not as_word or _is_word(text, start, start + len(phrase))]


def _is_word(text: str, start: int, end: int) -> bool:
    """Whether no word continues beyond the edges of a stretch."""
    return not (_is_one_word(text[max(start - 1, 0) : start], text[start]) or _is_one_word(text[end - 1], text[end : end + 1]))


def _is_one_word(one: str, other: str) -> bool:
    """Whether two neighbouring characters belong to one word: both Latin, or neither."""
    return one.isalnum() and other.isalnum() and one.isascii() == other.isascii()


def _spans(pattern: re.Pattern[str], text: str) -> list[_Range]:
    return [found.span() for found in pattern.finditer(text)]


def _core(word: str) -> _Range | None:
    """The start and end of the letters and digits of a word."""
    places = [place for place, letter in enumerate(word) if letter.isalnum()]
    return (places[0], places[-1] + 1) if places else None
