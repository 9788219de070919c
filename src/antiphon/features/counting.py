"""Learns a vocabulary of words or characters: counts, keeps the most frequent, and reports what was left out."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from antiphon.errors import ConfigError, DataError
from antiphon.features.vocabulary import (
    BYTE_PIECES,
    SPECIAL_PIECES,
    CharacterVocabulary,
    WordVocabulary,
    split_tags,
    split_tags_and_words,
    tag_splitter,
)
from antiphon.features.vocabulary_size import word_size


def learn_words(
    texts: Iterable[str],
    *,
    size: int | Literal["auto"] | None,
    minimum: int = 1,
    tags: Sequence[str] = (),
    separator: str | None = None,
    punctuation: bool = False,
) -> tuple[WordVocabulary, list[str]]:
    """The most frequent words, at most `size` with special pieces and tags, each seen `minimum` times: (vocabulary, notes).

    Raises DataError without any word, and ConfigError when `size` or `minimum` leaves none.
    """
    splitter = tag_splitter(tags)
    counts: Counter[str] = Counter()
    for text in texts:
        parts = split_tags_and_words(splitter, text, separator, punctuation=punctuation)
        counts.update(part for is_tag, part in parts if not is_tag)
    occupied = len(SPECIAL_PIECES) + len(tags)
    fitting = word_size(counts.values(), occupied=occupied) if size == "auto" else None
    most = fitting.size if fitting else size
    assert most != "auto", "decided above"
    words, notes = _most_frequent(counts, size=most, occupied=occupied, minimum=minimum, kind="words")
    notes += [f"The vocabulary has {len(words) + occupied:,} words: {fitting.reason}."] if fitting else []
    return WordVocabulary(words, tags, separator, punctuation=punctuation), notes


def learn_characters(
    texts: Iterable[str], *, size: int | None, minimum: int = 1, tags: Sequence[str] = (), byte_fallback: bool
) -> tuple[CharacterVocabulary, list[str]]:
    """The most frequent characters, at most `size` with special pieces, tags and bytes, each seen `minimum` times: (vocabulary, notes).

    Raises DataError without any character, and ConfigError when `size` or `minimum` leaves none.
    """
    splitter = tag_splitter(tags)
    counts: Counter[str] = Counter()
    for text in texts:
        for part in split_tags(splitter, text)[::2]:
            counts.update(part)
    occupied = len(SPECIAL_PIECES) + len(tags) + (len(BYTE_PIECES) if byte_fallback else 0)
    characters, notes = _most_frequent(counts, size=size, occupied=occupied, minimum=minimum, kind="characters")
    return CharacterVocabulary(characters, tags, byte_fallback), notes


def _most_frequent(counts: Counter[str], *, size: int | None, occupied: int, minimum: int, kind: str) -> tuple[list[str], list[str]]:
    """(pieces, notes about what was left out), the most frequent first, ties by code point; `size` includes the `occupied` places."""
    if not counts:
        raise DataError(f"A vocabulary of {kind} needs training texts, but there are none, or all are empty.")
    if size is not None and size <= occupied:
        raise ConfigError(f"`size` must be above {occupied} (special pieces, tags and bytes), but is {size}.")
    frequent = sorted((piece for piece, count in counts.items() if count >= minimum), key=lambda piece: (-counts[piece], piece))
    kept = frequent if size is None else frequent[: size - occupied]
    if not kept:
        highest = max(counts.values())
        raise ConfigError(f"`min_frequency` must be at most {highest}, as often as any of the {kind} occurs, but is {minimum}.")
    if len(kept) == len(counts):
        return kept, []
    total = sum(counts.values())
    share = 1 - sum(counts[piece] for piece in kept) / total
    left_out = f"{len(counts) - len(kept):,} of {len(counts):,} different {kind} of the training texts"
    return kept, [f"{left_out} are not in the vocabulary ({share:.2%} of the running {kind})."]


def draw_lines(lines: Iterable[str], count: int) -> tuple[list[str], int]:
    """A random sample of at most `count` lines, each equally likely, and the number of all lines.

    Reservoir sampling (Vitter 1985, algorithm R) with a fixed seed: the lines are read once and the same ones are drawn every time.
    """
    generator = random.Random(0)
    drawn: list[str] = []
    total = 0
    for line in lines:
        total += 1
        if len(drawn) < count:
            drawn.append(line)
        elif (place := generator.randrange(total)) < count:
            drawn[place] = line
    return drawn, total
