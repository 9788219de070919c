"""Forecasts as tables."""

import numpy as np

from antiphon.metrics.forecasts import Forecast
from antiphon.tasks.forecasting.rows import forecast_rows, quantile_columns


def test_columns_follow_the_convention() -> None:
    assert quantile_columns((0.025, 0.1, 0.3, 0.5, 0.9, 0.975)) == ("-lo-95", "-lo-80", "-q-0.3", "-median", "-hi-80", "-hi-95")
    assert quantile_columns((0.005, 0.995)) == ("-lo-99", "-hi-99")


def test_rows() -> None:
    point = np.array([[1.0, 10.0], [2.0, 20.0]])
    quantiles = np.stack([point - 1, point + 1], axis=-1)
    forecast = Forecast("a", ("2024-01", "2024-02"), point, quantiles, (0.1, 0.9))
    rows = forecast_rows(forecast, "id", "month", ("y", "z"))
    assert rows[1] == {
        "id": "a", "month": "2024-02", "y": 2.0, "y-lo-80": 1.0, "y-hi-80": 3.0, "z": 20.0, "z-lo-80": 19.0, "z-hi-80": 21.0
    }  # fmt: skip
    assert forecast_rows(Forecast("a", (1,), point[:1]), None, "ds", ("y", "z")) == [{"ds": 1, "y": 1.0, "z": 10.0}]
