"""What is said about forecasts beside their scores: checked by hand on small forecasts, and as JSON."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Hypothesis, Prediction
from antiphon.data.series import Series
from antiphon.metrics.forecasts import Actual, Forecast, insample_errors
from antiphon.metrics.scoring import evaluate
from antiphon.tasks.forecasting import details as module
from antiphon.tasks.forecasting.config import ForecastingConfig
from antiphon.tasks.forecasting.details import MOST_DRAWN, forecast_details
from antiphon.tasks.forecasting.task import Forecasting

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
SEASON, HORIZON = 4, 3


def made(count: int, seed: int, *, channels: int = 1, windows: int = 1, quantiles: bool = True, length: int = 20) -> dict[str, Any]:
    """Forecasts of random walks; the error of series number n grows with n."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[Any]] = {"windows": [], "forecasts": [], "actuals": [], "naive": []}
    for number in range(count):
        values = 100 + rng.normal(size=(length, channels)).cumsum(axis=0)
        series = Series(f"s{number}", np.arange(length), values, np.empty((length, 0)), np.empty((length, 0)))
        for window in range(windows):
            origin = length - HORIZON * (windows - window)
            actual = values[origin : origin + HORIZON]
            scales = insample_errors(values[:origin], SEASON)
            point = actual + (number + 1) * scales[0]  # so that MASE is number + 1
            spread = np.array([-2.0, -1.1, 0.0, 1.1, 2.0]) * (number + 1) * scales[0][:, None]
            forecast = Forecast(
                series.unique_id,
                tuple(range(origin, origin + HORIZON)),
                point,
                point[..., None] + spread if quantiles else None,
                LEVELS if quantiles else (),
            )
            found["windows"].append((series, origin))
            found["forecasts"].append(forecast)
            found["actuals"].append(Actual(actual, *scales))
            found["naive"].append(Forecast(series.unique_id, (), np.repeat(values[origin - 1 : origin], HORIZON, axis=0)))
    return found


def details(found: dict[str, Any], channels: Sequence[str] = ("y",)) -> dict[str, Any]:
    said = forecast_details(
        found["windows"],
        found["forecasts"],
        found["actuals"],
        {"naive": found["naive"]},
        channels=channels,
        season=SEASON,
        write=lambda times: tuple(f"t{time}" for time in times),
    )
    json.dumps(said, allow_nan=False)  # raises for a NaN, and for what is no plain value
    return said


def test_errors_by_step_are_those_of_the_metrics(seed: int) -> None:
    found = made(5, seed)
    said = details(found)
    assert said["items"] == 5
    assert said["steps"]["counts"] == [5] * HORIZON
    assert list(said["steps"]["errors"]) == ["mase", "smape", "mae"]
    assert said["steps"]["errors"]["mase"]["model"] == pytest.approx([3.0] * HORIZON), "the mean of 1 to 5"
    for name in ("mase", "smape", "mae"):
        (whole,) = evaluate([name], found["naive"], [[actual] for actual in found["actuals"]], resamples=0)
        assert np.mean(said["steps"]["errors"][name]["naive"]) == pytest.approx(whole.value)


def test_series_are_ranked_over_all_their_windows(seed: int) -> None:
    said = details(made(5, seed, windows=2))["series"]
    assert (said["metric"], said["total"], said["unranked"], said["left_out"]) == ("mase", 5, 0, 0)
    assert [row["unique_id"] for row in said["worst"]] == ["s4", "s3", "s2", "s1", "s0"]
    assert [row["mase"] for row in said["worst"]] == pytest.approx([5, 4, 3, 2, 1])
    assert {row["windows"] for row in said["worst"]} == {2}
    assert said["best"] == []
    assert said["quantiles"]["50"] == pytest.approx(3)
    better = [row["mase"] < row["baselines"]["naive"] for row in said["worst"]]
    assert said["better_than"]["naive"] == pytest.approx(np.mean(better))


def test_what_is_left_out_is_counted(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WORST", 4)
    monkeypatch.setattr(module, "MOST_BEST", 2)
    said = details(made(10, seed))["series"]
    assert [row["unique_id"] for row in said["worst"]] == ["s9", "s8", "s7", "s6"]
    assert [row["unique_id"] for row in said["best"]] == ["s0", "s1"]
    assert said["left_out"] == 4
    said = details(made(5, seed))["series"]
    assert [row["unique_id"] for row in (*said["worst"], *said["best"])] == ["s4", "s3", "s2", "s1", "s0"]
    assert said["left_out"] == 0


def test_coverage_of_every_central_interval(seed: int) -> None:
    """Points are n in-sample errors too high: inside the inner interval of +-1.1 n; three are moved between it and the outer one."""
    found = made(4, seed)
    for forecast, actual in zip(found["forecasts"][:3], found["actuals"][:3], strict=True):
        actual.values[0] = forecast.quantiles[0, :, 1] - 1e-6
    found["actuals"][0].values[1] = np.nan
    inner, outer = details(found)["coverage"]
    assert (inner["nominal"], outer["nominal"]) == (50.0, 80.0)
    assert inner["values"] == outer["values"] == 4 * HORIZON - 1
    assert outer["observed"] == pytest.approx(100.0)
    widths = [2 * (forecast.quantiles[0, 0, 3] - forecast.quantiles[0, 0, 2]) for forecast in found["forecasts"]]
    weights = [HORIZON - 1, HORIZON, HORIZON, HORIZON]
    assert inner["channels"][0]["width"] == pytest.approx(np.average(widths, weights=weights))
    assert inner["observed"] == pytest.approx(100 * 8 / 11)


def test_channels_have_coverage_of_their_own(seed: int) -> None:
    found = made(3, seed, channels=2)
    for actual in found["actuals"]:
        actual.values[:, 1] = 1e6
    said = details(found, ("y", "z"))
    assert said["coverage"][-1]["observed"] == pytest.approx(50)
    assert [own["channel"] for own in said["coverage"][-1]["channels"]] == ["y", "z"]
    assert [own["observed"] for own in said["coverage"][-1]["channels"]] == pytest.approx([100, 0])
    assert [own["channel"] for own in said["forecasts"][0]["channels"]] == ["y", "z"]


def test_forecasts_to_draw_run_from_the_best_to_the_worst(seed: int) -> None:
    found = made(30, seed)
    drawn = details(found)["forecasts"]
    assert len(drawn) == MOST_DRAWN
    ranks = [one["rank"] for one in drawn]
    assert ranks == sorted(ranks)
    assert (ranks[0], ranks[-1]) == (1, 30)
    assert max(np.diff(ranks)) <= 3
    best, worst = drawn[0], drawn[-1]
    assert (best["unique_id"], worst["unique_id"], best["ranked"]) == ("s0", "s29", 30)
    assert best["value"] == pytest.approx(1)
    series, origin = found["windows"][0]
    own = best["channels"][0]
    assert best["times"] == [origin, origin + 1, origin + 2]
    assert best["history_times"] == [f"t{time}" for time in range(origin - 2 * SEASON, origin)]
    assert best["history_steps"] == origin
    assert own["history"] == pytest.approx(series.targets[origin - 2 * SEASON : origin, 0].tolist())
    assert own["seasonal_naive"] == pytest.approx(series.targets[origin - SEASON : origin - SEASON + HORIZON, 0].tolist())
    assert np.shape(own["quantiles"]) == (HORIZON, len(LEVELS))


def test_a_single_forecast_of_points_with_holes(seed: int) -> None:
    found = made(1, seed, quantiles=False)
    series, origin = found["windows"][0]
    series.targets[origin - 2] = np.nan
    found["actuals"][0].values[1] = np.nan
    said = details(found)
    assert said["coverage"] == []
    assert said["steps"]["counts"] == [1, 0, 1]
    assert said["steps"]["errors"]["mase"]["model"][1] is None
    (drawn,) = said["forecasts"]
    assert drawn["rank"] == 1
    assert drawn["channels"][0]["quantiles"] is None
    assert drawn["channels"][0]["actual"][1] is None
    assert drawn["channels"][0]["history"][-2] is None


def test_without_anything_to_divide_by_another_metric_ranks(seed: int) -> None:
    found = made(3, seed)
    found["actuals"] = [Actual(actual.values, np.full(1, np.nan), np.full(1, np.nan)) for actual in found["actuals"]]
    said = details(found)
    assert said["series"]["metric"] == said["forecasts"][0]["metric"] == "smape"
    assert list(said["steps"]["errors"]) == ["smape", "mae"]
    found["actuals"][1].values[:] = np.nan
    said = details(found)
    assert (said["series"]["total"], said["series"]["unranked"], said["series"]["unranked_first"]) == (3, 1, ["s1"])
    for actual in found["actuals"]:
        actual.values[:] = np.nan
    said = details(found)
    assert said["series"]["unranked"] == 3
    assert said["steps"]["errors"] == {}
    assert said["coverage"] == []
    assert [one["rank"] for one in said["forecasts"]] == [None] * 3, "drawn all the same"


def test_the_task_gives_them() -> None:
    steps = [{"ds": f"{2000 + step // 12}-{step % 12 + 1:02d}", "y": float(step % 12 + step / 10)} for step in range(48)]
    settings = {"horizon": 6, "context_length": 12, "id": None, "backtest": {"windows": 2}, "baselines": ["seasonal_naive"]}
    task = Forecasting(validate(ForecastingConfig, settings))
    task.fit(steps)
    items = list(task.items(steps, scored=True))
    forecasts = [Forecast("series", ("2003-01",) * 6, np.full((6, 1), 5.0)) for _ in items]
    predictions = [Prediction(forecast, Hypothesis(forecast.point, 0.0, 0.0)) for forecast in forecasts]
    baselines = task.baselines(items)
    said = task.details(items, predictions, [[task.reference(item)] for item in items], baselines)
    json.dumps(said, allow_nan=False)
    assert (said["season"], said["horizon"], said["channels"], said["items"]) == (12, 6, ["y"], 2)
    assert said["steps"]["errors"]["mae"]["seasonal_naive"] == pytest.approx([1.2] * 6)
    assert said["forecasts"][0]["history_times"][-1] in ("2002-12", "2003-06")
    assert said["forecasts"][0]["channels"][0]["seasonal_naive"] == pytest.approx(baselines["seasonal_naive"][0].point[:, 0].tolist()) or (
        said["forecasts"][0]["channels"][0]["seasonal_naive"] == pytest.approx(baselines["seasonal_naive"][1].point[:, 0].tolist())
    )
