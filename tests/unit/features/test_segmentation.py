"""Drawing segmentations: exact probabilities, sentencepiece's own distribution, the same draws in every process."""

import io
import math
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import sentencepiece

from antiphon.features.model_proto import NORMAL, USER_DEFINED, ModelFacts, read_facts
from antiphon.features.segmentation import Segmenter

_GENERATOR = random.Random(1)
_WORDS = ["".join(_GENERATOR.choices("abcdef", k=_GENERATOR.randint(2, 7))) for _ in range(200)]
LINES = [" ".join(_GENERATOR.choices(_WORDS, k=8)) for _ in range(400)]


def trained(kind: str) -> tuple[Any, Segmenter, ModelFacts]:
    stream = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES),
        model_writer=stream,
        vocab_size=150,
        model_type=kind,
        user_defined_symbols=["<t>"],
        num_threads=1,
        minloglevel=2,
    )
    facts = read_facts(stream.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=stream.getvalue())
    numbers = [number for number, kind_of_piece in enumerate(facts.types) if kind_of_piece == NORMAL]
    scores = dict(zip(processor.id_to_piece(numbers), processor.get_score(numbers), strict=True))
    return processor, Segmenter("unigram" if kind == "unigram" else "bpe", scores, ["<t>"]), facts


@pytest.fixture(scope="module")
def unigram() -> tuple[Any, Segmenter, ModelFacts]:
    return trained("unigram")


@pytest.fixture(scope="module")
def bpe() -> tuple[Any, Segmenter, ModelFacts]:
    return trained("bpe")


def segmentations(word: str, scores: dict[str, float]) -> Iterator[list[str]]:
    """All of them, one by one."""
    if not word:
        yield []
    for end in range(1, len(word) + 1):
        if word[:end] in scores:
            yield from ([word[:end], *rest] for rest in segmentations(word[end:], scores))


def distance(one: Counter[Any], other: Counter[Any]) -> float:
    """Total variation between two samples: 0 when they agree, 1 when they have nothing in common."""
    return sum(abs(one[key] / one.total() - other[key] / other.total()) for key in one | other) / 2


def test_facts_of_a_model(unigram: tuple[Any, Segmenter, ModelFacts], bpe: tuple[Any, Segmenter, ModelFacts]) -> None:
    for (processor, _, facts), algorithm in ((unigram, "unigram"), (bpe, "bpe")):
        assert facts.algorithm == algorithm
        assert len(facts.types) == len(processor)
        assert [processor.id_to_piece(number) for number, kind in enumerate(facts.types) if kind == USER_DEFINED] == ["<t>"]
        assert [kind == 2 for kind in facts.types] == [processor.is_unknown(number) for number in range(len(processor))]
        assert [kind == 3 for kind in facts.types] == [processor.is_control(number) for number in range(len(processor))]


def test_probabilities_are_exact() -> None:
    """Against the definition: all segmentations of a short word, enumerated."""
    scores = {"a": -1.0, "b": -2.0, "ab": -2.5, "ba": -1.5, "aba": -4.0}
    strength = 0.7
    expected = {" ".join(pieces): math.exp(strength * sum(scores[piece] for piece in pieces)) for pieces in segmentations("ababa", scores)}
    assert len(expected) == 12
    segmenter = Segmenter("unigram", scores)
    drawn = Counter(" ".join(segmenter.draw("ababa", strength, seed)) for seed in range(10_000))
    total = sum(expected.values())
    for segmentation, weight in expected.items():
        # Five standard deviations of a share of 10,000 are at most 2.5%.
        assert drawn[segmentation] / 10_000 == pytest.approx(weight / total, abs=0.025)
    assert drawn.keys() == expected.keys()


def test_a_large_exponent_and_no_dropout_give_sentencepieces_best(
    unigram: tuple[Any, Segmenter, ModelFacts], bpe: tuple[Any, Segmenter, ModelFacts]
) -> None:
    for line in [*LINES[:100], "", "a<t>bc <t> d", "fedcbafedcba abcdefabcdef"]:
        for (processor, segmenter, _), strength in ((unigram, 1e6), (bpe, 0.0)):
            assert segmenter.draw(processor.normalize(line), strength, 0) == processor.encode(line, out_type=str)


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_the_distribution_is_sentencepieces(
    kind: str, unigram: tuple[Any, Segmenter, ModelFacts], bpe: tuple[Any, Segmenter, ModelFacts], seed: int
) -> None:
    processor, segmenter, _ = {"unigram": unigram, "bpe": bpe}[kind]
    strength, another = {"unigram": (0.05, 0.5), "bpe": (0.3, 0.9)}[kind]
    word, count = "dcbaf", 1500
    theirs = Counter(tuple(processor.encode(word, out_type=str, enable_sampling=True, alpha=strength, nbest_size=-1)) for _ in range(count))
    normalized = processor.normalize(word)
    ours = Counter(tuple(segmenter.draw(normalized, strength, seed + number)) for number in range(count))
    assert len(theirs) >= 3
    assert distance(ours, theirs) < 0.12
    # The test must be able to tell: another strength is farther away.
    other = Counter(tuple(segmenter.draw(normalized, another, seed + number)) for number in range(count))
    assert distance(other, theirs) > 0.2


def test_draws_are_the_same_in_another_process() -> None:
    code = (
        "from antiphon.features.segmentation import Segmenter\n"
        "scores = {'a': -1.0, 'b': -2.0, 'ab': -2.5, 'ba': -1.5, 'aba': -4.0}\n"
        "print([Segmenter(kind, scores).draw('abababab', 0.5, seed) for kind in ('unigram', 'bpe') for seed in range(20)])"
    )
    outputs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": "src"}).stdout
        for _ in range(2)
    }
    scores = {"a": -1.0, "b": -2.0, "ab": -2.5, "ba": -1.5, "aba": -4.0}
    here = [Segmenter(kind, scores).draw("abababab", 0.5, seed) for kind in ("unigram", "bpe") for seed in range(20)]  # type: ignore[arg-type]
    assert outputs == {f"{here}\n"}
    assert len({tuple(pieces) for pieces in here}) > 10


def test_pieces_across_spaces_are_drawn_from_the_whole_text() -> None:
    segmenter = Segmenter("unigram", {"a": -5.0, "b": -5.0, "\u2581": -5.0, "a\u2581b": -1.0})
    assert segmenter.draw("a\u2581b", 100.0, 0) == ["a\u2581b"]


def test_a_character_that_is_no_piece_stands_alone() -> None:
    for kind in ("unigram", "bpe"):
        segmenter = Segmenter(kind, {"a": -1.0, "aa": -1.0})  # type: ignore[arg-type]
        assert "".join(segmenter.draw("axyaa", 0.5, 3)) == "axyaa"
        assert {"x", "y"} <= set(segmenter.draw("axyaa", 0.5, 3))
