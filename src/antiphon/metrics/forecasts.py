"""What forecast metrics compare: a forecast, and what really happened. No torch here, as in all of `metrics`."""

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
    """What really happened; missing values are NaN and do not count.

    values            (H, C)
    insample_mae      (C,) mean absolute error of the seasonal naive forecast within the history: what MASE divides by
    insample_mse      (C,) mean squared error of the same: what RMSSE divides by
    """

    values: Float[np.ndarray, "H C"]
    insample_mae: Float[np.ndarray, " C"]
    insample_mse: Float[np.ndarray, " C"]


def insample_errors(history: Float[np.ndarray, "T C"], season: int) -> tuple[Float[np.ndarray, " C"], Float[np.ndarray, " C"]]:
    """Mean absolute and mean squared error of repeating the value one season ago (Hyndman and Koehler 2006); NaN where undefined."""
    lag = season if len(history) > season else 1
    if len(history) <= lag:
        nothing = np.full(history.shape[1], np.nan)
        return nothing, nothing
    errors = history[lag:] - history[:-lag]
    with np.errstate(invalid="ignore"):
        return np.nanmean(np.abs(errors), axis=0), np.nanmean(errors**2, axis=0)
