"""A text of several lines is its lines, and what stands around them."""

import numpy as np
import pytest

from antiphon.contracts.sequences import Hypothesis, Prediction
from antiphon.tasks.text_parts import TextParts


@pytest.mark.parametrize(
    ("text", "lines", "around"),
    [
        ("one", ("one",), ("", "")),
        ("one two\u00a0three", ("one two\u00a0three",), ("", "")),
        ("\u00a0 one \u202f", ("one",), ("\u00a0 ", " \u202f")),
        ("one\ntwo", ("one", "two"), ("", "\n", "")),
        ("one \r\n\r\n  two\u2028three\r", ("one", "two", "three"), ("", " \r\n\r\n  ", "\u2028", "\r")),
        ("wait\u0085 for it", ("wait\u0085 for it",), ("", "")),
        ("", (), ("",)),
        (" \n ", (), (" \n ",)),
    ],
)
def test_lines_and_what_is_around_them(text: str, lines: tuple[str, ...], around: tuple[str, ...]) -> None:
    found = TextParts.of(text)
    assert (found.lines, found.around) == (lines, around)
    whole = found.around[0] + "".join(line + behind for line, behind in zip(found.lines, found.around[1:], strict=True))
    assert whole == text, "nothing is lost"


def said(text: str, score: float, *alternatives: Prediction, shape: tuple[int, int] = (1, 1), position: int = 0) -> Prediction:
    hypothesis = Hypothesis(np.array([len(text)]), score, score, (score,), alignment=np.full(shape, score, dtype=np.float32))
    details = {
        "source_pieces": ["s"] * shape[1],
        "target_pieces": [text],
        "copied": [{"probability": 0.5, "position": position}, {"probability": 0.0, "position": -1}],
    }
    return Prediction(text, hypothesis, alternatives, details)


def test_predictions_are_joined_as_their_sources_were() -> None:
    parts = TextParts.of(" one\r\n\ttwo\u00a0")
    first = said("eins", -1.0, said("ein", -3.0), said("e", -4.0), shape=(1, 2))
    found = parts.joined([first, said("zwei", -2.0, said("zwo", -5.0), shape=(2, 3), position=1)])
    assert found.value == " eins\r\n\tzwei\u00a0"
    assert [other.value for other in found.alternatives] == [" ein\r\n\tzwo\u00a0"]
    assert (found.hypothesis.score, found.hypothesis.step_scores) == (-3.0, (-1.0, -2.0))
    assert found.hypothesis.elements.tolist() == [4, 4]
    assert found.hypothesis.alignment is not None
    assert found.hypothesis.alignment.tolist() == [[-1, -1, 0, 0, 0], [0, 0, -2, -2, -2], [0, 0, -2, -2, -2]]
    assert len(found.details["source_pieces"]) == 5
    assert [entry["position"] for entry in found.details["copied"]] == [0, -1, 3, -1]


def test_one_line_is_what_it_was() -> None:
    one = said("eins", -1.0, said("ein", -3.0))
    assert TextParts.of("one").joined([one]) == one
    found = TextParts.of(" one").joined([one])
    assert (found.value, found.hypothesis, found.alternatives[0].value) == (" eins", one.hypothesis, " ein")
