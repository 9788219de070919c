"""Axes hold their values, and their ticks can be told apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.report.axes import Axis, fitting, linear, steps_axis

NUMBERS = st.floats(-1e9, 1e9).filter(lambda value: value == 0 or abs(value) > 1e-9)
VALUES = st.lists(NUMBERS, min_size=1, max_size=20)


@given(VALUES)
def test_an_axis_holds_its_values(values: list[float]) -> None:
    for axis in (linear(values, 200, 10), fitting(values, 200, 10)):
        slack = 1e-6 * (axis.high - axis.low)
        assert axis.low <= min(values) + slack
        assert axis.high >= max(values) - slack
        assert all(10 <= axis.at(value) <= 200 for value in values)
        assert 2 <= len(axis.ticks) <= 12
        assert len({axis.label(tick) for tick in axis.ticks}) == len(axis.ticks)


@given(VALUES)
def test_order_is_kept(values: list[float]) -> None:
    axis = linear(values, 0, 100)
    places = [axis.at(value) for value in sorted(values)]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0.85, 3.71], ["0", "1", "2", "3", "4"]),
        ([0.0006, 0.00277], ["0.0005", "0.0010", "0.0015", "0.0020", "0.0025", "0.0030"]),
        ([4496, 53000], ["0", "10,000", "20,000", "30,000", "40,000", "50,000", "60,000"]),
        ([0, 0], ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]),
    ],
)
def test_ticks_are_round(values: list[float], labels: list[str]) -> None:
    axis = linear(values, 0, 100)
    assert [axis.label(tick) for tick in axis.ticks] == labels


def test_several_orders_of_magnitude_make_a_logarithmic_axis() -> None:
    axis = fitting([0.001, 250.0], 100, 0)
    assert axis.logarithmic
    assert [axis.label(tick) for tick in axis.ticks] == ["1e-3", "0.01", "0.1", "1", "10", "100", "1k"]
    assert axis.at(0.001) == pytest.approx(100)
    assert axis.at(1.0) == pytest.approx(50)
    assert not fitting([0.0, 250.0], 100, 0).logarithmic, "zero has no logarithm"
    assert not fitting([10.0, 250.0], 100, 0).logarithmic


def test_steps_begin_at_zero_and_end_with_the_data() -> None:
    axis = steps_axis([233], 0, 466)
    assert (axis.low, axis.high, axis.ticks) == (0, 233, (0, 50, 100, 150, 200))
    assert axis.at(233) == 466
    assert steps_axis([1], 0, 10).ticks == (0, 1)


def test_what_lies_outside_is_drawn_at_the_edge() -> None:
    assert Axis(0, 10, 0, 100, ()).at(25) == 100
