"""Limits: what is dropped, cut or refused, and that every one of them is counted."""

import numpy as np
import pytest

from antiphon.contracts.configuration import validate
from antiphon.contracts.limits import Limits
from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.data.limits import Tally, apply_limits, cut_source
from antiphon.errors import ConfigError, DataError

SPEC = TokenSpec(size=100, pad=0, unknown=1, start=2, end=3)


def example(source: int, target: int | None, record: int = 7) -> Example:
    """So many contents; the source ends with the end symbol, the target has start and end."""
    array = None if target is None else np.array([2, *range(10, 10 + target), 3])
    return Example(np.array([*range(10, 10 + source), 3]), array, record)


def applied(limits: Limits, given: Example) -> tuple[Example | None, Tally]:
    tally = Tally()
    return apply_limits(given, limits, SPEC, SPEC, tally, "train.tsv:9"), tally


def test_what_is_within_passes_untouched() -> None:
    given = example(4, 5)
    taken, tally = applied(Limits(max_source_length=5, max_target_length=6, max_length_ratio=1.2), given)
    assert taken is given
    assert tally == Tally()


@pytest.mark.parametrize(("source", "target", "reason"), [(5, 1, "source too long"), (1, 6, "target too long")])
def test_dropping_counts(source: int, target: int, reason: str) -> None:
    taken, tally = applied(Limits(max_source_length=5, max_target_length=6), example(source, target))
    assert taken is None
    assert tally.dropped == {reason: 1}
    assert tally.first == {reason: [7]}


def test_truncation_keeps_the_end_symbol_and_counts() -> None:
    given = example(9, 9)
    taken, tally = applied(Limits(max_source_length=4, max_target_length=3, too_long="truncate"), given)
    assert taken is not None
    assert taken.target is not None
    assert taken.source.tolist() == [10, 11, 12, 3]
    assert taken.target.tolist() == [2, 10, 11, 3]
    assert tally.truncated == {"source too long": 1, "target too long": 1}
    assert len(given.source) == 10
    assert given.source[3] == 13, "the example given is not changed"


@pytest.mark.parametrize(
    ("ending", "most", "expected"),
    [([], 3, [10, 11, 12]), ([3], 3, [10, 11, 3]), ([3, 50], 3, [10, 3, 50]), ([3], 1, [3]), ([3, 50], 1, [10])],
)
def test_what_stands_behind_a_text_is_kept(ending: list[int], most: int, expected: list[int]) -> None:
    """The end symbol, and a language behind it."""
    given = Example(np.array([*range(10, 20), *ending]), None, 7)
    cut = cut_source(given, Limits(max_source_length=most, too_long="truncate"), SPEC)
    assert (cut.source.tolist(), cut.cut) == (expected, len(given.source) - most)


def test_open_words_that_were_cut_off_are_unknown_to_the_target() -> None:
    """They cannot be copied: as labels they would cost what an impossible symbol costs."""
    spec = TokenSpec(size=100, pad=0, unknown=1, start=2, end=3, open_words=5)
    given = Example(np.array([100, 10, 101, 102, 3]), np.array([2, 102, 100, 11, 101, 3]), 1)
    limits = Limits(max_source_length=3, too_long="truncate")
    taken = apply_limits(given, limits, spec, spec, Tally(), "")
    assert taken is not None
    for cut in (taken, cut_source(given, limits, spec)):
        assert cut.source.tolist() == [100, 10, 3]
        assert cut.target is not None
        assert cut.target.tolist() == [2, 1, 100, 11, 1, 3]
    assert given.target is not None
    assert given.target.tolist() == [2, 102, 100, 11, 101, 3], "the example given is not changed"


def test_values_are_cut_without_an_end_symbol() -> None:
    tally = Tally()
    given = Example(np.ones((9, 2), np.float32), np.ones((4, 1), np.float32), 1)
    taken = apply_limits(given, Limits(max_source_length=5, too_long="truncate"), ValueSpec(2), ValueSpec(1), tally, "")
    assert taken is not None
    assert taken.source.shape == (5, 2)


def test_errors_name_the_place_the_length_and_the_setting() -> None:
    with pytest.raises(DataError, match=r"train\.tsv:9 must have a target of at most 3 elements \(`max_target_length`\), but has 5"):
        applied(Limits(max_target_length=3, too_long="error"), example(1, 4))
    with pytest.raises(DataError, match=r"train\.tsv:9 .* its source is empty"):
        applied(Limits(empty="error"), example(0, 4))


def test_empty_targets_are_kept_where_the_recipe_says_so() -> None:
    given = example(4, 0)
    for limits in (Limits(empty="keep"), Limits(empty="keep", max_length_ratio=2)):
        taken, tally = applied(limits, given)
        assert taken is given
        assert tally == Tally()
        assert applied(limits.of_sources(), given)[0] is given, "in validation, too"
    with pytest.raises(DataError, match="its target is empty"):
        applied(Limits(empty="error").of_sources(), given)
    assert applied(Limits(empty="keep"), example(0, 4))[1].dropped == {"empty source": 1}
    assert applied(Limits(empty="keep", max_source_length=3), given)[1].dropped == {"source too long": 1}


def test_empty_sides_and_ratios_are_dropped() -> None:
    assert applied(Limits(), example(0, 4))[1].dropped == {"empty source": 1}
    assert applied(Limits(), example(4, 0))[1].dropped == {"empty target": 1}
    assert applied(Limits(max_length_ratio=3), example(2, 8))[0] is not None
    assert applied(Limits(max_length_ratio=3), example(2, 9))[1].dropped == {"length ratio": 1}
    assert applied(Limits(max_length_ratio=3), example(9, 2))[1].dropped == {"length ratio": 1}
    assert applied(Limits(max_length_ratio=3), example(9, None))[0] is not None


def test_only_the_first_numbers_are_kept() -> None:
    tally = Tally()
    for record in range(1000):
        tally.drop("reason", record)
    assert tally.dropped == {"reason": 1000}
    assert tally.first["reason"] == list(range(20))


@pytest.mark.parametrize("values", [{"max_source_length": 0}, {"max_length_ratio": 0.5}, {"too_long": "shorten"}])
def test_settings_are_checked(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        validate(Limits, values)
