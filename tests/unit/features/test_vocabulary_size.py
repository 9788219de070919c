"""As many pieces as the texts can teach."""

import math

import pytest

from antiphon.features.text import TextFeature
from antiphon.features.text_config import TextConfig
from antiphon.features.vocabulary_size import MOST, SEEN_OFTEN, SHARE, WORD_SEEN, subword_size, word_size


@pytest.mark.parametrize("words", [300_000, 2_000_000])
def test_95_percent_of_the_subwords_occur_100_times_by_zipfs_law(words: int) -> None:
    found = subword_size(words, letters=80)
    pieces = 1.3 * words
    rarest = pieces / (SHARE * found.size * math.log(found.size))  # how often the piece of this rank occurs
    assert SEEN_OFTEN <= rarest < 1.25 * SEEN_OFTEN, "the largest size, in steps of 100"
    assert f"of {words:,} words" in found.reason


def test_letters_and_bytes_always_have_their_place() -> None:
    assert subword_size(100, letters=3000).size == 3000 + 4 + 256 + 100
    assert subword_size(100, letters=3000, byte_fallback=False, tags=2).size == 3000 + 4 + 2 + 100
    assert subword_size(10**9, letters=80).size == MOST


def test_words_that_occur_often_enough() -> None:
    assert word_size([WORD_SEEN] * 7 + [1] * 90, occupied=4).size == 11
    assert word_size([1] * 90, occupied=4).size == 5, "at least one"


@pytest.mark.parametrize(("kind", "size"), [("word", 4 + 3), ("unigram", 367)])
def test_a_vocabulary_of_automatic_size_says_why(kind: str, size: int) -> None:
    texts = ["a dog barks at night"] * 2 + ["the dog barks at the dog", "the cat sleeps"]
    feature = TextFeature(TextConfig(kind=kind, size="auto"))  # type: ignore[arg-type]
    feature.fit(texts)
    if kind == "word":  # dog, barks, at, the
        assert feature.vocabulary.size == 8
        assert feature.notes[-1] == "The vocabulary has 8 words: 4 words occur at least 3 times."
    else:
        assert feature.vocabulary.size <= size
        assert "subwords: the letters and bytes alone take most of it." in feature.notes[-1]


def test_characters_of_automatic_size_are_all_characters() -> None:
    both = [TextFeature(TextConfig(kind="character", size=size)) for size in ("auto", None)]  # type: ignore[arg-type]
    for feature in both:
        feature.fit(["abc", "cde"])
    assert both[0].vocabulary.fingerprint == both[1].vocabulary.fingerprint
