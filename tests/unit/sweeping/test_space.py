"""The space of a sweep: what can be drawn, how it is written, and that it comes back as the recipe's own values."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.contracts.configuration import validate
from antiphon.errors import ConfigError
from antiphon.sweeping.settings import RangeConfig, SweepConfig
from antiphon.sweeping.space import Choices, Space, label_of


def draws(space: Space, count: int = 200) -> list[dict[str, object]]:
    generator = np.random.default_rng(1)
    return [space.values(space.draw(generator)) for _ in range(count)]


def test_a_range_is_drawn_evenly_over_its_logarithms() -> None:
    found = [float(one["rate"]) for one in draws(Space({"rate": RangeConfig(low=1e-4, high=1e-2, log=True)}), 2000)]  # type: ignore[arg-type]
    assert min(found) >= 1e-4
    assert max(found) <= 1e-2
    assert sum(value < 1e-3 for value in found) / len(found) == pytest.approx(0.5, abs=0.05)
    assert all(float(f"{value:.4g}") == value for value in found), "four digits that matter"


def test_whole_numbers_and_steps_are_listed_exactly() -> None:
    space = Space({"layers": RangeConfig(low=1, high=3), "dropout": RangeConfig(low=0, high=0.35, step=0.1)}, frozenset({"layers"}))
    every = [space.values(point) for point in space.every()]
    assert space.count() == len(every) == 12
    assert [one["dropout"] for one in every[:4]] == [0.0, 0.1, 0.2, 0.3], "no 0.30000000000000004, and nothing above"
    assert {type(one["layers"]) for one in every} == {int}
    assert {tuple(one.values()) for one in draws(space)} == {tuple(one.values()) for one in every}


def test_whole_numbers_are_drawn_evenly_over_their_logarithms() -> None:
    space = Space({"size": RangeConfig(low=1, high=1000, log=True, integer=True)})
    found = [int(str(one["size"])) for one in draws(space, 1000)]
    assert space.count() == 1000
    assert sum(value <= 31 for value in found) / len(found) == pytest.approx(0.5, abs=0.06)


def test_values_that_python_takes_for_equal_stay_apart() -> None:
    values = (1, 1.0, True, "1", "true", None, {"name": "lstm"}, [1, 2])
    part = Choices(values)
    assert len({*part.labels}) == len(values)
    back = [part.value(label) for label in part.labels]
    assert [(type(one), one) for one in back] == [(type(one), one) for one in values]
    assert Choices(("lstm", "transformer")).labels == ("lstm", "transformer")


@given(low=st.floats(1e-6, 1e3), width=st.floats(1e-3, 1e3), log=st.booleans(), seed=st.integers(0, 1000))
def test_what_is_drawn_lies_in_the_range(low: float, width: float, log: bool, seed: int) -> None:
    space = Space({"x": RangeConfig(low=low, high=low + width, log=log)})
    value = space.draw(np.random.default_rng(seed))["x"]
    assert low <= value <= low + width
    assert space.rounded({"x": value}) == {"x": value}, "what was rounded stays"
    assert math.isinf(space.count())


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"a": {"low": 2, "high": 1}}, "`high` must be more than `low` (2), but is 1."),
        ({"a": {"low": 0, "high": 1, "log": True}}, "`low` must be more than 0 with `log`, but is 0."),
        ({"a": {"low": 1, "high": 9, "log": True, "step": 2}}, "`step` must be left out with `log`"),
        ({"a": {"low": 0, "high": 1, "step": 2}}, "`step` must be at most 1, the width of the range, but is 2."),
        ({"a": {"low": 0.5, "high": 3, "integer": True}}, "`low` must be a whole number with `integer`, but is 0.5."),
        ({"a": {"low": 0, "hig": 3}}, "`space.a.hig` is not a setting. Did you mean `high`?"),
        ({"a": 3}, "must be a list of values, or a range such as {low: 1, high: 8}, but is 3."),
        ({"a": []}, "must be a list of values, or a range such as {low: 1, high: 8}, but is []."),
        ({"a": [1, 2, 1]}, "must be a list of different values, but is [1, 2, 1]."),
        ({}, "`space` must name at least one setting"),
    ],
)
def test_what_is_no_space_is_said(space: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        validate(SweepConfig, {"space": space})
    assert said in str(error.value)


def test_a_grid_needs_values_that_can_be_listed() -> None:
    with pytest.raises(ConfigError, match=r"`space\.rate` must be a list of values, or have a `step`"):
        validate(SweepConfig, {"space": {"rate": {"low": 0.1, "high": 1}}, "sampler": "grid"})


def test_tables_show_values_shortly() -> None:
    assert [label_of(value) for value in (0.1 + 0.2, 3, None, "word", {"a": 1})] == ["0.3", "3", "null", "word", '{"a": 1}']
