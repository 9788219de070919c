"""Translation memories: find earlier translations of the same or a similar source.

How alike two sources are is 1 less their distance over the length of the longer one, both in words (Levenshtein 1966), as translators'
tools and neural fuzzy repair (Bulté and Tezcan 2019) count it.

Unusual here: exact, and quick without an index of word groups. Two sources that are alike enough share so many words that at least one of
the rarest of them is shared (prefix filtering: Chaudhuri, Ganti and Kaushik 2006), and only what has one of these is compared. Each word is
a character meanwhile, so that sources are strings, which are compared fastest.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import final

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from antiphon.errors import DataError

_SURROGATES = (0xD800, 0xE000)  # no characters of their own
_CHARACTERS = 0x110000
_ROUNDING = 1e-9
_CUT_OFF = 1e-6  # rapidfuzz drops many a score that is the cutoff itself, or less above it than this


@dataclass(frozen=True)
class Match:
    """An earlier translation."""

    source: str
    target: str
    alike: float
    """1 for the same words, 0 for none in common."""


@final
class TranslationMemory:
    """Pairs of texts that can be searched. Raises DataError when there are none.

    pairs   sources with their targets; of several targets of one source the most frequent counts, the first of those that are as frequent
    least   how alike a source must be to count
    """

    def __init__(self, pairs: Iterable[tuple[str, str]], least: float = 0.7):
        self.least = least
        targets: dict[tuple[str, ...], Counter[str]] = {}
        texts: dict[tuple[str, ...], str] = {}
        for source, target in pairs:
            words = tuple(source.split())
            if words and target.strip():
                texts.setdefault(words, source)
                targets.setdefault(words, Counter())[target] += 1
        if not texts:
            raise DataError("A translation memory must have at least one pair of texts.")
        self._texts = list(texts.values())
        self._targets = [max(counts, key=counts.__getitem__) for counts in targets.values()]
        self._exact = {words: place for place, words in enumerate(texts)}
        self._numbers = {word: number for number, word in enumerate(dict.fromkeys(word for words in texts for word in words))}
        self._written = [self._as_characters(words) for words in texts]
        self._lengths = np.array([len(words) for words in texts], dtype=np.int32)
        places = [array("i") for _ in self._numbers]
        for place, words in enumerate(texts):
            for word in set(words):
                places[self._numbers[word]].append(place)
        self._places = [np.frombuffer(one, dtype=np.int32) for one in places]

    def __len__(self) -> int:
        return len(self._texts)

    def pairs(self) -> list[tuple[str, str]]:
        """The content: each source once, with its target."""
        return list(zip(self._texts, self._targets, strict=True))

    def best(self, text: str, least: float | None = None, *, other: bool = False) -> Match | None:
        """The pair most similar to a text, the first one among equals; None if no pair is similar enough.

        least   how alike it must be; None is the memory's own
        other   leave the same words out, since they are the text itself
        """
        words = tuple(text.split())
        same = self._exact.get(words)
        if same is not None and not other:
            return Match(self._texts[same], self._targets[same], 1.0)
        least = self.least if least is None else least
        candidates = [place for place in self._candidates(words, least) if place != same]
        found = process.extractOne(
            self._as_characters(words),
            [self._written[place] for place in candidates],
            scorer=Levenshtein.normalized_similarity,
            processor=None,
            score_cutoff=least - _CUT_OFF,
        )
        if found is None or found[1] < least - _ROUNDING:
            return None
        place = candidates[found[2]]
        return Match(self._texts[place], self._targets[place], found[1])

    def _as_characters(self, words: Sequence[str]) -> str:
        """A character for each word; a common one for words that occur in no source, and for all beyond a million."""
        unknown = len(self._numbers)
        return "".join(_character(self._numbers.get(word, unknown)) for word in words)

    def _candidates(self, words: Sequence[str], least: float) -> list[int]:
        """The sources of suitable length that contain one of the rarest words, in order; all sources that are similar enough are among
        them."""
        shared = max(ceil(least * len(words) - _ROUNDING), 1)  # words that are in both
        known = [self._places[number] if (number := self._numbers.get(word)) is not None else None for word in words]
        rarest = sorted(known, key=lambda one: 0 if one is None else len(one))[: len(words) - shared + 1]
        lists = [one for one in rarest if one is not None]
        if not lists:
            return []
        found = np.unique(np.concatenate(lists))
        lengths = self._lengths[found]
        fits = (lengths >= least * len(words) - _ROUNDING) & (lengths * least <= len(words) + _ROUNDING)
        chosen: list[int] = found[fits].tolist()
        return chosen


def _character(number: int) -> str:
    first, last = _SURROGATES
    return chr(min(number if number < first else number + last - first, _CHARACTERS - 1))
