"""What references are when they reach the metrics."""

from unittest.mock import Mock

import pytest

from antiphon.contracts.task import Task
from antiphon.metrics.scoring import evaluate
from antiphon.metrics.sourced import SourcedText
from antiphon.prediction.scoring import collapsed, group_references

RECORDS = [{"source": "a b c", "target": "a"}, {"source": "d", "target": "d"}, {"source": "a b c", "target": "b x"}]


@pytest.mark.parametrize(
    ("alternatives", "expected", "copied"), [(False, [["a"], ["d"], ["b x"]], 100 / 3), (True, [["a", "b x"], ["d"]], 25)]
)
def test_references_keep_their_sources(alternatives: bool, expected: list[list[str]], copied: float) -> None:
    """A reference that is more than a text stays what the task made it, so metrics can compare outputs with sources."""
    task = Mock(spec=Task)
    task.source_of.side_effect = lambda record: record["source"]
    task.reference.side_effect = lambda record: SourcedText(record["target"], record["source"])
    items = group_references(task, RECORDS, alternatives=alternatives)
    references = [found for _, found in items]
    assert references == expected
    assert all(reference.source == record["source"] for record, found in items for reference in found)
    assert evaluate(["copy_rate"], ["a z"] * len(items), references, resamples=0)[0].value == pytest.approx(copied)


def test_a_collapse_is_told_from_outputs_that_are_rightly_alike() -> None:
    different = [f"reference {number}" for number in range(20)]
    assert "15 of 20 outputs are the same text, 'the'" in str(collapsed(["the"] * 15 + different[:5], different))
    assert collapsed(different, different) is None
    assert collapsed(["yes"] * 15 + ["no"] * 5, ["yes"] * 15 + ["no"] * 5) is None
    assert collapsed(["the"] * 9, different[:9]) is None  # too few to tell
