"""A run that forecasts, made by hand: an evaluation with the details that the task stores."""

from typing import Any

import numpy as np

from antiphon.data.series import Series
from antiphon.metrics.forecasts import Actual, Forecast, insample_errors
from antiphon.tasks.forecasting.details import forecast_details
from tests.unit.report.runs import score

RECIPE = """\
task: {name: forecasting, horizon: 4, target: sales}
data: {train: [{path: /data/train.csv}], validation: 8, test: null}
model: {name: linear, head: {name: quantile}}
training: {max_steps: 100, best: mase}
"""
LEVELS = (0.025, 0.1, 0.25, 0.3, 0.5, 0.7, 0.75, 0.9, 0.975)
SEASON, HORIZON = 4, 4


def details(count: int = 20, *, channels: tuple[str, ...] = ("sales",), quantiles: bool = True, holes: bool = False) -> dict[str, Any]:
    """What the task says about forecasts of random walks; those of series 0 are the best."""
    rng = np.random.default_rng(7)
    windows, forecasts, actuals, naive = [], [], [], []
    for number in range(count):
        values = 100 + rng.normal(size=(24, len(channels))).cumsum(axis=0)
        series = Series(f"shop {number}", np.arange(24), values, np.empty((24, 0)), np.empty((24, 0)))
        actual, scales = values[20:].copy(), insample_errors(values[:20], SEASON)
        if holes:
            actual[1], values[15] = np.nan, np.nan
        point = np.nan_to_num(actual, nan=100.0) + 0.5 * number
        spread = np.linspace(-3, 3, len(LEVELS))
        forecast = Forecast(
            series.unique_id,
            tuple(f"2024-0{month}" for month in range(1, 5)),
            point,
            point[..., None] + spread if quantiles else None,
            LEVELS if quantiles else (),
        )
        windows.append((series, 20))
        forecasts.append(forecast)
        actuals.append(Actual(actual, *scales))
        naive.append(Forecast(series.unique_id, (), np.full((HORIZON, len(channels)), 100.0)))
    return forecast_details(
        windows,
        forecasts,
        actuals,
        {"naive": naive},
        channels=channels,
        season=SEASON,
        write=lambda times: tuple(f"t{time}" for time in times),
    )


def evaluation(found: dict[str, Any] | None = None) -> dict[str, Any]:
    """A stored evaluation: the baseline `naive` is better by MASE, and worse by sMAPE."""
    return {
        "run": "runs/x",
        "data": "/data/test.csv",
        "records": 20,
        "seconds": 2.0,
        "search": {"name": "direct"},
        "scores": [
            score("mase", 0.9, higher=False, low=0.8, high=1.0),
            score("smape", 10.0, higher=False),
            score("coverage_80", 70.0, higher=True),
            score("interval_width_80", 12.0, higher=False),
            score("loss", 1.5, higher=False),
        ],
        "baselines": {"naive": [score("mase", 0.7, higher=False), score("smape", 12.0, higher=False)]},
        "finish_reasons": {"length": 20},
        "details": details() if found is None else found,
        "items": [],
    }


SERIES = {
    "series": 3,
    "windows": 30,
    "context": [8, 12],
    "horizon": 4,
    "steps": {"count": 3, "mean": 40.0, "bins": [[30, 39, 1], [40, 50, 2]]},
    "times": ["2001-01", "2004-02"],
    "forecast": ["2002-01", "2004-02"],
    "values": [{"name": "sales", "lowest": 1.5, "mean": 20.0, "highest": 300.0, "missing": 7}],
    "seen": 4,
    "first_seen": ["shop 1"],
    "notes": ["2 rows were odd."],
}
SAMPLE = {
    "record": 0,
    "source": "series shop 1 up to 2003-01",
    "source_pieces": ["0.5,9", "nan", "-1.5,9"],
    "target_pieces": ["-1.5", "2.25"],
}
AUDIT = {
    "audit": {
        "splits": {
            "train": {
                "tally": {"read": 5, "kept": 3, "dropped": {"series too short": 2}, "first": {"series too short": ["shop 8", "shop 9"]}},
                "samples": [SAMPLE],
            }
        }
    },
    "notes": ["season 12."],
    "series": {"validation": {**SERIES, "context": [12, 12]}, "train": {**SERIES, "seen": 0}},
}
