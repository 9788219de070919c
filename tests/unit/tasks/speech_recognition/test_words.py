"""Words of hypotheses: which symbols they are, how sure they are, and when they are said."""

from itertools import pairwise
from math import exp

import numpy as np
import pytest

from antiphon.contracts.sequences import Hypothesis
from antiphon.features.text import TextFeature
from antiphon.features.text_config import TextConfig
from antiphon.tasks.growing_words import GrowingWords
from antiphon.tasks.speech_recognition.words import words_of


def hypothesis(feature, text, **more):
    elements = feature.encode(text)
    return Hypothesis(elements, -1.0, -1.0, tuple(-0.1 * (place + 1) for place in range(len(elements) + 1)), **more)


@pytest.fixture(params=["character", "unigram", "word"])
def feature(request):
    size = 40 if request.param == "unigram" else None
    found = TextFeature(TextConfig(kind=request.param, size=size, **({"byte_fallback": False} if size else {})))
    found.fit(["ab cab dab bad", "a cab", "dad abba"] * 20)
    return found


def test_spans_become_times_of_words(feature):
    elements = feature.encode("ab cab bad")
    spans = np.stack([10 * np.arange(len(elements)), 10 * np.arange(len(elements)) + 5], axis=1)
    found = words_of(hypothesis(feature, "ab cab bad", spans=spans), feature.decode, 2.0, 100.0, 0.01)
    assert [item["word"] for item in found] == ["ab", "cab", "bad"]
    assert found[-1]["end"] == pytest.approx(2.0 + spans[-1, 1] / 100)
    assert all(item["start"] < item["end"] for item in found)
    assert all(one["end"] <= two["start"] + 1e-9 for one, two in pairwise(found))
    if feature.config.kind == "character":
        assert (found[1]["start"], found[1]["end"]) == (2.3, 2.55)
        assert found[1]["confidence"] == pytest.approx(exp(-0.4 - 0.5 - 0.6), abs=1e-4)


def test_attention_gives_rougher_times_and_nothing_gives_none(feature):
    elements = feature.encode("ab cab")
    attention = np.eye(len(elements), len(elements) * 2, dtype=np.float32)
    found = words_of(hypothesis(feature, "ab cab", alignment=attention), feature.decode, 0.0, 2.0, 0.01)
    assert 0 <= found[0]["start"] < found[0]["end"] <= found[1]["end"] <= 2.0
    plain = words_of(hypothesis(feature, "ab cab"), feature.decode, 0.0, 2.0, 0.01)
    assert [set(item) for item in plain] == [{"word", "confidence"}] * 2
    assert words_of(hypothesis(feature, ""), feature.decode, 0.0, 2.0, 0.01) == []


LETTERS = ["ab cab dab bad", "a cab", "dad abba"]


@pytest.mark.parametrize("kind", ["character", "unigram", "bpe", "word", "byte"])
def test_words_that_grow_are_those_of_the_whole(kind, seed):
    feature = TextFeature(TextConfig(kind=kind, **({"size": 300} if kind in ("unigram", "bpe") else {})))
    feature.fit(LETTERS * 20)
    text = " ".join(
        np.random.default_rng(seed).choice(["ab", "cab", "dad", "abba", *(["\u00e9t\u00e9", "\u8a9e"] if kind == "byte" else [])], 90)
    )
    elements = feature.encode(text)
    growing, complete, last = GrowingWords(feature.decode), [], []
    for count in range(0, len(elements) + 3, 3):
        more, last = growing.extend(elements[:count])
        complete += more
        assert feature.decode(elements[:count]) == growing.text
    assert [word.text for word in (*complete, *last)] == text.split()
    for place, word in enumerate((*complete, *last)):
        assert feature.decode(elements[: word.elements[0]]).split() == text.split()[:place]
    assert growing.text == feature.decode(elements)


def test_the_time_of_words_is_linear_in_their_number():
    feature = TextFeature(TextConfig(kind="character"))
    feature.fit(LETTERS)
    decoded = 0

    def decode(elements):
        nonlocal decoded
        decoded += len(elements)
        return feature.decode(elements)

    elements = feature.encode(" ".join(["cab"] * 2000))
    growing, complete = GrowingWords(decode), 0
    for count in range(4, len(elements) + 1, 4):
        complete += len(growing.extend(elements[:count])[0])
    assert complete == 1998
    assert decoded < 80 * len(elements), "each symbol is decoded again some times, however many there are"
    decoded = 0
    assert len(words_of(Hypothesis(elements, -1.0, -1.0), decode, 0.0, 1.0, 0.01)) == 2000
    assert decoded < 80 * len(elements)
