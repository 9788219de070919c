"""Tags put into a translation: where the words stand that they are around, if the model knows, else at the same part of its length.

A tag around words goes around the run of target words with the most links to them, less those to others (the run of the largest sum:
Kadane's algorithm, Bentley 1984); tags within stay within. A lone tag goes beside the word that it stands beside. No tag is lost, doubled,
or parted from its other end. Where source tags are across each other, or no links are known, they keep their order, which is then as valid
as it was.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from antiphon.contracts.reader import MissingError, Said
from antiphon.errors import DataError
from antiphon.readers.inline_tags import Inline, Piece
from antiphon.readers.xml_tokens import escaped

Links = Sequence[tuple[int, int]]
_Range = tuple[int, int]

_WORD = re.compile(r"\S+")
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # kana and Chinese characters, whose words no blanks part
_UNIT = re.compile(rf"[{_UNSPACED}][^\w\s]*|[^\s{_UNSPACED}]+")
_UNLINKED = -0.01
_OUTSIDE = -0.5  # to leave out a word that belongs to a tag is worse than to take in one that does not


def with_tags(source: Inline, said: Said) -> str:
    """What is said, as it is written into a file: with the tags of its source, and the white space around it.

    Raises MissingError when a part that must stay as it is does not.
    """
    text = said.text.strip()
    if text.split() == source.text.split():
        return source.raw
    lost = [part for part in source.kept if part.strip() not in text]
    if lost:
        raise MissingError(f"the translation lacks {', '.join(f'`{part}`' for part in lost)}, which must stay as it is", tuple(lost))
    body = source.text.strip()
    before = source.text.index(body)
    return _filled(source, f"{source.text[:before]}{text}{source.text[before + len(body) :]}", said.links)


def _filled(source: Inline, text: str, links: Links | None) -> str:
    """A text that has the white space of its source at its ends, with tags."""
    if not source.pieces:
        return escaped(text)
    words, targets = _spans(_WORD, source.text), _spans(_WORD, text)
    kept = _kept_places(source, text)
    if (links or kept) and source.is_nested and len(targets) > 1:
        placed = _Linked(source, words, targets, links or (), kept).placed()
    else:
        targets = _spans(_UNIT, text)
        placed = _in_order(source, text, words, targets)
    return _written(source, text, _Spots(source.text, text, words, targets), placed, kept)


@dataclass(frozen=True)
class _Placed:
    """A piece, and the number of target words before it."""

    number: int
    boundary: int


def _spans(pattern: re.Pattern[str], text: str) -> list[_Range]:
    return [found.span() for found in pattern.finditer(text)]


def _in_order(source: Inline, text: str, words: Sequence[_Range], targets: Sequence[_Range]) -> list[_Placed]:
    """All pieces in their order, each at the same part of the length of the text."""
    placed: list[_Placed] = []
    last = 0
    begun: dict[int, int] = {}
    for number, piece in enumerate(source.pieces):
        boundary = max(last, _at_same_part(source, piece, text, words, targets))
        if piece.role == "open":
            begun[number] = boundary
        elif piece.role == "close" and piece.partner in begun:
            first = begun[piece.partner]
            around_words = source.text[source.pieces[piece.partner].place : piece.place].strip()
            if boundary == first and around_words and first < len(targets):
                boundary = first + 1
        placed.append(_Placed(number, boundary))
        last = boundary
    return placed


def _at_same_part(source: Inline, piece: Piece, text: str, words: Sequence[_Range], targets: Sequence[_Range]) -> int:
    """The boundary between target words that is nearest to the same part of the length."""
    if piece.place <= words[0][0]:
        return 0
    if piece.place >= words[-1][1]:
        return len(targets)
    wanted = piece.place / len(source.text) * len(text)
    boundaries = [begin for begin, _ in targets] + [targets[-1][1]]
    return min(range(len(boundaries)), key=lambda number: abs(boundaries[number] - wanted))


class _Linked:
    """Pieces in the places that links of words give them."""

    def __init__(self, source: Inline, words: Sequence[_Range], targets: Sequence[_Range], links: Links, kept: Mapping[int, int]):
        self._source, self._words, self._spans, self._kept = source, words, targets, kept
        self._count = count = len(targets)
        self._links: list[list[int]] = [[] for _ in range(count)]
        self._targets: dict[int, list[int]] = {}
        for word, target in links:
            if 0 <= target < count:
                self._links[target].append(word)
                self._targets.setdefault(word, []).append(target)

    def placed(self) -> list[_Placed]:
        """The pieces in the order in which they stand in the translation."""
        return list(self._among(range(len(self._source.pieces)), 0, self._count))

    def _among(self, numbers: Iterable[int], low: int, high: int) -> Iterable[_Placed]:
        """The pieces of some numbers, between two boundaries."""
        wanted, inner_until = [], -1
        for number in numbers:
            piece = self._source.pieces[number]
            if number <= inner_until:
                continue
            if piece.role == "open" and piece.partner is not None:
                inner_until = piece.partner
                wanted.append((*(self._said(number, piece.partner) or self._around(piece, low, high)), number))
            else:
                place = self._beside(piece, low, high)
                wanted.append((place, place, number))
        at = low
        for begin, end, number in sorted(wanted, key=lambda one: (one[0], one[2])):
            begin = max(begin, at)
            end = at = max(begin, end)
            yield _Placed(number, begin)
            partner = self._source.pieces[number].partner
            if partner is not None:
                yield from self._among(range(number + 1, partner), begin, end)
                yield _Placed(partner, end)

    def _said(self, number: int, partner: int) -> _Range | None:
        """The target words that are a part that must stay as it is."""
        if number not in self._kept:
            return None
        inside = [one for one, (begin, end) in enumerate(self._spans) if begin < self._kept[partner] and end > self._kept[number]]
        return (inside[0], inside[-1] + 1) if inside else None

    def _around(self, piece: Piece, low: int, high: int) -> _Range:
        """The run of target words that belongs to the words between two pieces."""
        assert piece.partner is not None, "one of two"
        last = self._source.pieces[piece.partner].place
        inside = {number for number, (begin, end) in enumerate(self._words) if begin < last and end > piece.place}
        if not inside:
            place = self._beside(piece, low, high)
            return place, place
        best, found, running, begin = 0.0, (-1, -1), 0.0, low
        for target in range(low, high):
            linked = self._links[target]
            belongs = sum(word in inside for word in linked)
            score = belongs / len(linked) if belongs else _OUTSIDE if linked else _UNLINKED
            if running <= 0:
                running, begin = 0.0, target
            running += score
            if running > best:
                best, found = running, (begin, target + 1)
        if best > 0:
            return found
        first = self._same_part(piece.place, low, high)
        return first, min(max(self._same_part(last, low, high), first + 1), high)

    def _beside(self, piece: Piece, low: int, high: int) -> int:
        """The boundary beside the target of the word that a piece stands beside."""
        text, place = self._source.text, piece.place
        before = max((number for number, (begin, _) in enumerate(self._words) if begin < place), default=None)
        behind = next((number for number, (begin, _) in enumerate(self._words) if begin >= place), None)
        if before is None:
            return low
        if behind is None:
            return high
        after_word = [max(self._targets[before]) + 1] if before in self._targets else []
        before_word = [min(self._targets[behind])] if behind in self._targets else []
        follows = place > 0 and not text[place - 1].isspace()
        choices = [*after_word, *before_word] if follows else [*before_word, *after_word]
        return min(max(choices[0], low), high) if choices else self._same_part(place, low, high)

    def _same_part(self, place: int, low: int, high: int) -> int:
        whole = max(len(self._source.text), 1)
        return min(max(round(place / whole * self._count), low), high)


def _written(source: Inline, text: str, spots: "_Spots", placed: Sequence[_Placed], kept: Mapping[int, int]) -> str:
    """The text with the pieces in it. Raises DataError when something else would come between a tag and what must stay as it is."""
    parts, at = [], 0
    for one in placed:
        piece = source.pieces[one.number]
        spot = max(at, kept.get(one.number, spots.of(piece, one.boundary)))
        if spot != kept.get(one.number, spot):
            raise DataError("its tags around what must stay as it is cannot be put into the translation")
        free = piece.role == "alone" and spots.stands_free(piece.place)
        parts.append(escaped(text[at:spot]))
        follows, precedes = spot == 0 or text[spot - 1].isspace(), spot == len(text) or text[spot].isspace()
        parts.append(
            f" {piece.raw}" if free and precedes and not follows else f"{piece.raw} " if free and follows and not precedes else piece.raw
        )
        at = spot
    return "".join([*parts, escaped(text[at:])])


def _kept_places(source: Inline, text: str) -> dict[int, int]:
    """Where the pieces around parts that stay as they are must stand."""
    places: dict[int, int] = {}
    at: dict[str, int] = {}
    for number, piece in enumerate(source.pieces):
        if not piece.kept or piece.partner is None:
            continue
        part = source.text[piece.place : source.pieces[piece.partner].place].strip()
        found = text.find(part, at.get(part, 0))
        found = text.find(part) if found < 0 else found
        places[number], places[piece.partner] = found, found + len(part)
        at[part] = found + len(part)
    return places


@dataclass(frozen=True)
class _Spots:
    """The characters before which pieces are put: on the side of a blank, and of marks such as commas, that they had."""

    source: str
    text: str
    words: Sequence[_Range]
    targets: Sequence[_Range]

    def of(self, piece: Piece, boundary: int) -> int:
        """The place of a piece that has so many target words before it: at the end of the last of these, or before the next one."""
        if boundary == 0 and piece.place <= self.words[0][0]:
            return piece.place
        if boundary == len(self.targets) and piece.place >= self.words[-1][1]:
            return len(self.text) - (len(self.source) - piece.place)
        follows = piece.role == "close" or (piece.role == "alone" and self._follows(piece.place))
        if boundary == len(self.targets) or (follows and boundary > 0):
            begin, end = self.targets[boundary - 1]
            return end - (self._marks_behind(piece.place, self.text[begin:end]) if follows else 0)
        begin, end = self.targets[boundary]
        return begin + self._marks_before(piece.place, self.text[begin:end])

    def stands_free(self, place: int) -> bool:
        """Whether it has words before and behind it, and blanks on both sides."""
        inner = self.words[0][1] <= place <= self.words[-1][0]
        return inner and self.source[place - 1].isspace() and self.source[place].isspace()

    def _follows(self, place: int) -> bool:
        """Whether a lone piece belongs to what is before it; what is before may be a mark, such as one of quotation, of the word behind."""
        before, behind = self.source[place - 1 : place], self.source[place : place + 1]
        return bool(before.strip()) and (before.isalnum() or not behind.isalnum())

    def _marks_behind(self, place: int, word: str) -> int:
        """How many marks at the end of a target word stay behind a piece: those that end it, if such stand behind it in the source."""
        rest = next((self.source[place:end] for begin, end in self.words if begin < place <= end), "")
        core = _core(word) if rest and not any(map(str.isalnum, rest)) else None
        return len(word) - core[1] if core else 0

    def _marks_before(self, place: int, word: str) -> int:
        """How many marks at the beginning of a target word stay before a piece: those, if such stand before it in the source."""
        rest = next((self.source[begin:place] for begin, end in self.words if begin <= place < end), "")
        core = _core(word) if rest and not any(map(str.isalnum, rest)) else None
        return core[0] if core else 0


def _core(word: str) -> _Range | None:
    """Where letters and digits of a word begin and end."""
    places = [place for place, letter in enumerate(word) if letter.isalnum()]
    return (places[0], places[-1] + 1) if places else None
