"""Where sentences end, and where they do not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.features.sentences import sentences


@pytest.mark.parametrize(
    "expected",
    [
        ["One is here.", "Two is there!", "Is three?", "No stop at the end"],
        ["A tool for files, e.g. images, vs. i.e. nothing.", "It is fast."],
        ["Dr. Smith and J. K. Rowling met Mr. Jones.", "They talked."],
        ["It is written in C.", "It is small.", "Fast."],
        ["He lives in the U.S. Department of nothing.", "She does not live in the U.S.", "The end."],
        ["It has lines, points, etc. and more.", "Also circles, etc.", "That is all."],
        ["1. Introduction to version 2.0 of 3.", "See no. 5 and fig. 7.", "He said no.", "They came on May 5.", "Then they left."],
        ["apt is a tool.", "gcc is another one."],
        ['"Why?" he asked.', '"Go!"', "They went (all of them.)", "End... of the story.", "Wait...", "What?!", "Yes."],
        ["Das kostet z. B. fünf Euro bzw. u.a. mehr, vgl. Abb. 3.", "Größe usw. und so weiter.", "„Ja.“", "Ende."],
        ["Первое предложение.", "Второе?", "Да."],
        ["هل هذا سؤال؟", "نعم."],
        ["यह पहला है।", "यह दूसरा है।"],
        ["www.example.org has 1.5 pages.", "See it."],
        [],
    ],
)
def test_sentences(expected: list[str]) -> None:
    assert sentences(" ".join(expected)) == expected


def test_no_space_is_needed_where_none_is_written() -> None:
    assert sentences("第一句。第二句！「第三句？」第四句") == ["第一句。", "第二句！", "「第三句？」", "第四句"]


def test_line_breaks_end_sentences() -> None:
    assert sentences("A heading\n\nText without end \r\nmore. ") == ["A heading", "Text without end", "more."]


@given(st.text('aB. !?\n。)"1'))
def test_nothing_is_lost(text: str) -> None:
    found = sentences(text)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(sentence == sentence.strip() != "" for sentence in found)


@pytest.mark.parametrize("unit", ["This is a sentence of no. 5 by Dr. A. Smith. ", "e.g. ", "! "])
def test_time_is_linear(unit: str) -> None:
    """No mark is looked at from the beginning of the text or of a sentence that does not end."""

    def seconds(units: int) -> float:
        began = time.process_time()
        sentences(unit * units)
        return time.process_time() - began

    few = min(seconds(3000) for _ in range(3))
    assert seconds(24_000) < 24 * few, "8 times the text takes 8 times as long, and would take 64 times"
