"""The data that forecast metrics compare: a forecast, and the actual values. No torch here, as in all of `metrics`."""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Forecast:
    """The future of one series, in the units of the data.

    unique_id   the series, with the type that the data gives its name
    times       the H times that are forecast, as the data writes them
    point       (H, C)
    quantiles   (H, C, Q) for `levels` (Q,), ascending; None for a point forecast
    samples     (N, H, C) sample paths, or None
    """

    unique_id: Hashable
    times: tuple[object, ...]
    point: Float[np.ndarray, "H C"]
    quantiles: Float[np.ndarray, "H C Q"] | None = None
    levels: tuple[float, ...] = ()
    samples: Float[np.ndarray, "N H C"] | None = None


@dataclass(frozen=True)
class Actual:
    """The actual values; missing ones are NaN and do not count.

    values            (H, C)
    insample_mae      (C,) mean absolute error of the seasonal naive forecast within the history: what MASE divides by
    insample_mse      (C,) mean squared change from step to step within the history, from its first value on that is not zero: what RMSSE
                      divides by
    """

    values: Float[np.ndarray, "H C"]
    insample_mae: Float[np.ndarray, " C"]
    insample_mse: Float[np.ndarray, " C"]


def insample_errors(history: Float[np.ndarray, "T C"], season: int) -> tuple[Float[np.ndarray, " C"], Float[np.ndarray, " C"]]:
    """The divisors of errors: for MASE and for RMSSE, NaN where undefined.

    MASE   mean absolute error of repeating the value one season ago (Hyndman and Koehler 2006)
    RMSSE  mean squared error of repeating the value before, whatever the season, from the first value on that is not zero: what comes
           before was not yet sold (M5; Makridakis et al. 2022)
    """
    lag = season if len(history) > season else 1
    begun = (np.nan_to_num(history) != 0).cumsum(axis=0) > 0
    sold = np.where(begun, history, np.nan)
    return _mean(np.abs(history[lag:] - history[:-lag])), _mean((sold[1:] - sold[:-1]) ** 2)


def _mean(errors: Float[np.ndarray, "N C"]) -> Float[np.ndarray, " C"]:
    """The mean of the known values; NaN where there are none."""
    known = ~np.isnan(errors)
    counts = known.sum(axis=0)
    return np.where(counts > 0, np.where(known, errors, 0.0).sum(axis=0) / np.maximum(counts, 1), np.nan)
