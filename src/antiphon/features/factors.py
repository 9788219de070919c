"""Encodes the values of a source factor as numbers: a part of speech, a lemma, whether a word was capitalized.

Two numbers stand for what has no value: `NONE` for symbols that belong to no word (the end, a tag), and `UNKNOWN` for values that training
has not seen.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import final

import numpy as np
from jaxtyping import Int

from antiphon.errors import DataError

NONE, UNKNOWN = 0, 1
_FIRST = 2


@final
class FactorVocabulary:
    """Values <-> numbers, most frequent first."""

    def __init__(self, values: Sequence[str]):
        self.values = tuple(values)
        self._numbers: Mapping[str, int] = {value: number for number, value in enumerate(self.values, start=_FIRST)}

    @staticmethod
    def learn(texts: Iterable[Sequence[str]], name: str, minimum: int) -> "FactorVocabulary":
        """Learn the values that occur at least `minimum` times; ties are in code point order. Raises DataError when there are none."""
        counts = Counter(value for values in texts for value in values)
        found = sorted((value for value, count in counts.items() if count >= minimum), key=lambda value: (-counts[value], value))
        if not found:
            raise DataError(f"The source factor `{name}` must have values that occur at least {minimum} times, but has none.")
        return FactorVocabulary(found)

    @property
    def size(self) -> int:
        """The number of codes: that of the values, and those for none and unknown."""
        return _FIRST + len(self.values)

    @property
    def fingerprint(self) -> str:
        """A hash that changes with the values."""
        return hashlib.sha256(json.dumps(self.values).encode()).hexdigest()[:16]

    def encode(self, values: Sequence[str]) -> Int[np.ndarray, " N"]:
        """The numbers of values."""
        return np.array([self._numbers.get(value, UNKNOWN) for value in values], dtype=np.int64)
