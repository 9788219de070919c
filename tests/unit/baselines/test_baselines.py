"""Baselines by hand, on series whose future is certain, and what all of them promise."""

import numpy as np
import pytest

from antiphon.baselines.seasonality import decompose, is_seasonal, season_of
from antiphon.baselines.smoothing import fit_all
from antiphon.baselines.theta import smoothed_level
from antiphon.contracts import registry
from antiphon.errors import DataError

NAMES = registry.names("baselines")
every_baseline = pytest.mark.parametrize("name", NAMES)
PATTERN = np.array([0.7, 1.2, 1.4, 0.7])


def forecast(name, history, horizon, season=1):
    return registry.find("baselines", name).forecast(np.array(history, dtype=float), horizon, season)


def seasonal(steps, seed=None, noise=0.0):
    """A trend times a pattern of four steps."""
    values = (50 + 0.5 * np.arange(steps)) * np.resize(PATTERN, steps)
    return values if seed is None else values + noise * np.random.default_rng(seed).normal(size=steps)


def test_which_there_are():
    assert NAMES == ["drift", "exponential_smoothing", "linear", "naive", "seasonal_naive", "theta", "window_mean"]


def test_simple_ones_by_hand():
    history = [1, 2, 4, 3, 7]
    assert forecast("naive", history, 3).tolist() == [7, 7, 7]
    assert forecast("seasonal_naive", history, 5, 3).tolist() == [4, 3, 7, 4, 3]
    assert forecast("seasonal_naive", history, 2, 6).tolist() == [7, 7], "shorter than a season"
    assert forecast("drift", history, 2).tolist() == [8.5, 10]
    assert forecast("window_mean", history, 2, 2).tolist() == [5, 5]
    assert forecast("window_mean", list(range(20)), 1).tolist() == [14.5], "the last ten without a season"


@every_baseline
@pytest.mark.parametrize("history", [[5.0], [5.0, 5.0], [5.0] * 3, [5.0] * 40, [0.0] * 9], ids=["1", "2", "3", "40", "zeros"])
def test_a_constant_series_stays(name, history):
    for season in (1, 4, 30):
        np.testing.assert_allclose(forecast(name, history, 6, season), history[-1], atol=1e-6)


@every_baseline
@pytest.mark.parametrize("season", [1, 4, 12, 30])
def test_a_forecast_is_finite_repeatable_and_moves_with_the_scale(name, season, seed):
    generator = np.random.default_rng(seed)
    for steps in (1, 2, 3, 5, 9, 14, 61):
        history = generator.normal(size=steps).cumsum() + (20 if steps % 2 else 0)
        first = forecast(name, history, 7, season)
        assert first.shape == (7,)
        assert np.isfinite(first).all()
        np.testing.assert_array_equal(first, forecast(name, history, 7, season))
        np.testing.assert_allclose(forecast(name, 1024 * history, 7, season), 1024 * first, rtol=1e-6, atol=1e-6)


@every_baseline
def test_what_cannot_be_forecast_is_refused(name):
    with pytest.raises(DataError, match=f"`{name}` needs a history of at least one value"):
        forecast(name, [], 1)
    with pytest.raises(DataError, match=f"`{name}` must be finite, but value 2 is not"):
        forecast(name, [1.0, np.nan, 3.0], 1)


# --------------------------------------------------------------------------------------------------------------- seasons


def test_a_season_is_told_from_noise(seed):
    assert is_seasonal(seasonal(40), 4)
    noise = [is_seasonal(np.random.default_rng(seed + number).normal(size=60), 4) for number in range(200)]
    assert sum(noise) < 50, "the test lets one in ten through"
    assert not is_seasonal(seasonal(11), 4), "less than three seasons"
    assert not is_seasonal(np.arange(40.0), 1)


def test_a_decomposition_finds_the_pattern():
    found = decompose(50 * np.resize(PATTERN, 40), 4, multiply=True)
    np.testing.assert_allclose(found.indices, PATTERN / PATTERN.mean())
    added = decompose(np.resize(PATTERN, 40) - 3, 4, multiply=False)
    np.testing.assert_allclose(added.indices, PATTERN - PATTERN.mean(), atol=1e-12)
    odd = decompose(np.resize([1.0, 2.0, 3.0], 20), 3, multiply=False)
    np.testing.assert_allclose(odd.indices, [-1, 0, 1], atol=1e-12)
    history = seasonal(41)
    pattern = season_of(history, 4)
    np.testing.assert_allclose(pattern.restore(pattern.remove(history), 0), history)
    np.testing.assert_allclose(pattern.restore(np.ones(3), 41), np.resize(pattern.indices, 44)[41:])


def test_values_that_are_not_positive_have_an_added_season():
    assert not season_of(seasonal(40) - 60, 4).multiplies
    assert season_of(seasonal(40), 4).multiplies


# ------------------------------------------------------------------------------------------------------- Theta, smoothing


def test_theta_draws_half_the_slope():
    """Of a straight line the curvature is 0: the smoothed line stays at its last level, the other one goes on (slope / 2 on average)."""
    found = forecast("theta", 3 + 2 * np.arange(30.0), 4)
    np.testing.assert_allclose(np.diff(found), 1.0)
    assert found[0] == pytest.approx(61.5, abs=1.5)


def test_the_smoothed_level_is_that_of_the_best_parameter(seed):
    values = np.random.default_rng(seed).normal(size=25).cumsum()

    def run(alpha, level):
        errors = []
        for value in values:
            errors.append(value - level)
            level += alpha * (value - level)
        return np.array(errors), level

    best, expected = np.inf, 0.0
    for alpha in np.linspace(0.01, 0.99, 197):
        (zero, _), (one, _) = run(alpha, 0.0), run(alpha, 1.0)
        first = float(np.linalg.lstsq((zero - one)[:, None], zero, rcond=None)[0][0])
        errors, level = run(alpha, first)
        if errors @ errors < best * (1 - 1e-12):
            best, expected = errors @ errors, level
    assert smoothed_level(values) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["theta", "exponential_smoothing"])
def test_seasons_are_followed(name, seed):
    history = seasonal(60, seed, noise=1.0)
    future = seasonal(68)[60:]
    error = np.abs(forecast(name, history, 8, 4) - future).mean()
    assert error < 0.25 * np.abs(forecast("naive", history, 8) - future).mean()
    assert error < 6


def test_smoothing_finds_lines_and_patterns():
    np.testing.assert_allclose(forecast("exponential_smoothing", 3 + 2 * np.arange(30.0), 3), [63, 65, 67], rtol=1e-3)
    np.testing.assert_allclose(forecast("exponential_smoothing", seasonal(48), 8, 4), seasonal(56)[48:], rtol=0.02)
    added = np.resize([-5.0, 0.0, 3.0, 2.0], 40)
    np.testing.assert_allclose(forecast("exponential_smoothing", added, 5, 4), np.resize(added, 45)[40:], atol=0.05)


def test_long_seasons_are_taken_off_beforehand():
    wave = 10 + np.sin(2 * np.pi * np.arange(48 * 6) / 48)
    np.testing.assert_allclose(forecast("exponential_smoothing", wave[:-48], 48, 48), wave[-48:], atol=0.05)


def test_forms_are_chosen_by_what_they_explain(seed):
    history = seasonal(40, seed, noise=0.5)
    fits = {fitted.trend: fitted for fitted in fit_all(history, "multiplied", 4)}
    assert set(fits) == {"none", "linear", "damped"}
    assert fits["linear"].information < fits["none"].information, "there is a trend"
    for fitted in fits.values():
        one, many = fitted.forecast(1), fitted.forecast(9)
        assert one[0] == many[0]
    steps = fits["none"].forecast(8)
    np.testing.assert_allclose(steps[:4], steps[4:], err_msg="without a trend the season repeats itself")


def test_the_latest_values_count_in_a_very_long_history():
    history = np.concatenate([np.full(3000, 1e6), np.full(1000, 5.0)])
    np.testing.assert_allclose(forecast("exponential_smoothing", history, 2), 5.0, atol=1e-3)


# ---------------------------------------------------------------------------------------------------------------- linear


def test_the_linear_map_learns_what_all_series_share(seed):
    generator = np.random.default_rng(seed)
    histories = [generator.uniform(1, 1000) * seasonal(steps, seed + steps, noise=0.3) for steps in (30, 44, 60)]
    learned = registry.find("baselines", "linear").learn([history[:-8] for history in histories], 8, 4)
    for history in histories:
        said, past, future = learned.forecast(history[:-8], 8, 4), history[:-8], history[-8:]
        assert abs(said - future).mean() < 0.5 * abs(forecast("seasonal_naive", past, 8, 4) - future).mean()


def test_the_linear_map_is_that_of_least_squares():
    """Values that double every step: relative to the last one the next is 1, 3, 7 times it further on."""
    learned = registry.find("baselines", "linear").learn([2.0 ** np.arange(12)], 3)
    np.testing.assert_allclose(learned.forecast(3.0 * 2.0 ** np.arange(8), 3), 3.0 * 2.0 ** np.arange(8, 11), rtol=0.02)


def test_the_linear_map_repeats_the_last_value_where_nothing_can_be_learned():
    learned = registry.find("baselines", "linear").learn([np.array([1.0, 2.0])], 5)
    np.testing.assert_allclose(learned.forecast(np.array([4.0, 9.0]), 5), 9)
