"""Translation memories: what was translated before, found again for a source that is the same or much like it.

How alike two sources are is 1 less their distance over the length of the longer one, both in words (Levenshtein 1966), as translators'
tools and neural fuzzy repair (Bulte and Tezcan 2019) count it.

Unusual here: exact, but for sources whose words are all frequent. The distance is never less than the number of words that two sources do
not share, so candidates are compared in the order of what they share, until none can be better.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from rapidfuzz.distance import Levenshtein

from antiphon.errors import DataError

_FREQUENT = 1000  # a word of more sources than this, and of one in twenty, finds no candidates


@dataclass(frozen=True)
class Match:
    """A translation that was made before."""

    source: str
    target: str
    alike: float
    """1 for the same words, 0 for none in common."""


@final
class TranslationMemory:
    """Pairs of texts. Raises DataError when there is none.

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
        self._texts = texts
        self._targets = {words: max(counts, key=counts.__getitem__) for words, counts in targets.items()}
        self._sources = list(texts)
        self._places: dict[str, list[int]] = defaultdict(list)
        for place, words in enumerate(self._sources):
            for word in set(words):
                self._places[word].append(place)

    def __len__(self) -> int:
        return len(self._sources)

    def best(self, text: str) -> Match | None:
        """What is most like a text, if anything is alike enough."""
        words = tuple(text.split())
        if not words:
            return None
        if words in self._targets:
            return Match(self._texts[words], self._targets[words], 1.0)
        most, found = self.least, None
        for bound, place in self._candidates(words):
            if bound < most or (found is not None and bound <= most):
                break
            other = self._sources[place]
            alike = Levenshtein.normalized_similarity(words, other)
            if alike > most or (found is None and alike >= most):
                most, found = alike, other
        return None if found is None else Match(self._texts[found], self._targets[found], most)

    def _candidates(self, words: Sequence[str]) -> list[tuple[float, int]]:
        """Sources that share words, with the most that they can be alike, the best first."""
        frequent = max(_FREQUENT, len(self._sources) // 20)
        lists = [places for word in set(words) if len(places := self._places.get(word, [])) <= frequent]
        own = Counter(words)
        found = []
        for place in {place for places in lists for place in places}:
            other = self._sources[place]
            shared = (own & Counter(other)).total()
            found.append((shared / max(len(words), len(other)), place))
        return sorted(found, key=lambda one: (-one[0], one[1]))
