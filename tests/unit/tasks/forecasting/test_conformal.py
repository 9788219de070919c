"""Calibrated intervals cover what they promise, whatever they were before."""

import json
from dataclasses import replace

import numpy as np
import pytest

from antiphon.errors import CheckpointError, ConfigError, DataError
from antiphon.metrics.forecasts import Actual, Forecast
from antiphon.tasks.forecasting.conformal import Calibration, calibrate, load_calibration

LEVELS = (0.025, 0.1, 0.3, 0.5, 0.9, 0.975)


def windows(seed, count, *, spread=1.0, quantiles=True, steps=3, channels=2):
    """Forecasts whose errors grow with the step, are skewed, and scale with the series; intervals are `spread` times too wide."""
    generator = np.random.default_rng(seed)
    said, happened, scales = [], [], []
    for number in range(count):
        scale = generator.uniform(0.5, 50, size=channels)
        point = generator.normal(size=(steps, channels)) * scale
        size = scale * np.sqrt(np.arange(1, steps + 1))[:, None]
        values = point + size * generator.gamma(2.0, size=point.shape) - size
        offsets = spread * np.array([-2.0, -1.3, -0.5, 0.0, 1.3, 2.0])
        said.append(
            Forecast(
                str(number),
                tuple(range(steps)),
                point,
                point[..., None] + size[..., None] * offsets if quantiles else None,
                LEVELS if quantiles else (),
            )
        )
        happened.append(Actual(values, scale, scale**2))
        scales.append(scale)
    return said, happened, scales


def coverage(calibration, said, happened, scales, low, high):
    """Percent of values inside, by step (H,)."""
    inside = []
    for forecast, actual, scale in zip(said, happened, scales, strict=True):
        found = calibration.apply(forecast, scale)
        ends = [found.quantiles[..., [round(level, 6) for level in found.levels].index(level)] for level in (low, high)]
        inside.append((actual.values >= ends[0]) & (actual.values <= ends[1]))
    return 100 * np.mean(inside, axis=(0, 2))


@pytest.mark.parametrize("spread", [0.1, 1.0, 6.0], ids=["too narrow", "about right", "too wide"])
def test_new_windows_are_covered_at_every_step(spread, seed):
    calibration = calibrate(*windows(seed, 600, spread=spread))
    assert calibration.percents == (80.0, 95.0)
    later = windows(seed + 1, 1500, spread=spread)
    np.testing.assert_allclose(coverage(calibration, *later, 0.1, 0.9), 80, atol=6)
    np.testing.assert_allclose(coverage(calibration, *later, 0.025, 0.975), 95, atol=3.5)


def test_point_forecasts_get_intervals(seed):
    calibration = calibrate(*windows(seed, 600, quantiles=False), percents=[95.0, 80.0])
    later = windows(seed + 1, 1500, quantiles=False)
    np.testing.assert_allclose(coverage(calibration, *later, 0.1, 0.9), 80, atol=6)
    found = calibration.apply(later[0][0], later[2][0])
    assert found.levels == (0.025, 0.1, 0.5, 0.9, 0.975)
    np.testing.assert_array_equal(found.quantiles[..., 2], found.point)
    assert (np.diff(found.quantiles, axis=-1) >= 0).all()


def test_the_guarantee_on_average():
    """Over many small calibrations a new value is covered with at least 80 percent, and not much more: between 80 and 80 + 100 / 20."""
    covered = []
    for seed in range(400):
        said, happened, scales = windows(seed, 20, steps=1, channels=1)
        calibration = calibrate(said[:19], happened[:19], scales[:19], percents=[80.0])
        covered.append(coverage(calibration, said[19:], happened[19:], scales[19:], 0.1, 0.9)[0])
    assert 80 - 4 < np.mean(covered) < 85 + 4


def test_margins_by_hand():
    """Ten distances -1 .. 8 in units of the scale; 80 % is the ceil(11 * 0.8) = 9th smallest, which is 7."""
    said = [Forecast("a", (0,), np.zeros((1, 1)), np.array([[[-1.0, 1.0]]]), (0.1, 0.9))] * 10
    happened = [Actual(np.array([[2.0 * (number + 0.5)]]), np.ones(1), np.ones(1)) for number in range(10)]
    calibration = calibrate(said, happened, [np.array([2.0])] * 10)
    assert calibration.margins.tolist() == [[[8.0]]]
    found = calibration.apply(said[0], np.array([3.0]))
    assert found.quantiles.tolist() == [[[-25.0, 25.0]]]
    assert found.point.tolist() == [[0.0]]


def test_missing_values_do_not_count(seed):
    said, happened, scales = windows(seed, 60)
    full = calibrate(said[:40], happened[:40], scales[:40], percents=[80.0])
    blank = [replace(each, values=np.full_like(each.values, np.nan)) for each in happened[40:]]
    np.testing.assert_array_equal(calibrate(said, happened[:40] + blank, scales, percents=[80.0]).margins, full.margins)


def test_quantiles_stay_in_order_and_no_interval_gets_narrower_by_it():
    calibration = Calibration((80.0, 95.0), np.array([[[5.0, -1.9]]]))
    before = Forecast("a", (0,), np.zeros((1, 1)), np.array([[[-2.0, -1.0, -0.5, 0.0, 1.0, 2.0]]]), LEVELS)
    found = calibration.apply(before, np.ones(1)).quantiles[0, 0]
    assert found.tolist() == [-6.0, -6.0, -0.5, 0.0, 6.0, 6.0]
    inward = Calibration((80.0,), np.array([[[-3.0]]])).apply(before, np.ones(1)).quantiles[0, 0]
    assert inward.tolist() == [-2.0, -0.5, -0.5, 0.0, 0.0, 2.0], "an interval never turns inside out"


def test_shorter_horizons_are_calibrated_alike_and_the_forecast_given_is_left_alone(seed):
    said, happened, scales = windows(seed, 60)
    calibration = calibrate(said, happened, scales)
    before = said[0].quantiles.copy()
    whole = calibration.apply(said[0], scales[0])
    short = replace(said[0], point=said[0].point[:2], quantiles=said[0].quantiles[:2], times=(0, 1))
    np.testing.assert_array_equal(calibration.apply(short, scales[0]).quantiles, whole.quantiles[:2])
    np.testing.assert_array_equal(said[0].quantiles, before)


def test_saving_and_loading(tmp_path, seed):
    calibration = calibrate(*windows(seed, 60))
    calibration.save(tmp_path / "calibration.json")
    loaded = load_calibration(tmp_path / "calibration.json")
    assert loaded.percents == calibration.percents
    np.testing.assert_array_equal(loaded.margins, calibration.margins)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        '{"format": 2}',
        '{"format": 1, "percents": [80], "margins": [[[1, 2]]]}',
        '{"format": 1, "percents": [80], "margins": 3}',
    ],
)
def test_damaged_files_are_refused(tmp_path, text):
    path = tmp_path / "calibration.json"
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_calibration(path)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"calibration\.json"):
        load_calibration(path)
    path.write_text(json.dumps({"format": 1, "percents": [80], "margins": [[[float("nan")]]]}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="damaged"):
        load_calibration(path)


def test_refused(seed):
    said, happened, scales = windows(seed, 30)
    points = [replace(each, quantiles=None, levels=()) for each in said]
    with pytest.raises(DataError, match="at least 19 windows must be observed at each step, but at step 1 it is 18"):
        calibrate(said[:18], happened[:18], scales[:18])
    calibrate(said[:19], happened[:19], scales[:19])
    with pytest.raises(DataError, match="as many forecasts as actuals and scales"):
        calibrate(said, happened[:3], scales)
    with pytest.raises(ConfigError, match="There must be intervals to calibrate"):
        calibrate(points, happened, scales)
    with pytest.raises(ConfigError, match="between 0 and 100 percent"):
        calibrate(points, happened, scales, percents=[100.0])
    with pytest.raises(DataError, match=r"must have the level 0\.25, but it has 0.025, 0.1"):
        calibrate(said, happened, scales, percents=[50.0])
    with pytest.raises(DataError, match="must be positive to calibrate"):
        calibrate(said, happened, [np.zeros(2)] * 30)
    calibration = calibrate(said, happened, scales)
    longer = replace(said[0], point=np.zeros((4, 2)), quantiles=np.zeros((4, 2, 6)))
    with pytest.raises(DataError, match=r"calibrated for 3 steps of 2 channels, but the forecast of series `0` has the shape \(4, 2\)"):
        calibration.apply(longer, scales[0])
