"""Which word a symbol belongs to."""

import random
from typing import Any

import numpy as np
import pytest

from antiphon.contracts.configuration import validate
from antiphon.features.text import TextFeature
from antiphon.features.text_config import TextConfig
from antiphon.features.word_places import NO_WORD, word_places, words_in

_WORDS = ["the", "cat", "sat", "(on)", "a", "mat,", "Straße", "ﬁne", "don't", "½"]
_GENERATOR = random.Random(3)
LINES = [" ".join(_GENERATOR.choices(_WORDS, k=6)) for _ in range(200)]
SETTINGS: list[dict[str, Any]] = [
    {"kind": "unigram", "size": 330},
    {"kind": "bpe", "size": 330},
    {"kind": "unigram", "size": 330, "lossless": True, "tags": ["<de>"]},
    {"kind": "word"},
    {"kind": "word", "punctuation": "split", "min_frequency": 100},
    {"kind": "character"},
    {"kind": "byte"},
]


def fitted(**settings: Any) -> TextFeature:
    feature = TextFeature(validate(TextConfig, settings), "source")
    feature.fit(iter(LINES))
    return feature


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("before", ["", "translate: "])
def test_the_symbols_of_a_word_say_it(settings: dict[str, Any], before: str) -> None:
    feature = fitted(**settings)
    for line in (*LINES[:20], "  the   cat ", "a"):
        symbols, owners = feature.encode(before + line), word_places(feature, line, before)
        assert owners.shape == symbols.shape
        words = words_in(line)
        of_words = owners[owners != NO_WORD]
        assert (np.diff(of_words) >= 0).all()
        assert sorted(set(of_words.tolist())) == list(range(len(words))), "every word has symbols"
        for number, word in enumerate(words):
            assert feature.decode(symbols[owners == number]).strip() == feature.decode(feature.encode(word)).strip()
        assert (owners == NO_WORD).any() == bool(before)


def test_tags_belong_to_no_word() -> None:
    feature = fitted(**SETTINGS[2])
    owners = word_places(feature, "the cat", "<de>")
    assert owners[0] == NO_WORD
    assert feature.pieces(feature.encode("<de>the cat"))[0] == "<de>"
    assert set(owners.tolist()) == {NO_WORD, 0, 1}


class Neighbours:
    """A vocabulary that joins a word with the first letter of the next one, and puts symbols around a text."""

    def encode(self, value: str) -> np.ndarray:
        return np.array([100, *self.phrase(value), 101])

    def phrase(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, text.replace("a b", "\u00e6")))


def test_symbols_across_words_belong_to_where_they_end() -> None:
    owners = word_places(Neighbours(), "xa by c")  # type: ignore[arg-type]
    assert owners.tolist() == [NO_WORD, 0, 1, 1, 2, 2, NO_WORD]


def test_nothing_has_no_words() -> None:
    assert word_places(fitted(kind="character"), "").tolist() == []
    assert word_places(fitted(kind="character"), "  ").tolist() == [NO_WORD, NO_WORD]
