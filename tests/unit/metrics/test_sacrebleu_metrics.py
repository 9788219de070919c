"""BLEU, chrF and TER against sacrebleu's public functions."""

import random
from typing import Any

import numpy as np
import pytest
import sacrebleu

from antiphon.contracts import registry
from antiphon.metrics.interface import Metric
from antiphon.metrics.significance import score

REFERENCE = {
    "bleu": lambda: sacrebleu.BLEU(),
    "bleu_zh": lambda: sacrebleu.BLEU(tokenize="zh"),
    "chrf": lambda: sacrebleu.CHRF(),
    "chrf_plus": lambda: sacrebleu.CHRF(word_order=2),
    "ter": lambda: sacrebleu.TER(),
}
WORDS = ["the", "cat", "sat", "on", "a", "mat", ".", "dog", "Hello,", "(yes)", "x", "3.5", "我们", "去", "&quot;", "-"]


def texts(generator: random.Random, count: int, most_references: int) -> tuple[list[str], list[list[str]]]:
    """Predictions, some of them empty, and references made from them by dropping and replacing words; 1 to `most_references` each."""
    predictions, references = [], []
    for _ in range(count):
        words = generator.choices(WORDS, k=generator.randint(0, 12))
        predictions.append(" ".join(words))
        alternatives = []
        for _ in range(generator.randint(1, most_references)):
            kept = [word if generator.random() < 0.9 else generator.choice(WORDS) for word in words if generator.random() < 0.9]
            alternatives.append(" ".join(kept or ["dog"]))
        references.append(alternatives)
    return predictions, references


def streams(references: list[list[str]]) -> list[list[Any]]:
    """References as sacrebleu wants them: all first ones, all second ones, ..., None where an item has no more."""
    return [
        [alternatives[place] if place < len(alternatives) else None for alternatives in references]
        for place in range(max(map(len, references)))
    ]


@pytest.mark.parametrize("most_references", [1, 3])
@pytest.mark.parametrize("name", REFERENCE)
def test_equal_to_sacrebleu(name: str, most_references: int, seed: int) -> None:
    metric: Metric = registry.find("metrics", name)
    assert metric.name == name
    for count in (1, 2, 50):
        predictions, references = texts(random.Random(seed + count), count, most_references)
        theirs = REFERENCE[name]()
        expected = theirs.corpus_score(predictions, streams(references))
        ours = score(metric, predictions, references, resamples=0)
        assert ours.value == pytest.approx(expected.score, rel=1e-12, abs=1e-12)
        assert ours.signature == str(theirs.get_signature())
        assert (ours.low, ours.high) == (None, None)
        assert metric.higher_is_better == (name != "ter")


@pytest.mark.parametrize("name", REFERENCE)
def test_the_interval_is_sacrebleus(name: str, seed: int) -> None:
    predictions, references = texts(random.Random(seed), 60, 2)
    theirs = REFERENCE[name]()
    expected = theirs.corpus_score(predictions, streams(references), n_bootstrap=500)
    ours = score(registry.find("metrics", name), predictions, references, resamples=500)
    assert ours.low is not None
    assert ours.high is not None
    assert (ours.high - ours.low) / 2 == pytest.approx(expected._ci, rel=1e-4)  # sacrebleu sums in single precision
    assert ours.signature == str(theirs.get_signature())


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize(
    ("prediction", "references"),
    [
        ("", ["a b c d"]),
        ("a b c d", [""]),
        ("", [""]),
        ("a", ["a"]),
        ("a b c d e", ["a b c d e"]),
        ("x y z v", ["a b c d"]),
        ("a b", ["b a", "a b"]),
    ],
)
def test_extremes_are_those_of_sacrebleu(name: str, prediction: str, references: list[str]) -> None:
    expected = REFERENCE[name]().corpus_score([prediction], [[reference] for reference in references]).score
    assert score(registry.find("metrics", name), [prediction], [references], resamples=0).value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", REFERENCE)
def test_sums_of_statistics_may_have_leading_axes(name: str, seed: int) -> None:
    metric: Metric = registry.find("metrics", name)
    predictions, references = texts(random.Random(seed), 24, 2)
    statistics = metric.statistics(predictions, references)
    groups = statistics.reshape(2, 3, 4, -1).sum(axis=2)
    together = metric.aggregate(groups)
    assert together.shape == (2, 3)
    alone = [metric.aggregate(groups[row, column]) for row in range(2) for column in range(3)]
    assert np.array_equal(together.ravel(), np.array(alone))
