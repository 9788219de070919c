"""Collects data for an audit while records pass by: their rows in the corpus, texts with unknown symbols, the most extreme length
ratios."""

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, final
from unicodedata import normalize

import numpy as np

from antiphon.contracts.corpus import StoredCorpus
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.data.mapped import MappedCorpus

Side = Literal["source", "target"]
SIDES: tuple[Side, Side] = ("source", "target")

_SHOWN_CHARACTERS = 160
_LISTED = 10
_AROUND = 12  # characters
_MOST_WORDS = 200_000


@final
class Rows:
    """The rows of a corpus, found by ascending record numbers."""

    def __init__(self, corpus: StoredCorpus | None, specs: Mapping[Side, Spec]):
        self._corpus = corpus
        self._next = 0
        self.with_unknown: dict[Side, np.ndarray] = {}
        for side in SIDES:
            spec = specs[side]
            if isinstance(corpus, MappedCorpus) and isinstance(spec, TokenSpec) and (side == "source" or corpus.has_targets):
                flags = [per_row(offsets, values == spec.unknown) > 0 for offsets, values in corpus.blocks(side)]
                if any(flag.any() for flag in flags):
                    self.with_unknown[side] = np.concatenate(flags)

    def row_of(self, number: int) -> int:
        """The row of a record, -1 if it was dropped. Must be called with ascending numbers."""
        if self._corpus is None or self._next >= len(self._corpus) or self._corpus.numbers[self._next] != number:
            return -1
        self._next += 1
        return self._next - 1

    def lengths(self, row: int) -> tuple[int, int]:
        """The encoded lengths of a row (source, target without its start element)."""
        assert self._corpus is not None, "there are rows, so there is a corpus"
        sources, targets = self._corpus.lengths(np.array([row]))
        return int(sources[0]), int(targets[0]) - 1

    def spread(self, count: int) -> set[int]:
        """Some rows, spread from beginning to end."""
        if self._corpus is None:
            return set()
        return {int(row) for row in np.linspace(0, len(self._corpus) - 1, count)}


@final
@dataclass
class Changed:
    """Records whose target is changed by encoding and decoding: their number, and where the first of them differ."""

    records: int = 0
    listed: list[dict[str, Any]] = field(default_factory=list)

    def add(self, number: int, target: str, restored: str) -> None:
        """Count a record, and keep the surroundings of the first difference; letters that look alike are written as code points."""
        self.records += 1
        if len(self.listed) < _LISTED:
            pairs = zip(target, restored, strict=False)
            alike = next((place for place, (one, two) in enumerate(pairs) if one != two), min(len(target), len(restored)))
            one, other = (text[max(0, alike - _AROUND) : alike + _AROUND] for text in (target, restored))
            if normalize("NFC", one) == normalize("NFC", other):
                one, other = ascii(one)[1:-1], ascii(other)[1:-1]
            self.listed.append({"record": number, "target": one, "restored": other})


@final
class UnknownTexts:
    """Finds what the vocabulary does not contain without asking it: what only occurs in records with unknown symbols."""

    def __init__(self) -> None:
        self._known_characters: set[str] = set()
        self._known_words: set[str] = set()
        self._suspects: Counter[str] = Counter()
        self._suspect_words: Counter[str] = Counter()

    def add(self, text: str, has_unknown: bool) -> None:
        """Add a text, with whether its encoding has unknown symbols."""
        if not has_unknown:
            self._known_characters.update(text)
        else:
            self._suspects.update(text)
        if len(self._known_words) + len(self._suspect_words) > _MOST_WORDS:
            return  # too many to tell the known ones from the others in bounded memory; `words` then stays silent
        if not has_unknown:
            self._known_words.update(text.split())
        else:
            self._suspect_words.update(text.split())

    def characters(self) -> list[tuple[str, int]]:
        """The most frequent unknown characters with their counts."""
        return [(item, count) for item, count in self._suspects.most_common() if item not in self._known_characters][:_LISTED]

    def words(self) -> list[tuple[str, int]]:
        """The most frequent words (between spaces) with unknown symbols; none when there were too many different words."""
        if len(self._known_words) + len(self._suspect_words) > _MOST_WORDS:
            return []
        return [(item, count) for item, count in self._suspect_words.most_common() if item not in self._known_words][:_LISTED]


@final
class Extremes:
    """The records with the lowest and the highest log ratios: whatever the final bounds are, they include the worst outliers."""

    def __init__(self) -> None:
        self._lowest: list[tuple[float, int, dict[str, Any]]] = []
        self._highest: list[tuple[float, int, dict[str, Any]]] = []

    def add(self, ratio: float, number: int, lengths: tuple[int, int], texts: Mapping[Side, Any]) -> None:
        """Add a record's ratio; its texts are kept only while it is among the extremes."""
        for heap, key in ((self._lowest, -ratio), (self._highest, ratio)):
            if len(heap) < _LISTED or key > heap[0][0]:
                entry: dict[str, Any] = {"record": number, "lengths": lengths}
                entry |= {side: shown_text(texts[side]) for side in SIDES}
                (heapq.heappush if len(heap) < _LISTED else heapq.heapreplace)(heap, (key, -number, entry))

    def outside(self, bounds: tuple[float, float]) -> list[dict[str, Any]]:
        """The extremes outside the bounds, farthest first."""
        low = [(bounds[0] + key, entry) for key, _, entry in self._lowest if -key < bounds[0]]
        high = [(key - bounds[1], entry) for key, _, entry in self._highest if key > bounds[1]]
        return [entry for _, entry in sorted(low + high, key=lambda item: -item[0])][:_LISTED]


def per_row(offsets: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """The number of flags in each row; rows may be empty, which `np.add.reduceat` does not support."""
    reached = np.concatenate([[0], np.cumsum(flags)])
    return np.asarray(reached[offsets[1:]] - reached[offsets[:-1]])


def shown_text(value: Any) -> str:
    """A value cut to a displayable length."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}... ({len(text)} characters)"
