"""Noise for denoising pretraining: parts of a text are masked, and a model learns to restore them.

    spans       span corruption of T5 (Raffel et al. 2020): each hidden span has a mask of its own; the target names each mask and says
                what is behind it
    infilling   text infilling of BART (Lewis et al. 2020): one mask symbol for every span, whose lengths are Poisson; some masks hide
                nothing; the target is the whole text. Sentences may be put into another order before

Both are functions of (symbols, seed), so noise that is drawn anew each epoch is the same again after a resume. And both can be undone:
`restore(source, target)` is the text, exactly. So a corpus that stores a corrupted text needs to store nothing else.

Unusual: T5's program begins every text with a visible symbol and ends it with a hidden one. Here spans are drawn uniformly from all
placements that leave at least one visible unit between two of them, so that beginnings are learned, too. The number of hidden symbols and
of spans depends on the text's length only, as in T5: of `spans`, batches that are planned by length stay as they were planned. Drawing
is done with lists, which for texts of ordinary length are several times as fast as small arrays.
"""

import math
from abc import ABC, abstractmethod
from bisect import bisect
from collections.abc import Mapping, Sequence
from itertools import pairwise
from random import Random
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
    """Finds where words and sentences begin in a row of symbols, by their pieces.

    A word begins with a space (or the mark that subwords have for it); with `every`, each piece is a word.
    """

    def __init__(self, pieces: Sequence[str], *, every: bool = False):
        shown = [_ASCII_BYTES.get(piece, piece) for piece in pieces]
        self._begins_word = np.array([every or piece.startswith(SPACE_PIECE) or piece[:1].isspace() for piece in shown])
        self._stops = np.array([piece.endswith(_STOPS) for piece in shown])
        self._stops_wide = np.array([piece.endswith(_WIDE_STOPS) for piece in shown])

    def words(self, symbols: Symbols) -> Bounds:
        """The beginnings of words, followed by the length: (words + 1,)."""
        return _bounds(self._begins_word[symbols])

    def sentences(self, symbols: Symbols) -> Bounds:
        """The beginnings of sentences, followed by the length: (sentences + 1,)."""
        begins = np.zeros(len(symbols), dtype=bool)
        begins[1:] = self._stops_wide[symbols[:-1]] | (self._stops[symbols[:-1]] & self._begins_word[symbols[1:]])
        return _bounds(begins)


class Corruption(ABC):
    """Turns the symbols of a text (T,), without start and end, into a source and a target, as a function of the seed."""

    @abstractmethod
    def corrupt(self, symbols: Symbols, seed: int) -> tuple[Symbols, Symbols]:
        """(source, target) for a text, without start and end; both empty for an empty text."""

    @abstractmethod
    def restore(self, source: Symbols, target: Symbols) -> Symbols:
        """The text restored from a source and its target. A mask for which the target has no content is kept."""

    @abstractmethod
    def fillings(self, target: Symbols) -> Mapping[int, Symbols]:
        """The content that a target gives for each mask; empty if masks cannot be told apart."""


@final
class SpanCorruption(Corruption):
    """The noise of T5: `masks` are the mask symbols, in order of use, whose number limits the spans per text.

    density       the share of symbols that is hidden
    mean_length   how long a span is on average
    pieces        hide whole words, of which density and length are then counted; None hides any symbols
    """

    def __init__(self, masks: Symbols, *, size: int, density: float, mean_length: float, pieces: Pieces | None = None):
        self._masks: list[int] = masks.tolist()
        self._density, self._mean_length, self._pieces = density, mean_length, pieces
        self._is_mask: Bool[np.ndarray, " _"] = np.zeros(size, dtype=bool)
        self._is_mask[masks] = True

    def corrupt(self, symbols: Symbols, seed: int) -> tuple[Symbols, Symbols]:
        """(source, target): the text with masks in place of its spans; each mask followed by its span."""
        if len(symbols) == 0:
            return symbols, symbols
        text, bounds, random = symbols.tolist(), _units(symbols, self._pieces), Random(seed)
        units = len(bounds) - 1
        hidden = min(max(_rounded(units * self._density), 1), max(units - 1, 1))
        count = min(max(_rounded(hidden / self._mean_length), 1), hidden, units - hidden + 1, len(self._masks))
        source: list[int] = []
        target: list[int] = []
        done = 0
        for mask, (begin, end) in zip(self._masks, _placed(random, _parts(random, hidden, count), units), strict=False):
            begin, end = bounds[begin], bounds[end]
            source += text[done:begin]
            source.append(mask)
            target.append(mask)
            target += text[begin:end]
            done = end
        return np.array(source + text[done:], dtype=np.int64), np.array(target, dtype=np.int64)

    def restore(self, source: Symbols, target: Symbols) -> Symbols:
        """The source with each mask replaced by what follows it in the target."""
        spans = self.fillings(target)
        places = np.flatnonzero(self._is_mask[source])
        parts, done = [], 0
        for place in places.tolist():
            parts += [source[done:place], spans.get(int(source[place]), source[place : place + 1])]
            done = place + 1
        return np.concatenate([*parts, source[done:]]).astype(np.int64)

    def fillings(self, target: Symbols) -> dict[int, Symbols]:
        """Mask -> its span. Symbols before the first mask are ignored; of a repeated mask the first one counts."""
        places = [*np.flatnonzero(self._is_mask[target]).tolist(), len(target)]
        spans: dict[int, Symbols] = {}
        for place, end in pairwise(places):
            spans.setdefault(int(target[place]), target[place + 1 : end])
        return spans


@final
class Infilling(Corruption):
    """The noise of BART: `mask` replaces each span of Poisson(`mean_length`) symbols; an empty span inserts a mask between two symbols.

    density       the share of symbols that is hidden
    sentences     puts the text's sentences into another order before; None leaves them
    pieces        hide whole words, of which density and length are then counted; None hides any symbols
    """

    def __init__(self, mask: int, *, density: float, mean_length: float, sentences: Pieces | None = None, pieces: Pieces | None = None):
        self._mask, self._density = mask, density
        self._cumulative = _cumulative_poisson(mean_length)
        self._sentences, self._pieces = sentences, pieces

    def corrupt(self, symbols: Symbols, seed: int) -> tuple[Symbols, Symbols]:
        """(source, target): the text with masks, and perhaps with its sentences shuffled; the text."""
        if len(symbols) == 0:
            return symbols, symbols
        random = Random(seed)
        read = symbols if self._sentences is None else _shuffled(random, symbols, self._sentences.sentences(symbols))
        text, bounds = read.tolist(), _units(read, self._pieces)
        units = len(bounds) - 1
        hidden = min(max(_rounded(units * self._density), 1), max(units - 1, 1))
        lengths, inserted = self._lengths(random, hidden)
        if len(lengths) > units - hidden + 1:  # too many to have a visible unit between each two
            lengths = _parts(random, hidden, units - hidden + 1)
        source: list[int] = []
        done = 0
        for begin, end in _with_insertions(random, _placed(random, lengths, units), units, inserted):
            source += text[done : bounds[begin]]
            source.append(self._mask)
            done = bounds[end]
        return np.array(source + text[done:], dtype=np.int64), symbols

    def _lengths(self, random: Random, hidden: int) -> tuple[list[int], int]:
        """Span lengths that add up to `hidden`, all above 0, and the number of spans of length 0 that were drawn meanwhile."""
        lengths, left, empty = [], hidden, 0
        while left > 0:
            length = min(bisect(self._cumulative, random.random()), left)
            left -= length
            if length:
                lengths.append(length)
            else:
                empty += 1
        return lengths, empty

    def restore(self, source: Symbols, target: Symbols) -> Symbols:
        """The target, which is the whole text already."""
        return target

    def fillings(self, target: Symbols) -> dict[int, Symbols]:
        """Empty: there is only one mask, so that spans cannot be told apart."""
        return {}


# ------------------------------------------------------------------------------------------------------------------ drawing


def _rounded(number: float) -> int:
    """Round to the nearest integer, halves upwards: rounding to even would treat neighbouring lengths differently."""
    return int(number + 0.5)


def _bounds(begins: Bool[np.ndarray, " _"]) -> Bounds:
    """The positions of True, followed by the length; the first position always counts."""
    inner = np.flatnonzero(begins[1:]) + 1
    return np.concatenate([[0], inner, [len(begins)]]).astype(np.int64)


def _units(symbols: Symbols, pieces: Pieces | None) -> Sequence[int]:
    """The bounds of the units that are masked as a whole: words, or single symbols."""
    return range(len(symbols) + 1) if pieces is None else pieces.words(symbols).tolist()


def _parts(random: Random, total: int, count: int) -> list[int]:
    """`total` as the sum of `count` positive integers; all such sums are equally likely."""
    cuts = sorted(random.sample(range(1, total), count - 1))
    return [end - begin for begin, end in pairwise([0, *cuts, total])]


def _placed(random: Random, lengths: Sequence[int], units: int) -> list[tuple[int, int]]:
    """Beginnings and ends of spans of these lengths among `units`, with at least one unit between two; all placements are equally
    likely."""
    count = len(lengths)
    free = units - sum(lengths) - (count - 1)  # units that may stand anywhere: before, behind or in any gap
    cuts = sorted(random.sample(range(free + count), count))
    spans, hidden = [], 0
    for cut, length in zip(cuts, lengths, strict=True):  # before a cut stand the free units and a gap of one for each span before
        begin = cut + hidden
        spans.append((begin, begin + length))
        hidden += length
    return spans


def _with_insertions(random: Random, spans: list[tuple[int, int]], units: int, inserted: int) -> list[tuple[int, int]]:
    """The spans with `inserted` empty ones added, each before a visible unit or at the end."""
    if inserted == 0:
        return spans
    hidden = {place for begin, end in spans for place in range(begin, end)}
    visible = [place for place in range(units + 1) if place not in hidden]
    return sorted(spans + [(place, place) for place in random.choices(visible, k=inserted)])


def _shuffled(random: Random, symbols: Symbols, bounds: Bounds) -> Symbols:
    """The parts between bounds, shuffled."""
    parts = np.split(symbols, bounds[1:-1])
    random.shuffle(parts)
    return np.concatenate(parts)


def _cumulative_poisson(mean: float) -> list[float]:
    """P(length <= 0), P(length <= 1), ...: a length is sampled by searching for a uniform number among them."""
    probability = total = math.exp(-mean)
    cumulative = [total]
    while len(cumulative) < mean or probability > 1e-12:
        probability *= mean / len(cumulative)
        total += probability
        cumulative.append(total)
    return cumulative
