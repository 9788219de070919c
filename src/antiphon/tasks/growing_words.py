"""Groups symbols that arrive one by one into words.

Unusual here: which symbols make a word is found by decoding longer and longer beginnings, so it serves every kind of vocabulary. Of these
beginnings only the last symbols are decoded anew, so the time is linear in the length, and words can be found while they are said.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import final

import numpy as np
from jaxtyping import Float, Int

_MOST_RECENT = 64  # elements that are decoded again when one more comes
_CONTEXT = 32  # and that stay so: what a symbol means depends on its neighbours (bytes of a character, punctuation)


@final
@dataclass(frozen=True)
class Word:
    """A word, and the places of its elements."""

    text: str
    elements: Sequence[int]

    def lasts(self, times: Float[np.ndarray, "T 2"] | Int[np.ndarray, "T 2"], unit: float = 1.0, most: float = inf) -> dict[str, float]:
        """Its `start` and `end`, given those of the elements in units of `unit` seconds; both at most `most`."""
        if not self.elements:
            return {}
        bounds = times[self.elements[0], 0], times[self.elements[-1], 1]
        return {name: round(min(float(bound) * unit, most), 3) for name, bound in zip(("start", "end"), bounds, strict=True)}


@final
class GrowingWords:
    """The words of elements that arrive one by one. Once the next word has begun, a word is not changed any more."""

    def __init__(self, decode: Callable[[np.ndarray], str]):
        self._text = _GrowingText(decode)
        self._owners: list[tuple[int, int]] = []  # for each element the part of the text that came with it
        self._begin, self._first = 0, 0  # where the last word begins, in the text and in the elements

    def extend(self, elements: Int[np.ndarray, " T"]) -> tuple[list[Word], list[Word]]:
        """The words completed since the last call, and the one that may continue, if there is any. `elements` are all so far."""
        for element in elements[len(self._owners) :].tolist():
            reached = self._owners[-1][1] if self._owners else 0
            self._owners.append((reached, max(reached, self._text.add(element))))
        text, found = self._text.behind(self._begin), list[Word]()
        position, offset = 0, self._begin
        for word in text.split():
            begin = text.index(word, position)
            position = begin + len(word)
            inside = self._inside(offset + begin, offset + position)
            found.append(Word(word, inside))
            self._begin = offset + begin
            self._first = inside[0] if inside else self._first
        return found[:-1], found[-1:]

    @property
    def text(self) -> str:
        """The text so far."""
        return self._text.behind(0)

    def _inside(self, begin: int, end: int) -> list[int]:
        """The elements that output the characters from `begin` to `end`."""
        found = []
        for place in range(self._first, len(self._owners)):
            first, last = self._owners[place]
            if first >= end:
                break
            if last > begin:
                found.append(place)
        return found


@final
class _GrowingText:
    """The text of elements that arrive one by one. Only the last few are decoded again for each, where that gives the same text."""

    def __init__(self, decode: Callable[[np.ndarray], str]):
        self._decode = decode
        self._settled, self._recent = "", list[int]()
        self._decoded = ""  # of the recent ones

    def add(self, element: int) -> int:
        """Add an element; returns the length of the text, without blanks at its end."""
        self._recent.append(element)
        self._decoded = self._decode(np.array(self._recent, dtype=np.int64))
        if len(self._recent) >= _MOST_RECENT:
            kept = self._decode(np.array(self._recent[-_CONTEXT:], dtype=np.int64))
            if kept and self._decoded.endswith(kept):
                self._settled += self._decoded[: -len(kept)]
                self._recent, self._decoded = self._recent[-_CONTEXT:], kept
        shown = self._decoded.rstrip()
        return len(self._settled) + len(shown) if shown else len(self._settled.rstrip())

    def behind(self, begin: int) -> str:
        """The text from a character on."""
        settled = len(self._settled)
        return self._settled[begin:] + self._decoded if begin < settled else self._decoded[begin - settled :]


def words_in(elements: Int[np.ndarray, " T"], decode: Callable[[np.ndarray], str]) -> list[Word]:
    """The words of a complete sequence of symbols."""
    complete, last = GrowingWords(decode).extend(elements)
    return [*complete, *last]
