"""Which word of a text each of its symbols belongs to: what alignments and features of words need, since models know symbols alone.

Words are what stands between white space in the text as it was given, before it was normalized. Every vocabulary is served alike, since
words are encoded one by one: where the parts are the whole, they say who owns what. Where they are not (a published tokenizer that looks
at its neighbours), longer and longer beginnings of the text are encoded, and a symbol belongs to the word with which it came.
"""

import re
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

_WORD = re.compile(r"\S+")
NO_WORD = -1
"""The word of a symbol that no word of the text has: the end, a tag, what is put before every text."""


@runtime_checkable
class Reads(Protocol):
    """A feature of texts."""

    def encode(self, value: str, /) -> np.ndarray:
        """The symbols of a text with what stands around every text."""

    def phrase(self, text: str, /) -> tuple[int, ...]:
        """The symbols of a part of a text."""


def words_in(text: str) -> list[str]:
    """The words of a text, as an alignment counts them."""
    return _WORD.findall(text)


def word_places(feature: Reads, text: str, before: str = "") -> Int[np.ndarray, " T"]:
    """For each symbol of `feature.encode(before + text)` the number of its word in `text`, or -1; (T,) int64."""
    whole, inner = np.asarray(feature.encode(before + text), dtype=np.int64), feature.phrase(before + text)
    ends = [found.end() for found in _WORD.finditer(text)]
    owners = np.full(len(whole), NO_WORD, dtype=np.int64)
    if not ends or not inner:
        return owners
    starts = [0, *ends[:-1]]
    stops = [*ends[:-1], len(text)]
    parts = [feature.phrase(text[start:stop]) for start, stop in zip(starts, stops, strict=True)]
    front = feature.phrase(before) if before else ()
    found = _as_parts(inner, front, parts) or _as_beginnings(feature, inner, before, [text[:stop] for stop in stops])
    place = next((place for place in range(len(whole) - len(inner) + 1) if tuple(whole[place : place + len(inner)]) == inner), 0)
    owners[place : place + len(inner)] = found[: len(whole) - place]
    return owners


def _as_parts(inner: tuple[int, ...], front: tuple[int, ...], parts: Sequence[tuple[int, ...]]) -> list[int] | None:
    """The owners, where the symbols of the whole are those of its parts; None where they are not."""
    if inner != (*front, *(symbol for part in parts for symbol in part)):
        return None
    return [NO_WORD] * len(front) + [word for word, part in enumerate(parts) for _ in part]


def _as_beginnings(feature: Reads, inner: tuple[int, ...], before: str, beginnings: Sequence[str]) -> list[int]:
    """The owners, where each symbol belongs to the first beginning that has it and all symbols before it."""
    owners = [NO_WORD] * (_agreeing(inner, feature.phrase(before)) if before else 0)
    for word, beginning in enumerate(beginnings):
        reached = len(inner) if word == len(beginnings) - 1 else _agreeing(inner, feature.phrase(before + beginning))
        owners += [word] * (reached - len(owners))
    return owners


def _agreeing(one: Sequence[int], other: Sequence[int]) -> int:
    """How many symbols two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (left, right) in pairs if left != right), min(len(one), len(other)))
