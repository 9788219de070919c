"""The season of a window: found where there is one, hardly any where there is none."""

import numpy as np
import pytest

from antiphon.features.seasonal import seasonal_indices

WAVE = np.array([3.0, -1.0, 0.5, -2.5])


@pytest.mark.parametrize("steps", [9, 11, 16, 21])
def test_a_pure_season_on_a_line_is_found_and_begins_behind_the_end(steps: int) -> None:
    values = 5 + 0.3 * np.arange(steps) + np.resize(WAVE, steps)
    np.testing.assert_allclose(seasonal_indices(values, 4), np.roll(WAVE, -(steps % 4)), atol=1e-9)


def test_an_odd_season() -> None:
    wave = np.array([1.0, 2.0, -3.0])
    np.testing.assert_allclose(seasonal_indices(np.resize(wave, 12), 3), wave, atol=1e-9)


@pytest.mark.parametrize("steps", [1, 4, 7, 8])
def test_up_to_two_seasons_tell_nothing(steps: int) -> None:
    assert seasonal_indices(np.resize(WAVE, steps), 4).tolist() == [0.0] * 4


@pytest.mark.parametrize("value", [0.0, 7.25, 1e9])
def test_a_constant_has_no_season(value: float) -> None:
    np.testing.assert_allclose(seasonal_indices(np.full(20, value), 4), 0, atol=1e-6)


def test_of_noise_little_is_believed_and_of_a_clear_season_nearly_all() -> None:
    generator = np.random.default_rng(7)
    believed, sizes = [], []
    for size in (0.0, 3.0):
        noise = generator.normal(size=(200, 48))
        wave = size * np.sin(2 * np.pi * np.arange(48) / 12)
        found = np.array([seasonal_indices(row + wave, 12) for row in noise])
        believed.append((found**2).mean())
        sizes.append((wave**2).mean())
    # Without shrinking the first would be the variance of a mean of three values or more, 0.33.
    assert believed[0] < 0.08
    assert 0.95 * sizes[1] < believed[1] < 1.15 * sizes[1]


def test_missing_values_are_left_out() -> None:
    values = np.resize(WAVE, 40) + 2.0
    values[[5, 17]] = np.nan
    np.testing.assert_allclose(seasonal_indices(values, 4), WAVE, atol=1e-9)
    assert seasonal_indices(np.full(20, np.nan), 4).tolist() == [0.0] * 4
