"""Averages a model's forecast with those of baselines. Forecasts with different errors compensate for each other (Bates and Granger 1969),
and most of the best entries of the M4 competition were such combinations (Makridakis et al. 2020).

Unusual: baselines say no more than points, so the model alone says how sure the forecast is: its quantiles and sample paths move with the
point, by the same amount. Weights are equal: those that were estimated seldom do better (Claeskens et al. 2016).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from antiphon.data.series import Missing, Series
from antiphon.errors import ConfigError
from antiphon.metrics.forecasts import Forecast
from antiphon.tasks.forecasting.baselines import baseline_forecasts
from antiphon.tasks.forecasting.conformal import Calibration


def combined(forecast: Forecast, past: tuple[Series, int] | None, names: Sequence[str], missing: Missing, season: int) -> Forecast:
    """The mean of a forecast and the named baselines' forecasts from the same origin of its series; unchanged without a past."""
    if past is None:
        return forecast
    said = baseline_forecasts([past], names, missing, len(forecast.point), season)
    moved = np.sum([beside.point - forecast.point for (beside,) in said.values()], axis=0) / (1 + len(said))
    return replace(
        forecast,
        point=forecast.point + moved,
        quantiles=None if forecast.quantiles is None else forecast.quantiles + moved[..., None],
        samples=None if forecast.samples is None else forecast.samples + moved,
    )


def check_combination(calibration: Calibration | None, names: Sequence[str]) -> None:
    """Raise ConfigError when intervals were calibrated for forecasts combined in another way, and so would not cover these."""
    if calibration is not None and calibration.combine != tuple(names):
        raise ConfigError(
            f"The intervals were calibrated with `task.combine` being {list(calibration.combine)}, so it cannot be {list(names)}."
            " Set `task.intervals: []` to do without, or train with it."
        )
