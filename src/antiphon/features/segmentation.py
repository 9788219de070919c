"""Samples one of the segmentations of a text into subwords (subword regularization), so that a model sees the same text in other pieces
each time.

    unigram  subword regularization (Kudo 2018): a segmentation has probability ~ exp(strength * sum of its piece scores); drawn
             exactly, by forward filtering and backward sampling over the lattice of pieces
    BPE      BPE-dropout (Provilkov et al. 2020): each merge is skipped with probability `strength`

Unusual: sentencepiece can do this, and we do it again. Its generator (version 0.2.3) adds a salt per process to the seed, so that a run
that was stopped and resumed would see other pieces. Here what is drawn depends on the seed alone, on any machine.

Pieces never cross a space in ordinary models, so words are drawn one by one, and the lattice of a word is kept for its next occurrence.
"""

import heapq
import math
import random
import re
from bisect import bisect
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Literal, final

SPACE_PIECE = "\u2581"
_UNKNOWN_PENALTY = 10.0  # an unknown character scores this much below the worst piece, as in sentencepiece
_KEPT_LATTICES = 50_000
_LONGEST_KEPT = 32

# For each position after the first: the weights, summed up, of the pieces that end there, and (start, piece) of each.
Lattice = list[tuple[list[float], list[tuple[int, str]]]]


@final
class Segmenter:
    """Samples pieces for texts in sentencepiece's normalized form (spaces written as U+2581).

    `scores` are those of the ordinary pieces; `whole` are pieces that stay whole wherever they appear.
    """

    def __init__(self, algorithm: Literal["unigram", "bpe"], scores: Mapping[str, float], whole: Sequence[str] = ()):
        self._algorithm = algorithm
        self._scores = dict(scores)
        self._longest = max(map(len, scores), default=1)
        self._unknown_score = min(scores.values(), default=0.0) - _UNKNOWN_PENALTY
        within_words = all(SPACE_PIECE not in piece[1:] for piece in scores)
        chunks = [re.escape(piece) for piece in sorted(whole, key=len, reverse=True)]
        self._whole = frozenset(whole)
        self._split_whole = re.compile("(" + "|".join(chunks) + ")") if chunks else None
        self._words = re.compile(f"{SPACE_PIECE}[^{SPACE_PIECE}]*|[^{SPACE_PIECE}]+") if within_words else None
        self._lattices: dict[tuple[str, float], Lattice] = {}

    def draw(self, text: str, strength: float, seed: int) -> list[str]:
        """Sampled pieces of a text; a single character that is no piece is unknown."""
        generator = random.Random(seed)
        pieces: list[str] = []
        for part in self._split_whole.split(text) if self._split_whole else [text]:
            if part in self._whole:
                pieces.append(part)
            elif part:
                for word in self._words.findall(part) if self._words else [part]:
                    pieces += (
                        self._unigram(word, strength, generator) if self._algorithm == "unigram" else self._bpe(word, strength, generator)
                    )
        return pieces

    def _unigram(self, word: str, strength: float, generator: random.Random) -> list[str]:
        lattice = self._lattices.get((word, strength))
        if lattice is None:
            lattice = self._lattice(word, strength)
            if len(word) <= _LONGEST_KEPT:
                if len(self._lattices) >= _KEPT_LATTICES:
                    self._lattices.clear()
                self._lattices[word, strength] = lattice
        pieces = []
        end = len(word)
        while end > 0:
            weights, arcs = lattice[end - 1]
            end, piece = arcs[0] if len(arcs) == 1 else arcs[bisect(weights, generator.random() * weights[-1], hi=len(arcs) - 1)]
            pieces.append(piece)
        return pieces[::-1]

    def _lattice(self, word: str, strength: float) -> Lattice:
        """Forward filtering: `totals[i]` is the log of the summed weights of all segmentations of the first i characters."""
        totals = [0.0]
        lattice: Lattice = []
        for end in range(1, len(word) + 1):
            arcs: list[tuple[int, str]] = []
            logs: list[float] = []
            for start in range(max(0, end - self._longest), end):
                piece = word[start:end]
                score = self._scores.get(piece, self._unknown_score if end - start == 1 else None)
                if score is not None:
                    arcs.append((start, piece))
                    logs.append(totals[start] + strength * score)
            highest = max(logs)
            weights = list(accumulate(math.exp(log - highest) for log in logs))
            totals.append(highest + math.log(weights[-1]))
            lattice.append((weights, arcs))
        return lattice

    def _bpe(self, word: str, dropout: float, generator: random.Random) -> list[str]:
        """Merge the pair with the highest score, leftmost among equals, until there is none left, but skip some at random."""
        pieces: list[str | None] = list(word)
        following = list(range(1, len(word) + 1))
        preceding = list(range(-1, len(word) - 1))
        candidates: list[tuple[float, int, int, str]] = []

        for left in range(len(word) - 1):
            self._consider(pieces, left, left + 1, candidates)
        while candidates:
            _, left, right, merged = heapq.heappop(candidates)
            # Either half may have been merged with another neighbour since.
            if pieces[left] is None or pieces[right] is None or f"{pieces[left]}{pieces[right]}" != merged:
                continue
            if dropout > 0 and generator.random() < dropout:
                continue
            pieces[left], pieces[right] = merged, None
            following[left] = following[right]
            if following[left] < len(pieces):
                preceding[following[left]] = left
            self._consider(pieces, preceding[left], left, candidates)
            self._consider(pieces, left, following[left], candidates)
        return [piece for piece in pieces if piece is not None]

    def _consider(self, pieces: list[str | None], left: int, right: int, candidates: list[tuple[float, int, int, str]]) -> None:
        """Add two neighbours to the candidates for merging, if together they form a piece."""
        if left >= 0 and right < len(pieces):
            merged = f"{pieces[left]}{pieces[right]}"
            score = self._scores.get(merged)
            if score is not None:
                heapq.heappush(candidates, (-score, left, right, merged))
