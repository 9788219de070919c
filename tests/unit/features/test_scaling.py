"""Scales and transforms: what they measure, and that they undo themselves."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from antiphon.contracts.configuration import validate
from antiphon.errors import ConfigError
from antiphon.features.scaling import (
    POWERS,
    ScalingConfig,
    TransformConfig,
    measure,
    out_of_range,
    power_likelihoods,
    transform,
    undo_transform,
)

NAMES = ["none", "mean", "standard", "robust", "min_max", "last"]
VALUES = arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=st.floats(-1e9, 1e9))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(values=VALUES)
@example(values=np.array([[54.0], [6e-307], [0.0], [0.0], [0.0], [0.0], [0.0]]))
def test_a_scale_undoes_itself(name: str, values: np.ndarray) -> None:
    scale = measure(name, values)
    assert (scale.scale > 0).all()
    size = np.abs(values).max() + 1
    np.testing.assert_allclose(scale.undo(scale.apply(values)), values, rtol=1e-12, atol=1e-12 * size)
    quantiles = np.stack([values, values], axis=-1)
    np.testing.assert_array_equal(scale.spread(quantiles)[..., 1], scale.undo(values))


@pytest.mark.parametrize(
    ("name", "power"), [("none", 1.0), ("log", 1.0), ("log1p", 1.0), ("box_cox", 0.0), ("box_cox", -0.7), ("box_cox", 1.6)]
)
@settings(max_examples=30, deadline=None)
@given(values=arrays(np.float64, 5, elements=st.floats(1e-2, 1e4)))
def test_a_transform_undoes_itself_and_keeps_the_order(name: str, power: float, values: np.ndarray) -> None:
    chosen = TransformConfig(name=name)  # type: ignore[arg-type]
    there = transform(chosen, values, power)
    # box_cox with a negative power presses large values together, so rounding weighs more
    np.testing.assert_allclose(undo_transform(chosen, there, power), values, rtol=1e-6)
    order = np.argsort(values, kind="stable")
    assert (np.diff(there[order]) >= 0).all()


def test_what_is_measured() -> None:
    values = np.array([[0.0, -2.0], [np.nan, 2.0], [4.0, 2.0]])
    expected: dict[str, tuple[list[float], list[float]]] = {
        "none": ([0, 0], [1, 1]),
        "mean": ([0, 0], [2, 2]),
        "standard": ([2, 2 / 3], [2, np.sqrt(32) / 3]),
        "robust": ([2, 2], [2, 2]),
        "min_max": ([0, -2], [4, 4]),
        "last": ([4, 2], [2, np.sqrt(32) / 3]),
    }
    for name, (location, scale) in expected.items():
        found = measure(name, values)
        np.testing.assert_allclose(found.location, location)
        np.testing.assert_allclose(found.scale, scale)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0.0, 7.3, 1e9, np.nan])
def test_nothing_is_divided_by_zero(name: str, value: float) -> None:
    values = np.full((6, 1), value)
    scale = measure(name, values)
    applied = scale.apply(np.zeros((1, 1)) if np.isnan(value) else values)
    assert np.isfinite(applied).all()
    assert np.abs(applied).max() <= max(1, abs(np.nan_to_num(value)) * (name == "none"))


@pytest.mark.parametrize("count", [1, 2, 7, 8, 96, 129, 5000])
def test_mean_and_deviation_are_those_of_numpy_to_the_last_digit(count: int) -> None:
    values = np.random.default_rng(count).normal(1e3, 5, size=(count, 2))
    values[::3, 1] = np.nan
    found = measure("standard", values)
    for channel in range(2):
        seen = values[~np.isnan(values[:, channel]), channel]
        if len(seen):
            assert (found.location[channel], found.scale[channel]) == (seen.mean(), seen.std() or 1.0)


def test_a_season_is_taken_off_before_the_rest_is_measured() -> None:
    wave = np.array([3.0, -1.0, 0.5, -2.5])
    whole = 10 + np.resize(wave, 22)
    context, future = whole[:15, None], whole[15:, None]
    scale = measure("last", context, season=4)
    np.testing.assert_allclose(scale.location, [10])
    np.testing.assert_allclose(scale.scale, [1])  # nothing is left that spreads
    np.testing.assert_allclose(scale.apply(context, -15), 0, atol=1e-9)
    np.testing.assert_allclose(scale.apply(future), 0, atol=1e-9)
    np.testing.assert_allclose(scale.undo(np.zeros((5, 7, 1))), np.stack([future] * 5))  # five paths
    quantiles = np.array([-1.0, 0.0, 2.0])
    np.testing.assert_allclose(scale.spread(np.tile(quantiles, (7, 1, 1))), future[..., None] + quantiles)
    assert scale.without_season().undo(np.ones(1)).tolist() == pytest.approx([11])


def test_a_unit_replaces_the_measured_scale() -> None:
    values = np.array([[1.0, 10.0], [2.0, 40.0], [3.0, 70.0]])
    scale = measure("last", values, unit=0.5)
    assert scale.location.tolist() == [3, 70]
    assert scale.scale.tolist() == [0.5, 0.5]
    with pytest.raises(ConfigError, match="`unit` has no effect when `name` is `none`"):
        validate(ScalingConfig, {"name": "none", "unit": 2.0})
    with pytest.raises(ConfigError, match="`over` must be `window` or `series`"):
        validate(ScalingConfig, {"name": "standard", "over": "all", "unit": 2.0})


def test_a_season_is_measured_on_windows_only() -> None:
    with pytest.raises(ConfigError, match="`over` must be `window`"):
        validate(ScalingConfig, {"name": "mean", "over": "series", "season": 12})


def test_values_without_a_transform_are_found() -> None:
    values = np.array([-1, 0, 1, np.nan])
    assert out_of_range(TransformConfig(name="log"), values).tolist() == [True, True, False, False]
    assert out_of_range(TransformConfig(name="log1p"), values).tolist() == [True, False, False, False]
    assert not out_of_range(TransformConfig(), values).any()


def test_no_value_beyond_the_transform() -> None:
    assert np.isfinite(undo_transform(TransformConfig(name="box_cox"), np.array([-50.0]), 0.5)).all()


def test_the_most_likely_power() -> None:
    draws = np.random.default_rng(7).normal(size=4000)
    for power, values in ((0.0, np.exp(0.5 * draws)), (0.5, (3 + 0.5 * draws) ** 2), (1.0, 10 + draws)):
        best = POWERS[np.argmax(power_likelihoods(values))]
        assert abs(best - power) <= (0.6 if power == 1 else 0.25)
    assert not power_likelihoods(np.full(9, 3.0)).any()


def test_settings_that_contradict_each_other() -> None:
    with pytest.raises(ConfigError, match="`over` must be `window`"):
        validate(ScalingConfig, {"name": "last", "over": "all"})
    with pytest.raises(ConfigError, match="belongs to the transform `box_cox`"):
        validate(TransformConfig, {"name": "log", "power": 0.5})
