"""Scores of parts are those of the parts alone, in the order in which they come."""

from antiphon.contracts import registry
from antiphon.metrics.grouped import scores_by
from antiphon.metrics.significance import score


def test_a_part_scores_as_if_it_were_alone() -> None:
    metric = registry.find("metrics", "chrf")
    said, references = ["one two", "three", "four five"], [["one two"], ["four"], ["four six"]]
    rows = scores_by(["b", "a", "b"], said, references, [metric])
    assert [(name, count) for name, count, _ in rows] == [("b", 2), ("a", 1)]
    alone = score(metric, [said[0], said[2]], [references[0], references[2]], resamples=0).value
    assert rows[0][2]["chrf"] == alone
    assert rows[1][2]["chrf"] == score(metric, said[1:2], references[1:2], resamples=0).value
