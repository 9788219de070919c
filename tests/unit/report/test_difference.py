"""What differs is marked, what does not is not, and no letter is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.report.difference import differences, marked, nearest

TEXTS = st.text(alphabet="ab <&\n日本é", max_size=30)


@given(TEXTS, TEXTS)
def test_stretches_join_to_the_texts(prediction: str, reference: str) -> None:
    ours, theirs = differences(prediction, reference)
    assert "".join(stretch for stretch, _ in ours) == prediction
    assert "".join(stretch for stretch, _ in theirs) == reference
    same = [["".join(stretch.split()) for stretch, differs in spans if not differs] for spans in (ours, theirs)]
    assert "".join(same[0]) == "".join(same[1])


@given(TEXTS)
def test_equal_texts_do_not_differ(value: str) -> None:
    assert not any(differs for spans in differences(value, value) for _, differs in spans)


@pytest.mark.parametrize(
    ("prediction", "reference", "ours", "theirs"),
    [
        ("the cat sat", "the dog sat", ["cat "], ["dog "]),
        ("the cat", "the big cat", [], ["big "]),
        ("a b b c", "a b c", ["b "], []),
        ("2024-01-05", "2024-11-05", [], ["1"]),
        ("日本人です", "日本語です", ["人"], ["語"]),
        ("", "all of it", [], ["all of it"]),
    ],
)
def test_what_differs(prediction: str, reference: str, ours: list[str], theirs: list[str]) -> None:
    found = differences(prediction, reference)
    if prediction.startswith("2024"):  # character by character: one 0 became a 1
        ours = ["0"]
    assert [[stretch for stretch, differs in spans if differs] for spans in found] == [ours, theirs]


def test_marks_leave_blanks_outside_and_escape() -> None:
    assert marked([("a ", False), ("<b> ", True), ("c", False)], "wrong") == 'a <mark class="wrong">&lt;b&gt;</mark> c'
    assert marked([("  ", True)], "wrong") == "  "


def test_the_nearest_reference() -> None:
    assert nearest("the cat sat", ["a dog", "the cat sits", "the"]) == 1
    assert nearest("x", ["y", "z"]) == 0
