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
from antiphon.baselines.smoothing import Form, fit

LONGEST_SEASON = 24
LATEST = 1000
"""Only so many of the latest values are fitted: older ones weigh next to nothing."""


@final
class ExponentialSmoothing(Baseline):
    """The form with the least AICc."""

    name = "exponential_smoothing"
    summary = "simple, Holt's, damped or Holt-Winters' smoothing, chosen by AICc"

    def _forecast(self, history: Float[np.ndarray, " T"], horizon: int, season: int) -> Float[np.ndarray, " H"]:
        if season > LONGEST_SEASON:
            history = history[-max(LATEST, 4 * season) :]
            pattern = season_of(history, season)
            return pattern.restore(self._forecast(pattern.remove(history), horizon, 1), len(history))
        history = history[-LATEST:]
        found = [fit(history, form) for form in forms(history, season)]
        best = min(found, key=lambda fitted: fitted.corrected_information)
        return best.forecast(horizon)


def forms(history: Float[np.ndarray, " T"], season: int) -> list[Form]:
    """The forms that so short or so signed a history allows; the simple one always."""
    trends: tuple[str, ...] = ("none", "linear", "damped") if len(history) >= 5 else ("none",)
    seasons = ["none"]
    if season > 1 and len(history) >= 2 * season + 2:
        seasons.append("added")
        if (history > 0).all() and decompose(history, season, multiply=True).indices.min() >= LEAST_INDEX:
            seasons.append("multiplied")
    return [Form(trend, kind, season if kind != "none" else 1) for kind in seasons for trend in trends]  # type: ignore[arg-type]


plugin = ExponentialSmoothing()
