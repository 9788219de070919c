"""Error rates, against jiwer and by hand; exact match and token accuracy."""

import random

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.contracts import registry
from antiphon.metrics.significance import score

ITEMS = st.lists(st.tuples(st.text("ab c"), st.text("ab c").filter(str.strip)), min_size=1)


def value(name: str, predictions: list[str], references: list[list[str]]) -> float:
    return score(registry.find("metrics", name), predictions, references, resamples=0).value


@given(ITEMS)
def test_equal_to_jiwer(items: list[tuple[str, str]]) -> None:
    predictions = [prediction for prediction, _ in items]
    references = [reference for _, reference in items]
    alternatives = [[reference] for reference in references]
    assert value("word_error_rate", predictions, alternatives) == pytest.approx(100 * jiwer.wer(references, predictions))
    assert value("token_error_rate", predictions, alternatives) == pytest.approx(100 * jiwer.wer(references, predictions))
    assert value("character_error_rate", predictions, alternatives) == pytest.approx(100 * jiwer.cer(references, predictions))


def test_statistics_tell_the_kinds_of_errors() -> None:
    metric = registry.find("metrics", "token_error_rate")
    statistics = metric.statistics(["a x c", "a b c d", "b", ""], [["a b c"], ["a b c"], ["a b"], ["a"]])
    assert statistics.tolist() == [[1, 0, 0, 3], [0, 0, 1, 3], [0, 1, 0, 2], [0, 1, 0, 1]]
    assert value("token_error_rate", ["a x c", "a b c d", "b", ""], [["a b c"], ["a b c"], ["a b"], ["a"]]) == pytest.approx(100 * 4 / 9)


def test_the_nearest_reference_counts_whatever_the_order(seed: int) -> None:
    """A pronunciation with several correct forms."""
    metric = registry.find("metrics", "token_error_rate")
    alternatives = ["AE1 B D X", "AE1 B", "AE1 B D F G"]
    random.Random(seed).shuffle(alternatives)
    # "AE1 B D" is one error away from two of them; the longer one is taken.
    assert metric.statistics(["AE1 B D"], [alternatives]).tolist() == [[0, 1, 0, 4]]
    # Rows stay with their items when items differ in their number of references.
    assert metric.statistics(["a", "b c", "d"], [["x", "a"], ["b c"], ["d e", "f", "d"]])[:, :3].sum() == 0


def test_empty_references() -> None:
    for name in ("token_error_rate", "word_error_rate", "character_error_rate"):
        assert value(name, [""], [[""]]) == 0
        assert value(name, ["a b"], [[""]]) == 100
        assert value(name, ["a", "b"], [[""], ["b"]]) == 100  # one error, one unit


def test_characters_are_code_points_with_spaces_between() -> None:
    assert value("character_error_rate", [" né "], [["ne"]]) == 50
    assert value("character_error_rate", ["ab"], [["a b"]]) == pytest.approx(100 / 3)


def test_exact_match_normalizes_nothing() -> None:
    references = [["a b", "c"], ["a b"], ["a b"], [""]]
    assert value("exact_match", ["c", "a  b", "A b", ""], references) == 50


def test_token_accuracy_is_by_position() -> None:
    assert value("token_accuracy", ["a b c"], [["a x c"]]) == pytest.approx(200 / 3)
    assert value("token_accuracy", ["b c"], [["a b c"]]) == 0
    assert value("token_accuracy", ["a b c d"], [["a b"]]) == 50  # running on does not pay
    assert value("token_accuracy", ["a b"], [["x y", "a b"]]) == 100
    assert value("token_accuracy", [""], [[""]]) == 100
    assert value("token_accuracy", ["", "a"], [[""], ["b"]]) == 0
