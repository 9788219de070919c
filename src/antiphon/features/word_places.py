"""Finds the word of each symbol in a text, which alignments and factors of words need, since models only have symbols.

Words are what stands between white space in the text as it was given, before it was normalized. Subwords mostly say themselves where a word
begins. Where they do not, words are encoded one by one, and where the parts are the whole they say who owns what. Where they are not (a
published tokenizer that looks at its neighbours), longer and longer beginnings of the text are encoded, and a symbol belongs to the word
with which it came. So every vocabulary is served.
"""

import re
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from antiphon.features.text import TextFeature
from antiphon.features.vocabulary import UNKNOWN, split_tags, tag_splitter

_WORD = re.compile(r"\S+")
NO_WORD = -1
"""The word of a symbol that no word of the text has: the end, a tag, what is put before every text."""


@runtime_checkable
class Reads(Protocol):
    """A feature of texts."""

    def encode(self, value: str, /) -> np.ndarray:
        """The symbols of a text with those that surround every text."""

    def phrase(self, text: str, /) -> tuple[int, ...]:
        """The symbols of a phrase."""


def words_in(text: str) -> list[str]:
    """The words of a text, as alignments count them."""
    return _WORD.findall(text)


def word_places(feature: Reads, text: str, before: str = "") -> Int[np.ndarray, " T"]:
    """For each symbol of `feature.encode(before + text)` the index of its word in `text`, or -1; (T,) int64."""
    found = places_of(feature, np.asarray(feature.encode(before + text), dtype=np.int64), text, before)
    assert found is not None, "the symbols are those of the text"
    return found


def places_of(feature: Reads, symbols: Int[np.ndarray, " T"], text: str, before: str) -> Int[np.ndarray, " T"] | None:
    """For each of some symbols of `before + text` the index of its word in `text`, or -1.

    The symbols may be another segmentation than the usual one, as long as they say where words begin; None where they do not.
    """
    if isinstance(feature, TextFeature) and (found := _by_starts(feature, symbols, text, before)) is not None:
        return found
    whole, inner = np.asarray(feature.encode(before + text), dtype=np.int64), feature.phrase(before + text)
    if not np.array_equal(whole, symbols):
        return None
    ends = [found.end() for found in _WORD.finditer(text)]
    owners = np.full(len(whole), NO_WORD, dtype=np.int64)
    if not ends or not inner:
        return owners
    starts, stops = [0, *ends[:-1]], [*ends[:-1], len(text)]
    parts = [feature.phrase(text[start:stop]) for start, stop in zip(starts, stops, strict=True)]
    front = feature.phrase(before) if before else ()
    words = _as_parts(inner, front, parts) or _as_beginnings(feature, inner, before, [text[:stop] for stop in stops])
    place = next((place for place in range(len(whole) - len(inner) + 1) if tuple(whole[place : place + len(inner)]) == inner), 0)
    owners[place : place + len(inner)] = words[: len(whole) - place]
    return owners


def _by_starts(feature: TextFeature, symbols: Int[np.ndarray, " T"], text: str, before: str) -> Int[np.ndarray, " T"] | None:
    """The words of symbols if as many symbols begin a word as there are words; None otherwise, as for characters."""
    vocabulary = feature.vocabulary
    starts = vocabulary.word_starts
    if starts is None or feature.opening or not len(symbols):
        return None
    begins = starts[symbols]
    if feature.can_be_open and feature.config.punctuation == "attached":
        begins |= symbols == UNKNOWN  # a word, whatever it is
    tags = feature.config.tags
    is_tag = np.array([bool(tags) and vocabulary.pieces[symbol] in tags for symbol in symbols.tolist()])
    begins &= ~is_tag
    ordinary = begins[~is_tag]
    earlier = sum(len(words_in(part)) for part in split_tags(tag_splitter(tags), before)[::2])
    if not len(ordinary) or not ordinary[0] or int(begins.sum()) != earlier + len(words_in(text)):
        return None
    return np.where(is_tag, NO_WORD, np.maximum(np.cumsum(begins) - 1 - earlier, NO_WORD))


def _as_parts(inner: tuple[int, ...], front: tuple[int, ...], parts: Sequence[tuple[int, ...]]) -> list[int] | None:
    """The words of symbols if the whole is encoded like its words one by one; None otherwise."""
    if inner != (*front, *(symbol for part in parts for symbol in part)):
        return None
    return [NO_WORD] * len(front) + [word for word, part in enumerate(parts) for _ in part]


def _as_beginnings(feature: Reads, inner: tuple[int, ...], before: str, beginnings: Sequence[str]) -> list[int]:
    """The words of symbols by encoding longer and longer beginnings: each symbol belongs to the first beginning that contains it and all
    before it."""
    owners = [NO_WORD] * (_agreeing(inner, feature.phrase(before)) if before else 0)
    for word, beginning in enumerate(beginnings):
        reached = len(inner) if word == len(beginnings) - 1 else _agreeing(inner, feature.phrase(before + beginning))
        owners += [word] * (reached - len(owners))
    return owners


def _agreeing(one: Sequence[int], other: Sequence[int]) -> int:
    """The number of equal symbols at the beginnings of two texts."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (left, right) in pairs if left != right), min(len(one), len(other)))
