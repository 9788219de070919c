"""Exponential smoothing, its form chosen for each series by AICc: simple, Holt's, damped, and Holt-Winters' (Hyndman et al. 2002).

The nine forms combine no, linear or damped trend with no, an added or a multiplied season. Errors are added and normal in all of them, so
their likelihoods compare. A season needs two full cycles of history, and one of more than 24 steps is taken off beforehand, as its
first states would be too many to fit.
"""

from typing import final

import numpy as np
from jaxtyping import Float

from antiphon.baselines.interface import Baseline
from antiphon.baselines.seasonality import LEAST_INDEX, decompose, season_of
from antiphon.baselines.smoothing import SeasonKind, fit_all

LONGEST_SEASON = 24
LATEST = 1000
"""Only this many of the latest values are fitted: older ones have almost no weight."""


@final
class ExponentialSmoothing(Baseline):
    """Exponential smoothing in the form with the lowest AICc."""

    name = "exponential_smoothing"
    summary = "simple, Holt's, damped or Holt-Winters' smoothing, chosen by AICc"

    def _forecast(self, history: Float[np.ndarray, " T"], horizon: int, season: int) -> Float[np.ndarray, " H"]:
        if season > LONGEST_SEASON:
            history = history[-max(LATEST, 4 * season) :]
            pattern = season_of(history, season)
            return pattern.restore(self._forecast(pattern.remove(history), horizon, 1), len(history))
        history = history[-LATEST:]
        found = [fitted for kind in season_kinds(history, season) for fitted in fit_all(history, kind, season if kind != "none" else 1)]
        # The first is simple smoothing, which also a history of one value allows; without degrees of freedom it stays.
        return min(found, key=lambda fitted: fitted.information).forecast(horizon)


def season_kinds(history: Float[np.ndarray, " T"], season: int) -> list[SeasonKind]:
    """The kinds of season that can be fitted to a history of this length and sign; none is always among them."""
    kinds: list[SeasonKind] = ["none"]
    if season > 1 and len(history) >= 2 * season + 2:
        kinds.append("added")
        if (history > 0).all() and decompose(history, season, multiply=True).indices.min() >= LEAST_INDEX:
            kinds.append("multiplied")
    return kinds


plugin = ExponentialSmoothing()
