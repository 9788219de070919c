"""What describes outputs: novelty, copying, length, compression, repetition."""

import copy
import json
import pickle

import numpy as np
import pytest

from antiphon.contracts import registry
from antiphon.errors import ConfigError, DataError
from antiphon.metrics.scoring import evaluate
from antiphon.metrics.significance import compare
from antiphon.metrics.sourced import SourcedText
from antiphon.training.settings import TrainingConfig, check_best

WITH_SOURCE = ["novelty_1", "novelty_2", "copy_rate", "compression"]
WITHOUT = ["length_ratio", "repetition", "repetition_1"]
SOURCE = "The cat sat on the mat, and the dog saw it."


def value(name: str, predictions: list[str], references: list[str], source: str = SOURCE) -> float:
    return evaluate([name], predictions, [[SourcedText(reference, source)] for reference in references], resamples=0)[0].value


@pytest.mark.parametrize(
    ("name", "prediction", "expected"),
    [
        ("novelty_1", "A cat saw the bird", 40),  # a, bird
        ("novelty_1", "THE CAT sat.", 0),
        ("novelty_2", "the cat saw the bird", 75),  # all but "the cat"
        ("novelty_2", "cat", 0),
        ("copy_rate", "A cat saw the bird", 60),
        ("copy_rate", "the the the", 100),
        ("compression", "cat sat", 5.5),
        ("length_ratio", "one two three", 1.5),
        ("length_ratio", "", 0),
        ("repetition", "the file and the file and the file", 100 * 4 / 7),
        ("repetition", "the cat and the dog", 0),
        ("repetition_1", "the cat and the dog", 20),
        ("repetition_1", "data data", 50),
    ],
)
def test_by_hand(name: str, prediction: str, expected: float) -> None:
    assert value(name, [prediction], ["two words"]) == pytest.approx(expected)


def test_long_outputs_weigh_more() -> None:
    assert value("novelty_1", ["cat", "bird bird bird"], ["x", "x"]) == 75
    assert value("repetition", ["a", "a b a b"], ["x", "x"]) == pytest.approx(100 / 3), "one word has no pair, and counts for nothing"


def test_copying_and_novelty_are_one() -> None:
    predictions, references = ["A cat", "the mat was red", ""], ["x"] * 3
    assert value("copy_rate", predictions, references) + value("novelty_1", predictions, references) == pytest.approx(100)


@pytest.mark.parametrize("name", WITH_SOURCE)
def test_scripts_without_spaces(name: str) -> None:
    found = value(name, ["机器翻译难"], ["x"], source="机器翻译很难")
    assert found == pytest.approx({"novelty_1": 0, "novelty_2": 25, "copy_rate": 100, "compression": 1.2}[name])


def test_of_several_references_the_nearest_in_length_counts() -> None:
    references = [["a", "a b c d", "a b"]]
    assert evaluate(["length_ratio"], ["x y z"], references, resamples=0)[0].value == 1.5, "of equally near ones the shorter"


@pytest.mark.parametrize("name", WITH_SOURCE)
def test_a_plain_reference_is_refused(name: str) -> None:
    with pytest.raises(DataError, match=f"item 2 must carry its source for the metric `{name}`, but is the plain text 'b'.*SourcedText"):
        evaluate([name], ["a", "b"], [[SourcedText("a", SOURCE)], ["b"]])


@pytest.mark.parametrize("name", [*WITH_SOURCE, *WITHOUT])
def test_the_contract(name: str) -> None:
    metric = registry.find("metrics", name)
    assert metric.name == name
    assert metric.summary
    assert "tok:words-any-script" in metric.signature
    predictions, references = ["the cat", "", "a new bird"], [[SourcedText(text, SOURCE)] for text in ("a cat", "dog", "")]
    rows = metric.statistics(predictions, references)
    one_by_one = [metric.statistics([said], [known])[0] for said, known in zip(predictions, references, strict=True)]
    np.testing.assert_array_equal(rows, one_by_one)
    assert metric.aggregate(np.stack([rows.sum(axis=0), rows[:1].sum(axis=0)])).shape == (2,)
    assert np.isfinite(metric.aggregate(rows)).all(), "also of an item that has nothing"
    score = evaluate([name], predictions, references)[0]
    assert score.low is not None
    assert score.high is not None
    assert score.low <= score.value <= score.high


@pytest.mark.parametrize("name", [*WITH_SOURCE, *WITHOUT])
def test_neither_of_two_systems_is_better_for_it(name: str) -> None:
    metric = registry.find("metrics", name)
    assert metric.higher_is_better is None
    references = [[SourcedText("a b", SOURCE)]] * 30
    found = compare(metric, ["the cat the cat sat"] * 30, ["new bird"] * 30, references, resamples=100, trials=100)
    assert found.randomization_p < 0.05
    assert found.better() is None
    with pytest.raises(ConfigError, match=f"`training.best` must be a metric that says what is better, but `{name}` only describes"):
        check_best(TrainingConfig(max_steps=1, best=name), (name,))


def test_a_sourced_text_is_a_text() -> None:
    text = SourcedText("ab", "abc")
    assert text == "ab"
    assert hash(text) == hash("ab")
    assert type(str(text)) is str
    assert json.dumps([text]) == '["ab"]'
    for again in (copy.copy(text), copy.deepcopy(text), pickle.loads(pickle.dumps(text))):  # noqa: S301  it was written here
        assert (again, again.source, type(again)) == ("ab", "abc", SourcedText)


def test_other_metrics_take_sourced_texts() -> None:
    predictions, plain = ["the cat sat down", "a dog"], ["the cat sat", "a dog"]
    names = ["bleu", "chrf", "ter", "exact_match", "word_error_rate", "rouge_l"]
    sourced = [[SourcedText(reference, SOURCE)] for reference in plain]
    assert evaluate(names, predictions, sourced) == evaluate(names, predictions, [[reference] for reference in plain])
