"""Bounds forecasts: points and interval bounds are raised to the lowest value that the target can have."""

from dataclasses import replace

import numpy as np

from antiphon.metrics.forecasts import Forecast
from antiphon.tasks.forecasting.config import ForecastingConfig

_ROUNDING = 2e-7  # of a count that was divided by its size, in single precision


def possible(forecast: Forecast, settings: ForecastingConfig) -> Forecast:
    """The forecast with all numbers raised to the target's lowest value; counts that rounding has changed are whole again."""
    lowest = settings.lowest
    if lowest is None:
        return forecast

    def mended(values: np.ndarray) -> np.ndarray:
        values = np.maximum(values, lowest)
        whole = np.rint(values)
        return np.where(np.abs(values - whole) <= _ROUNDING * values, whole, values) if settings.counts else values

    return replace(
        forecast,
        point=mended(forecast.point),
        quantiles=None if forecast.quantiles is None else mended(forecast.quantiles),
        samples=None if forecast.samples is None else mended(forecast.samples),
    )
