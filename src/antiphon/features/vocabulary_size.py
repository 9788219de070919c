"""Chooses a vocabulary size that suits the amount of text.

Gowda and May 2020 ("Finding the Optimal Vocabulary Size for Neural Machine Translation") found that the best vocabulary of subwords is the
largest of which 95 % of the pieces occur at least 100 times. With frequencies that fall by Zipf's law, the piece of rank r of V occurs
N / (r ln V) times among N pieces; so V is the largest with 0.95 V ln V <= N / 100. Words are counted instead of guessed: those that occur
a few times can be learned, the others are open words, or unknown.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SEEN_OFTEN, SHARE = 100, 0.95
FEWEST, MOST = 300, 16_000  # subwords: below, texts become letters; above, the output layer costs more than short sequences save
PIECES_OF_A_WORD = 1.3
WORD_SEEN, WORDS_MOST = 3, 20_000
_STEP = 100


@dataclass(frozen=True)
class Sized:
    """A size, and the reason for it, for people."""

    size: int
    reason: str


def subword_size(words: int, letters: int, *, byte_fallback: bool = True, tags: int = 0) -> Sized:
    """The size for subwords, given the number of running words and of different letters, each of which is a piece."""
    seen = PIECES_OF_A_WORD * words
    low, high = 2, MOST
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if SHARE * middle * math.log(middle) <= seen / SEEN_OFTEN else (low, middle - 1)
    least = letters + 4 + tags + 256 * byte_fallback + 100  # the letters, bytes and special pieces, and a few that have several letters
    size = max(FEWEST, least, low // _STEP * _STEP)
    why = "the letters and bytes alone take most of it" if size == least else f"of {words:,} words, most pieces occur {SEEN_OFTEN} times"
    return Sized(size, "the most that pays" if size >= MOST else why)


def word_size(counts: Iterable[int], *, occupied: int) -> Sized:
    """The size for whole words, given their frequencies; `occupied` pieces are no words."""
    often = sum(count >= WORD_SEEN for count in counts)
    if often >= WORDS_MOST:
        return Sized(WORDS_MOST, f"the most that pays; {often:,} words occur {WORD_SEEN} times")
    return Sized(max(often, 1) + occupied, f"{often:,} words occur at least {WORD_SEEN} times")


def count_words(texts: Iterable[str]) -> tuple[int, int]:
    """The number of running words, and of different letters."""
    words, letters = 0, set[str]()
    for text in texts:
        words += len(text.split())
        letters.update(text)
    return words, len(letters)


def sized_subwords(lines: Sequence[str], total: int, tags: Sequence[str], *, byte_fallback: bool) -> Sized:
    """The size for subwords, given these lines, a sample of `total` lines."""
    words, letters = count_words(lines)
    return subword_size(round(words * total / max(len(lines), 1)), letters, byte_fallback=byte_fallback, tags=len(tags))


__all__ = ["Sized", "count_words", "sized_subwords", "subword_size", "word_size"]
