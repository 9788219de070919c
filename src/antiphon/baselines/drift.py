"""The drift method: the straight line through the first and the last value, continued; the forecast of a random walk with drift."""

from typing import final

import numpy as np
from jaxtyping import Float

from antiphon.baselines.interface import Baseline


@final
class Drift(Baseline):
    """The last value, plus the mean change per step for each step ahead."""

    name = "drift"
    summary = "the line through the first and the last value, continued"

    def _forecast(self, history: Float[np.ndarray, " T"], horizon: int, season: int) -> Float[np.ndarray, " H"]:
        slope = (history[-1] - history[0]) / max(len(history) - 1, 1)
        return np.asarray(history[-1] + slope * np.arange(1, horizon + 1))


plugin = Drift()
