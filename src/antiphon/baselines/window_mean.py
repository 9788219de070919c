"""The mean of the last season, or of all values when there are fewer; it averages out seasonal patterns. Without a season, of the last ten
values."""

from typing import final

import numpy as np
from jaxtyping import Float

from antiphon.baselines.interface import Baseline

WITHOUT_SEASON = 10


@final
class WindowMean(Baseline):
    """The mean of the latest values."""

    name = "window_mean"
    summary = "the mean of the last season, or of the last 10 values where there is none"

    def _forecast(self, history: Float[np.ndarray, " T"], horizon: int, season: int) -> Float[np.ndarray, " H"]:
        return np.full(horizon, history[-(season if season > 1 else WITHOUT_SEASON) :].mean())


plugin = WindowMean()
