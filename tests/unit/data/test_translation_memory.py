"""The most similar source of a memory is found, as a search through all of them finds it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.data.translation_memory import Match, TranslationMemory
from antiphon.errors import DataError

PAIRS = [("open the file", "b"), ("open  the file", "c"), ("open the file", "c"), ("close the big window now", "d"), ("x", " ")]


def test_the_best_is_found() -> None:
    memory = TranslationMemory(PAIRS, least=0.5)
    assert len(memory) == 2
    assert memory.best(" open the file ") == Match("open the file", "c", 1.0)
    assert memory.best("close the window now") == Match("close the big window now", "d", 0.8)
    assert memory.best("open a door") is None
    assert memory.best("") is None
    with pytest.raises(DataError, match="at least one pair"):
        TranslationMemory([("", "x")])


def _distance(one: list[str], other: list[str]) -> int:
    """By its definition."""
    if not one or not other:
        return len(one) + len(other)
    return min(_distance(one[1:], other) + 1, _distance(one, other[1:]) + 1, _distance(one[1:], other[1:]) + (one[0] != other[0]))


TEXT = st.lists(st.sampled_from("abcd"), min_size=1, max_size=6).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=12), TEXT, st.sampled_from((0.3, 0.6, 0.8)))
def test_as_a_search_through_all_finds_it(sources: list[str], text: str, least: float) -> None:
    best = TranslationMemory([(source, source) for source in sources], least).best(text)
    words = text.split()
    alike = [1 - _distance(words, other.split()) / max(len(words), len(other.split())) for other in sources]
    assert (None if best is None else best.alike) == (pytest.approx(max(alike)) if max(alike) >= least else None)
