"""The seasonal naive method: repeats the last season. For a history shorter than a season it repeats the last value."""

from typing import final

import numpy as np
from jaxtyping import Float

from antiphon.baselines.interface import Baseline


@final
class SeasonalNaive(Baseline):
    """Repeats the value of one season earlier."""

    name = "seasonal_naive"
    summary = "the last season, repeated"

    def _forecast(self, history: Float[np.ndarray, " T"], horizon: int, season: int) -> Float[np.ndarray, " H"]:
        last = history[-season:] if len(history) >= season else history[-1:]
        return np.resize(last, horizon)


plugin = SeasonalNaive()
