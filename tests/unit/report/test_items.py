"""Which items are shown: the best are the best by the metric, whichever way it points."""

import numpy as np
import pytest

from antiphon.report import items as items_module
from antiphon.report.items import KINDS, ScoredItems, orders, pick, score_items, source_lengths
from antiphon.report.run_record import StoredEvaluation
from tests.unit.report.runs import ITEMS, SCORES, evaluation, item, score


def scored(content: dict[str, object] | None = None) -> ScoredItems:
    found = score_items(StoredEvaluation(content or evaluation(), 0.0))
    assert isinstance(found, ScoredItems), found
    return found


def test_each_item_by_the_first_metric() -> None:
    found = scored()
    assert found.metric.name == "token_error_rate"
    assert found.values.tolist() == pytest.approx([0, 100 / 3, 100, 0, 100])
    assert list(found.numbers) == [0, 1, 2, 3, 4]


def test_orders() -> None:
    ordered = orders(scored())
    assert ordered["best"] == [0, 3, 1, 2, 4], "of the two perfect ones, the longer reference first"
    assert ordered["worst"] == [2, 4, 1, 0, 3]
    assert ordered["typical"][0] == 1
    assert ordered["longest"][0] == 2
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in ordered.values())
    assert ordered["random"] == orders(scored())["random"], "drawn by a fixed seed"


def test_a_metric_of_which_more_is_better() -> None:
    found = scored(evaluation(scores=[SCORES[2], SCORES[1], SCORES[0]]))
    assert found.metric.name == "exact_match", "loss is no metric of predictions"
    ordered = orders(found)
    assert ordered["best"][:2] == [0, 3]
    assert ordered["best"][2:] == [1, 2, 4], "equals by the first metric are told apart by the second"
    assert ordered["worst"][-1] == 3


def test_picking_takes_no_item_twice() -> None:
    picked = pick(orders(scored()), {"best": 2, "worst": 2, "typical": 2})
    assert picked["best"] == [0, 3]
    assert picked["worst"] == [2, 4]
    assert picked["typical"] == [1]
    assert list(picked) == list(KINDS)
    assert picked["random"] == []


def test_what_cannot_be_scored_is_said() -> None:
    assert score_items(StoredEvaluation(evaluation(items=[]), 0.0)) == "The evaluation holds no predictions."
    unknown = evaluation(scores=[score("my.module", 1.0, higher=True), score("loss", 1.0, higher=False)])
    assert "None of the evaluation's metrics" in str(score_items(StoredEvaluation(unknown, 0.0)))


def test_many_items_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items_module, "MOST_SCORED", 3)
    found = scored()
    assert (len(found.items), found.total) == (3, 5)
    assert [found.items[place] for place in range(3)] == [ITEMS[number] for number in found.numbers]


def test_scores_by_length() -> None:
    short = [item("w", "a b", ["a b"]) for _ in range(10)]
    long = [item("w w w w", "a x", ["a b"]) for _ in range(10)]
    rows = scored(evaluation(items=[*long, *short])).by_length()
    assert rows == [("1", 0.0, 10), ("4", 50.0, 10)]
    assert scored().by_length() == [], "too few items to say anything"


def test_source_lengths_in_words_or_characters() -> None:
    assert source_lengths(ITEMS)[1] == "characters"
    lengths, unit = source_lengths([item("a b c", "", [""]), item("d e", "", [""])])
    assert (lengths.tolist(), unit) == ([3, 2], "words")
    assert np.issubdtype(lengths.dtype, np.integer)
