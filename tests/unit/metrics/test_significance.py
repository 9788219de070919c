"""Intervals and paired tests: against sacrebleu, against known nulls, and where they must be certain."""

import random
from collections.abc import Sequence
from typing import Any, final

import numpy as np
import pytest
import sacrebleu
import sacrebleu.significance

from antiphon.contracts import registry
from antiphon.errors import ConfigError, DataError
from antiphon.metrics.interface import Metric
from antiphon.metrics.significance import SEED, _bootstrap, _chunks, _p_value, _swapped_leads, compare, score

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "one", "dog", "that", "ran", "away"]


@final
class Mean(Metric):
    """The mean of numbers, whose sampling distribution is known."""

    name = "mean"
    summary = "mean"
    higher_is_better = True
    signature = "test"

    def statistics(self, predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> Any:
        return np.stack([np.array(predictions, dtype=np.float64), np.ones(len(predictions))], axis=1)

    def aggregate(self, total: Any) -> Any:
        return np.asarray(total[..., 0] / total[..., 1])


def systems(seed: int, count: int, quality_a: float, quality_b: float) -> tuple[list[str], list[str], list[list[str]]]:
    """Predictions of two systems that get each word right with these probabilities, and the references."""
    generator = random.Random(seed)
    references = [generator.choices(WORDS, k=generator.randint(6, 14)) for _ in range(count)]

    def predict(quality: float) -> list[str]:
        return [" ".join(word if generator.random() < quality else generator.choice(WORDS) for word in words) for words in references]

    return predict(quality_a), predict(quality_b), [[" ".join(words)] for words in references]


@pytest.mark.parametrize(("name", "theirs"), [("bleu", sacrebleu.BLEU), ("chrf", sacrebleu.CHRF)])
def test_randomization_and_intervals_are_sacrebleus(name: str, theirs: Any, seed: int) -> None:
    a, b, references = systems(seed, 80, 0.80, 0.82)
    streams = [[alternatives[0] for alternatives in references]]
    metric = registry.find("metrics", name)
    ours = compare(metric, a, b, references, resamples=400, trials=400)

    def test(kind: str) -> Any:
        _, results = sacrebleu.significance.PairedTest([("a", a), ("b", b)], {name: theirs()}, streams, kind, n_samples=400)()
        return results[next(key for key in results if key != "System")]

    randomization, bootstrap = test("ar"), test("bs")
    # A trial exactly as extreme as the observation counts for us; sacrebleu counts it or not, as its rounding falls.
    both = np.stack([metric.statistics(predictions, references) for predictions in (a, b)])
    sizes = np.abs(_swapped_leads(metric, both, 400, SEED))
    ties = np.count_nonzero(np.isclose(sizes, abs(ours.difference), rtol=0, atol=1e-9))
    assert ours.randomization_p - ties / 401 - 1e-12 <= randomization[1].p_value <= ours.randomization_p + 1e-12
    for mine, other in zip((ours.a, ours.b), bootstrap, strict=True):
        assert mine.value == pytest.approx(other.score)
        assert mine.low is not None
        assert mine.high is not None
        assert (mine.high - mine.low) / 2 == pytest.approx(other.ci, rel=1e-4)
    assert ours.difference == pytest.approx(bootstrap[1].score - bootstrap[0].score)


def test_p_values_are_uniform_when_nothing_differs(seed: int) -> None:
    """Two equally good systems, many times: a test at level 10% must err in about 10%."""
    generator = np.random.default_rng(seed)
    rounds, items = 300, 60
    found = []
    for _ in range(rounds):
        a, b = generator.normal(size=(2, items))
        comparison = compare(Mean(), list(a), list(b), [[0]] * items, resamples=199, trials=199, seed=int(generator.integers(2**31)))
        found.append((comparison.bootstrap_p, comparison.randomization_p))
    for p_values in np.array(found).T:
        # The standard deviation of the share is 1.7% at 10% and 2.9% at 50%; five of them is one failure in a million.
        assert np.mean(p_values <= 0.1) == pytest.approx(0.1, abs=0.09)
        assert np.mean(p_values <= 0.5) == pytest.approx(0.5, abs=0.15)


def test_intervals_cover_what_they_should(seed: int) -> None:
    generator = np.random.default_rng(seed)
    covered = 0
    for _ in range(300):
        result = score(Mean(), list(generator.normal(7, 2, size=80)), [[0]] * 80, resamples=200, seed=int(generator.integers(2**31)))
        assert result.low is not None
        assert result.high is not None
        covered += result.low <= 7 <= result.high
    assert covered / 300 == pytest.approx(0.94, abs=0.07)


def test_the_bootstrap_knows_the_standard_error() -> None:
    values = np.random.default_rng(3).normal(size=400)
    result = score(Mean(), list(values), [[0]] * 400, resamples=4000)
    assert result.low is not None
    assert result.high is not None
    assert (result.high - result.low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.1)


def test_equal_systems_are_not_told_apart(seed: int) -> None:
    a, _, references = systems(seed, 30, 0.8, 0.8)
    comparison = compare(registry.find("metrics", "bleu"), a, list(a), references, resamples=100, trials=100)
    assert (comparison.difference, comparison.low, comparison.high) == (0, 0, 0)
    assert (comparison.bootstrap_p, comparison.randomization_p) == (1, 1)
    assert comparison.better() is None


@pytest.mark.parametrize("name", ["bleu", "ter", "word_error_rate"])
def test_a_clear_difference_is_found_in_either_order(name: str, seed: int) -> None:
    bad, good, references = systems(seed, 60, 0.5, 0.9)
    metric = registry.find("metrics", name)
    forward = compare(metric, bad, good, references, resamples=200, trials=200)
    backward = compare(metric, good, bad, references, resamples=200, trials=200)
    assert (forward.better(), backward.better()) == ("b", "a")
    assert forward.bootstrap_p == pytest.approx(1 / 201)
    assert forward.randomization_p == pytest.approx(1 / 201)
    assert forward.difference == pytest.approx(-backward.difference)
    assert forward.low <= forward.difference <= forward.high
    assert (forward.low > 0) == metric.higher_is_better


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large sets are resampled piece by piece, with the same draws."""
    statistics = np.random.default_rng(0).normal(size=(50, 2))
    a, b, references = systems(5, 50, 0.8, 0.8)
    metric = registry.find("metrics", "bleu")
    whole, compared = _bootstrap(statistics, 100, 1), compare(metric, a, b, references, trials=100)
    monkeypatch.setattr("antiphon.metrics.significance._CHUNK", 50 * 32)
    assert list(_chunks(100, 50)) == [32, 32, 32, 4]
    assert np.allclose(_bootstrap(statistics, 100, 1), whole)
    assert compare(metric, a, b, references, trials=100) == compared


def test_seeds_and_single_items() -> None:
    a, _, references = systems(6, 20, 0.8, 0.8)
    metric = registry.find("metrics", "chrf")
    assert score(metric, a, references) == score(metric, a, references)
    assert score(metric, a, references).low != score(metric, a, references, seed=1).low
    one = score(metric, a[:1], references[:1])
    assert one.low == one.high == one.value
    assert _p_value(np.zeros(9), 0.5, 0.0) == pytest.approx(0.1)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_a_difference_is_the_same_in_every_unit(unit: float) -> None:
    generator = np.random.default_rng(5)
    a = generator.normal(size=200)
    b = a + 0.3 + 0.1 * generator.normal(size=200)
    found = compare(Mean(), list(a * unit), list(b * unit), [[0]] * 200, resamples=200, trials=500)
    assert found.better() == "b"
    assert (found.bootstrap_p, found.randomization_p) == (1 / 201, 1 / 501)


def test_what_differs_by_rounding_alone_is_a_tie() -> None:
    """The same numbers in another order have another sum."""
    a = [0.1, 0.2, 0.3, 1e-17, 0.7] * 20
    found = compare(Mean(), a, a[::-1], [[0]] * 100, resamples=100, trials=100)
    assert found.difference < 1e-9
    assert found.better() is None


def test_no_system_is_better_than_one_without_a_value() -> None:
    """NaN is no difference, and not the largest of all either."""
    found = compare(Mean(), [1.0, 2.0], [float("nan"), 2.0], [[0]] * 2, resamples=100, trials=100)
    assert found.better() is None
    assert np.isnan(found.randomization_p)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(DataError, match="same items, but have 2 and 1"):
        compare(Mean(), [1, 2], [1], [[0], [0]])
    with pytest.raises(ConfigError, match="`resamples` must be at least 1"):
        compare(Mean(), [1], [1], [[0]], resamples=0)
    with pytest.raises(ConfigError, match="`trials` must be at least 1"):
        compare(Mean(), [1], [1], [[0]], trials=0)
    with pytest.raises(ConfigError, match="`resamples` must be at least 0"):
        score(Mean(), [1], [[0]], resamples=-1)
