"""The Theta method (Assimakopoulos and Nikolopoulos 2000), winner of the M3 competition.

A series without its season is the mean of two lines: its regression line, drawn on (theta = 0), and the series with its curvature doubled,
smoothed exponentially (theta = 2). Deseasonalized by a multiplicative classical decomposition if the season passes a test at 90 percent.

Unusual: for a given smoothing parameter the errors are linear in the first level, so that is computed; the parameter is searched on a grid.
"""

from typing import final

import numpy as np
from jaxtyping import Float

from antiphon.baselines.interface import Baseline
from antiphon.baselines.seasonality import season_of

_GRID = np.linspace(0.01, 0.99, 197)


@final
class Theta(Baseline):
    """The mean of the theta lines for theta = 0 and theta = 2."""

    name = "theta"
    summary = "the Theta method: trend line and smoothed curvature, seasonally adjusted"

    def _forecast(self, history: Float[np.ndarray, " T"], horizon: int, season: int) -> Float[np.ndarray, " H"]:
        if len(history) < 3:
            return np.full(horizon, history[-1])
        pattern = season_of(history, season)
        adjusted = pattern.remove(history)
        slope, intercept = np.polyfit(np.arange(len(adjusted)), adjusted, 1)
        line = intercept + slope * np.arange(len(adjusted) + horizon)
        level = smoothed_level(2 * adjusted - line[: len(adjusted)])
        return pattern.restore((line[len(adjusted) :] + level) / 2, len(history))


def smoothed_level(values: Float[np.ndarray, " T"]) -> float:
    """The final level of simple exponential smoothing, with the parameter and initial level of the least squared one-step errors."""
    keep = 1 - _GRID
    # The level is a_t + keep^t l_0, where a_t starts at 0; so the error is (y_t - a_t) - keep^t l_0.
    run, share = np.zeros(len(_GRID)), np.ones(len(_GRID))
    known, weights = np.empty((len(values), len(_GRID))), np.empty((len(values), len(_GRID)))
    for step, value in enumerate(values):
        known[step], weights[step] = value - run, share
        run = keep * run + _GRID * value
        share = keep * share
    first = (known * weights).sum(axis=0) / (weights**2).sum(axis=0)
    best = int(((known - weights * first) ** 2).sum(axis=0).argmin())
    return float(run[best] + share[best] * first[best])


plugin = Theta()
