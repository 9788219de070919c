"""Errors of probabilistic forecasts, value by value: pinball loss, CRPS, and whether a value lies within an interval.

Unusual: CRPS takes what the forecast offers. Quantiles come first, since they are what calibration corrects and what the user is given;
without them sample paths serve, and a mere point has its absolute error as CRPS. So one number compares forecasts of all kinds.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from antiphon.errors import DataError
from antiphon.metrics.forecasts import Actual, Forecast

_TOLERANCE = 1e-9  # levels are decimal fractions


def pinball(prediction: Forecast, actual: Actual) -> Float[np.ndarray, "H C"]:
    """The mean over the forecast's levels of max(q (y - y_q), (q - 1) (y - y_q)) (Koenker and Bassett 1978).

    Raises DataError when the forecast has no quantiles.
    """
    if prediction.quantiles is None:
        raise DataError(
            f"The pinball loss needs quantiles, but the forecast of series `{prediction.unique_id}` has none."
            " Use a head of quantiles or of a distribution, or `crps`, which also measures points."
        )
    return np.asarray(_pinball(prediction, actual).mean(axis=-1))


def continuous_ranked_probability(prediction: Forecast, actual: Actual) -> Float[np.ndarray, "H C"]:
    """CRPS (Matheson and Winkler 1976; Gneiting and Raftery 2007), in the units of the data.

    Of quantiles: twice the integral of the pinball loss over the levels, each level standing for the levels nearest to it. Of N samples:
    E|X - y| - E|X - X'| / 2 with N^2 pairs. Of a point: the absolute error.
    """
    if prediction.quantiles is not None:
        edges = np.concatenate([[0.0], (np.array(prediction.levels[1:]) + prediction.levels[:-1]) / 2, [1.0]])
        return np.asarray(2 * (_pinball(prediction, actual) * np.diff(edges)).sum(axis=-1))
    if prediction.samples is not None:
        samples = np.sort(prediction.samples, axis=0)
        count = len(samples)
        # The sum over pairs of |x_i - x_j| is a sum over sorted samples: x_(i) stands on the right of i and on the left of N - 1 - i.
        weights = (2 * np.arange(count) - count + 1) / count**2
        distance = np.abs(samples - actual.values).mean(axis=0)
        return np.asarray(distance - np.tensordot(weights, samples, axes=1))
    return np.asarray(np.abs(actual.values - prediction.point))


def within(prediction: Forecast, actual: Actual, percent: int) -> Float[np.ndarray, "H C"]:
    """100 where the value lies within the central interval of `percent` percent, its ends included, else 0."""
    low, high = interval(prediction, percent)
    inside = 100.0 * ((actual.values >= low) & (actual.values <= high))
    return np.where(np.isnan(actual.values), np.nan, inside)


def width(prediction: Forecast, actual: Actual, percent: int) -> Float[np.ndarray, "H C"]:
    """The width of the central interval, where the value was observed, in the units of the data."""
    low, high = interval(prediction, percent)
    return np.where(np.isnan(actual.values), np.nan, high - low)


def interval(prediction: Forecast, percent: int) -> tuple[Float[np.ndarray, "H C"], Float[np.ndarray, "H C"]]:
    """The ends of the central interval of `percent` percent, from quantiles, or else from samples.

    Raises DataError when the forecast has neither.
    """
    wanted = (0.5 - percent / 200, 0.5 + percent / 200)
    if prediction.quantiles is not None:
        found = [_position(prediction.levels, level) for level in wanted]
        if None not in found:
            return prediction.quantiles[..., found[0]], prediction.quantiles[..., found[1]]
    if prediction.samples is not None:
        low, high = np.quantile(prediction.samples, wanted, axis=0)
        return low, high
    has = f"levels {', '.join(f'{level:g}' for level in prediction.levels)}" if prediction.levels else "no quantiles"
    raise DataError(
        f"An interval of {percent} % needs the quantiles {wanted[0]:g} and {wanted[1]:g}, but the forecast of series"
        f" `{prediction.unique_id}` has {has}. Add them to `levels` of the search or of the head."
    )


def _position(levels: tuple[float, ...], wanted: float) -> int | None:
    return next((place for place, level in enumerate(levels) if abs(level - wanted) < _TOLERANCE), None)


def _pinball(prediction: Forecast, actual: Actual) -> Float[np.ndarray, "H C Q"]:
    levels: Any = np.array(prediction.levels)
    error = actual.values[..., None] - prediction.quantiles
    return np.asarray(np.maximum(levels * error, (levels - 1) * error))
