"""Errors of point forecasts, value by value: absolute, squared, symmetric in percent, and scaled by the errors of naive forecasts."""

import numpy as np
from jaxtyping import Float

from antiphon.metrics.forecasts import Actual, Forecast


def absolute(prediction: Forecast, actual: Actual) -> Float[np.ndarray, "H C"]:
    """|y - y'|, in the units of the data."""
    return np.asarray(np.abs(actual.values - prediction.point))


def squared(prediction: Forecast, actual: Actual) -> Float[np.ndarray, "H C"]:
    """(y - y')^2."""
    return np.asarray((actual.values - prediction.point) ** 2)


def symmetric_percentage(prediction: Forecast, actual: Actual) -> Float[np.ndarray, "H C"]:
    """200 |y - y'| / (|y| + |y'|), between 0 and 200 (Makridakis and Hibon 2000); 0 where both are 0."""
    error, size = absolute(prediction, actual), np.abs(actual.values) + np.abs(prediction.point)
    return np.asarray(200 * np.where(size == 0, 0.0, error / np.where(size == 0, 1.0, size)))


def scaled_absolute(prediction: Forecast, actual: Actual) -> Float[np.ndarray, "H C"]:
    """|y - y'| per mean absolute error of the seasonal naive forecast within the history (Hyndman and Koehler 2006)."""
    return np.asarray(absolute(prediction, actual) / _divisor(actual.insample_mae))


def scaled_squared(prediction: Forecast, actual: Actual) -> Float[np.ndarray, "H C"]:
    """(y - y')^2 per mean squared change from step to step within the history (M5: Makridakis et al. 2022)."""
    return np.asarray(squared(prediction, actual) / _divisor(actual.insample_mse))


def _divisor(insample: Float[np.ndarray, " C"]) -> Float[np.ndarray, " C"]:
    """The divisor; NaN where the history gives none: it is too short, or repeats itself exactly."""
    return np.where(insample > 0, insample, np.nan)
