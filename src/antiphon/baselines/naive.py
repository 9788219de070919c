"""The naive method: repeats the last value, which is the best forecast of a random walk."""

from typing import final

import numpy as np
from jaxtyping import Float

from antiphon.baselines.interface import Baseline


@final
class Naive(Baseline):
    """Repeats the last value."""

    name = "naive"
    summary = "the last value, repeated"

    def _forecast(self, history: Float[np.ndarray, " T"], horizon: int, season: int) -> Float[np.ndarray, " H"]:
        return np.full(horizon, history[-1])


plugin = Naive()
