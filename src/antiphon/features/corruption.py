"""Noise for learning from plain text: parts of a text are hidden behind masks, and a model learns to say what they hid.

    spans       span corruption of T5 (Raffel et al. 2020): each hidden span has a mask of its own; the target names each mask and says
                what is behind it
    infilling   text infilling of BART (Lewis et al. 2020): one mask symbol for every span, whose lengths are Poisson; some masks hide
                nothing; the target is the whole text. Sentences may be put into another order before

Both are functions of (symbols, seed), so noise that is drawn anew each epoch is the same again after a resume. And both can be undone:
`restore(source, target)` is the text, exactly. So a corpus that stores a corrupted text needs to store nothing else.

Unusual: T5's program begins every text with a visible symbol and ends it with a hidden one. Here spans are drawn uniformly from all
placements that leave at least one visible unit between two of them, so that beginnings are learned, too. The number of hidden symbols and
of spans depends on the text's length only, as in T5: of `spans`, batches that are planned by length stay as they were planned.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import final

import numpy as np
from jaxtyping import Bool, Int

from antiphon.features.segmentation import SPACE_PIECE
from antiphon.features.vocabulary import BYTE_PIECES

# Rows of any length: source, target, spans and masks of one call all differ in theirs.
Symbols = Int[np.ndarray, " _"]
Bounds = Int[np.ndarray, " _"]

# A byte of ASCII is a character, and shows where words and sentences end; the other bytes are parts of characters.
_ASCII_BYTES = {piece: chr(byte) for byte, piece in enumerate(BYTE_PIECES[:128])}
_STOPS = (".", "!", "?", "\u2026")
_WIDE_STOPS = ("\u3002", "\uff01", "\uff1f")  # no space follows these


@final
class Pieces:
    """Where words and sentences begin in a row of symbols, by the pieces that the symbols stand for.

    A word begins with a space (or the mark that subwords have for it); with `every`, each piece is a word.
    """

    def __init__(self, pieces: Sequence[str], *, every: bool = False):
        shown = [_ASCII_BYTES.get(piece, piece) for piece in pieces]
        self._begins_word = np.array([every or piece.startswith(SPACE_PIECE) or piece[:1].isspace() for piece in shown])
        self._stops = np.array([piece.endswith(_STOPS) for piece in shown])
        self._stops_wide = np.array([piece.endswith(_WIDE_STOPS) for piece in shown])

    def words(self, symbols: Symbols) -> Bounds:
        """Where words begin, and the length behind: (words + 1,)."""
        return _bounds(self._begins_word[symbols])

    def sentences(self, symbols: Symbols) -> Bounds:
        """Where sentences begin, and the length behind: (sentences + 1,)."""
        begins = np.zeros(len(symbols), dtype=bool)
        begins[1:] = self._stops_wide[symbols[:-1]] | (self._stops[symbols[:-1]] & self._begins_word[symbols[1:]])
        return _bounds(begins)


class Corruption(ABC):
    """Symbols of a text (T,), without start and end -> what is read and what is to be said, as a function of the seed."""

    @abstractmethod
    def corrupt(self, symbols: Symbols, seed: int) -> tuple[Symbols, Symbols]:
        """(source, target) of a text, without start and end; nothing of the empty text."""

    @abstractmethod
    def restore(self, source: Symbols, target: Symbols) -> Symbols:
        """The text of a source and its target. A target that says nothing of a mask leaves the mask where it stands."""

    @abstractmethod
    def fillings(self, target: Symbols) -> Mapping[int, Symbols]:
        """What a target says that each mask hides; nothing where masks are not told apart."""


@final
class SpanCorruption(Corruption):
    """T5: `masks` are the symbols of the masks, in the order of their use; a text has at most so many spans.

    density       the share of symbols that is hidden
    mean_length   how long a span is on average
    pieces        hide whole words, of which density and length are then counted; None hides any symbols
    """

    def __init__(self, masks: Symbols, *, size: int, density: float, mean_length: float, pieces: Pieces | None = None):
        self._masks, self._density, self._mean_length, self._pieces = masks, density, mean_length, pieces
        self._is_mask: Bool[np.ndarray, " _"] = np.zeros(size, dtype=bool)
        self._is_mask[masks] = True

    def corrupt(self, symbols: Symbols, seed: int) -> tuple[Symbols, Symbols]:
        """(source, target): the text with masks for its spans; each mask and its span."""
        if len(symbols) == 0:
            return symbols, symbols
        bounds = _units(symbols, self._pieces)
        units = len(bounds) - 1
        hidden = min(max(_rounded(units * self._density), 1), max(units - 1, 1))
        count = min(max(_rounded(hidden / self._mean_length), 1), hidden, units - hidden + 1, len(self._masks))
        generator = np.random.default_rng(seed)
        begins, ends = _placed(generator, _parts(generator, hidden, count), units)
        begins, ends, masks = bounds[begins], bounds[ends], self._masks[:count]
        source = _joined(symbols, begins, ends, masks)
        spans = [part for mask, begin, end in zip(masks, begins, ends, strict=True) for part in ([mask], symbols[begin:end])]
        return source, np.concatenate(spans).astype(np.int64)

    def restore(self, source: Symbols, target: Symbols) -> Symbols:
        """The source with each mask replaced by what the target says behind it."""
        spans = self.fillings(target)
        places = np.flatnonzero(self._is_mask[source])
        parts, done = [], 0
        for place in places.tolist():
            parts += [source[done:place], spans.get(int(source[place]), source[place : place + 1])]
            done = place + 1
        return np.concatenate([*parts, source[done:]]).astype(np.int64)

    def fillings(self, target: Symbols) -> dict[int, Symbols]:
        """Mask -> its span. What comes before the first mask belongs to none; of a mask that comes twice the first counts."""
        places = [*np.flatnonzero(self._is_mask[target]).tolist(), len(target)]
        spans: dict[int, Symbols] = {}
        for place, end in pairwise(places):
            spans.setdefault(int(target[place]), target[place + 1 : end])
        return spans


@final
class Infilling(Corruption):
    """BART: `mask` stands for each span, of Poisson(`mean_length`) symbols; a span of none is a mask put between two symbols.

    density       the share of symbols that is hidden
    sentences     puts the text's sentences into another order before; None leaves them
    pieces        hide whole words, of which density and length are then counted; None hides any symbols
    """

    def __init__(self, mask: int, *, density: float, mean_length: float, sentences: Pieces | None = None, pieces: Pieces | None = None):
        self._mask, self._density, self._mean_length = mask, density, mean_length
        self._sentences, self._pieces = sentences, pieces

    def corrupt(self, symbols: Symbols, seed: int) -> tuple[Symbols, Symbols]:
        """(source, target): the text with masks, its sentences perhaps in another order; the text."""
        if len(symbols) == 0:
            return symbols, symbols
        generator = np.random.default_rng(seed)
        read = symbols if self._sentences is None else _shuffled(generator, symbols, self._sentences.sentences(symbols))
        bounds = _units(read, self._pieces)
        units = len(bounds) - 1
        hidden = min(max(_rounded(units * self._density), 1), max(units - 1, 1))
        lengths, inserted = self._lengths(generator, hidden)
        if len(lengths) > units - hidden + 1:  # too many to have a visible unit between each two
            lengths = _parts(generator, hidden, units - hidden + 1)
        begins, ends = _placed(generator, lengths, units)
        begins, ends = _with_insertions(generator, begins, ends, units, inserted)
        masks = np.full(len(begins), self._mask, dtype=np.int64)
        return _joined(read, bounds[begins], bounds[ends], masks), symbols

    def _lengths(self, generator: np.random.Generator, hidden: int) -> tuple[Bounds, int]:
        """Span lengths whose sum is `hidden`, all above 0, and how many spans of length 0 were drawn on the way."""
        drawn = np.zeros(0, dtype=np.int64)
        while drawn.sum() < hidden:
            drawn = np.concatenate([drawn, generator.poisson(self._mean_length, size=4 + int(hidden / self._mean_length))])
        last = int(np.searchsorted(drawn.cumsum(), hidden))
        drawn = drawn[: last + 1]
        drawn[last] -= drawn.sum() - hidden
        return drawn[drawn > 0], int((drawn == 0).sum())

    def restore(self, source: Symbols, target: Symbols) -> Symbols:
        """The target, which is the whole text."""
        return target

    def fillings(self, target: Symbols) -> dict[int, Symbols]:
        """Nothing: there is one mask, which does not tell spans apart."""
        return {}


# ------------------------------------------------------------------------------------------------------------------ drawing


def _rounded(number: float) -> int:
    """To the nearest integer, halves upwards: not to even, which would treat neighbouring lengths differently."""
    return int(number + 0.5)


def _bounds(begins: Bool[np.ndarray, " _"]) -> Bounds:
    """The places of True, and the length behind; the first place always is one."""
    inner = np.flatnonzero(begins[1:]) + 1
    return np.concatenate([[0], inner, [len(begins)]]).astype(np.int64)


def _units(symbols: Symbols, pieces: Pieces | None) -> Bounds:
    """The bounds of what is hidden as a whole: words, or each symbol."""
    return np.arange(len(symbols) + 1) if pieces is None else pieces.words(symbols)


def _parts(generator: np.random.Generator, total: int, count: int) -> Bounds:
    """`total` as the sum of `count` numbers above 0; all such sums are equally likely."""
    cuts = np.sort(generator.choice(total - 1, count - 1, replace=False)) + 1
    return np.diff(np.concatenate([[0], cuts, [total]]))


def _placed(generator: np.random.Generator, lengths: Bounds, units: int) -> tuple[Bounds, Bounds]:
    """Where spans of these lengths begin and end among `units`, with at least one unit between two; all placements are equally likely."""
    count = len(lengths)
    free = units - int(lengths.sum()) - (count - 1)  # units that may stand anywhere: before, behind or in any gap
    cuts = np.sort(generator.choice(free + count, count, replace=False))
    gaps = np.diff(np.concatenate([[-1], cuts])) - 1
    gaps[1:] += 1
    ends = (gaps + lengths).cumsum()
    return ends - lengths, ends


def _with_insertions(generator: np.random.Generator, begins: Bounds, ends: Bounds, units: int, inserted: int) -> tuple[Bounds, Bounds]:
    """The spans with `inserted` empty ones more, each before a visible unit or at the end."""
    if inserted == 0:
        return begins, ends
    visible = np.ones(units + 1, dtype=bool)
    for begin, end in zip(begins, ends, strict=True):
        visible[begin:end] = False
    places = generator.choice(np.flatnonzero(visible), inserted)
    begins, ends = np.concatenate([begins, places]), np.concatenate([ends, places])
    order = np.lexsort((ends, begins))
    return begins[order], ends[order]


def _joined(symbols: Symbols, begins: Bounds, ends: Bounds, masks: Symbols) -> Symbols:
    """The symbols with a mask in the place of each span."""
    parts, done = [], 0
    for number, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
        parts += [symbols[done:begin], masks[number : number + 1]]
        done = end
    return np.concatenate([*parts, symbols[done:]]).astype(np.int64)


def _shuffled(generator: np.random.Generator, symbols: Symbols, bounds: Bounds) -> Symbols:
    """The parts between bounds in another order."""
    parts = np.split(symbols, bounds[1:-1])
    return np.concatenate([parts[number] for number in generator.permutation(len(parts))])
