"""Learning vocabularies by counting."""

import random

import pytest

from antiphon.errors import ConfigError, DataError
from antiphon.features.counting import draw_lines, learn_characters, learn_words


def test_the_most_frequent_words_come_first_and_ties_by_code_point() -> None:
    vocabulary, notes = learn_words(["b a c", "c a", "c"], size=None)
    assert vocabulary.words == ("c", "a", "b")
    assert notes == []
    shuffled, _ = learn_words(["c", "a c", "c a b"], size=None)
    assert shuffled.fingerprint == vocabulary.fingerprint


def test_what_is_left_out_is_said() -> None:
    vocabulary, notes = learn_words(["a a a b b c"], size=6)
    assert vocabulary.words == ("a", "b")
    assert notes == ["1 of 3 different words of the training texts are not in the vocabulary (16.67% of the running words)."]
    vocabulary, notes = learn_words(["a a a b b c"], size=None, minimum=3)
    assert vocabulary.words == ("a",)
    assert "2 of 3 different words" in notes[0]


def test_tags_are_not_counted() -> None:
    vocabulary, _ = learn_words(["<2de> a", "<2de>b"], size=None, tags=["<2de>"])
    assert vocabulary.pieces[4:] == ("<2de>", "a", "b")
    characters, _ = learn_characters(["<2de>a"], size=None, tags=["<2de>"], byte_fallback=False)
    assert characters.pieces[4:] == ("<2de>", "a")


def test_size_includes_bytes() -> None:
    vocabulary, notes = learn_characters(["aab"], size=261, byte_fallback=True)
    assert vocabulary.size == 261
    assert vocabulary.characters == ("a",)
    assert len(notes) == 1
    with pytest.raises(ConfigError, match="`size` must be above 260"):
        learn_characters(["aab"], size=260, byte_fallback=True)


def test_nothing_to_learn_is_an_error() -> None:
    for texts in ([], ["", "  "]):
        with pytest.raises(DataError, match="needs training texts"):
            learn_words(texts, size=None)
    with pytest.raises(DataError, match="needs training texts"):
        learn_characters([""], size=None, byte_fallback=True)
    with pytest.raises(ConfigError, match="`min_frequency` must be at most 2"):
        learn_words(["a a b"], size=None, minimum=3)


def test_lines_are_drawn_evenly_and_always_the_same() -> None:
    lines = [str(number) for number in range(1000)]
    drawn, total = draw_lines(iter(lines), 200)
    assert (len(drawn), len(set(drawn)), total) == (200, 200, 1000)
    assert draw_lines(lines, 200) == (drawn, 1000)
    assert draw_lines(lines, 1000) == (lines, 1000)
    # A mean of 200 of the numbers 0 to 999 has a standard deviation of 18; the first 200 lines would have the mean 100.
    assert abs(sum(map(int, drawn)) / 200 - 499.5) < 80
    assert set(drawn) <= set(lines)
    assert random.random() != random.random()  # the global generator is left alone
