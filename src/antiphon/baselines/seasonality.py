"""Tests whether a series is seasonal, and removes its season by classical decomposition, as in the M3 and M4 competitions."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

LEAST_INDEX = 0.01
_NORMAL_90 = 1.645  # a two-sided test at 90 percent


@dataclass(frozen=True)
class Season:
    """Seasonal indices (season,) that multiply the level, or are added to it; the first one belongs to the first step."""

    indices: Float[np.ndarray, " season"]
    multiplies: bool

    def remove(self, history: Float[np.ndarray, " T"]) -> Float[np.ndarray, " T"]:
        """The history with its season removed."""
        pattern = np.resize(self.indices, len(history))
        return np.asarray(history / pattern if self.multiplies else history - pattern)

    def restore(self, values: Float[np.ndarray, " H"], start: int) -> Float[np.ndarray, " H"]:
        """Add the season to values, the first of which lies `start` steps after the first of the history."""
        pattern = self.indices[(start + np.arange(len(values))) % len(self.indices)]
        return np.asarray(values * pattern if self.multiplies else values + pattern)


def no_season() -> Season:
    """The season of a series that has none."""
    return Season(np.zeros(1), multiplies=False)


def is_seasonal(history: Float[np.ndarray, " T"], season: int) -> bool:
    """Whether the autocorrelation at one season's lag is significant at 90 percent, against those at shorter lags (Bartlett).

    A history of less than three seasons has no season that could be told.
    """
    if season < 2 or len(history) < 3 * season:
        return False
    centred = history - history.mean()
    power = float(centred @ centred)
    if power <= 0:
        return False
    correlations = np.array([centred[lag:] @ centred[:-lag] for lag in range(1, season + 1)]) / power
    limit = _NORMAL_90 * np.sqrt((1 + 2 * (correlations[:-1] ** 2).sum()) / len(history))
    return bool(abs(correlations[-1]) > limit)


def decompose(history: Float[np.ndarray, " T"], season: int, *, multiply: bool) -> Season:
    """The mean deviation of each step of the season from a centred moving average over one season; needs at least two seasons.

    `multiply` asks for a season that multiplies; values that are not positive have none.
    """
    assert len(history) >= 2 * season, f"a season of {season} cannot be told from {len(history)} values"
    weights = np.full(season, 1 / season) if season % 2 else np.concatenate([[0.5], np.ones(season - 1), [0.5]]) / season
    trend = np.convolve(history, weights, mode="valid")
    offset = len(weights) // 2
    middle = history[offset : offset + len(trend)]
    places = (offset + np.arange(len(trend))) % season
    deviations = middle / trend if multiply else middle - trend
    means = np.bincount(places, deviations, minlength=season) / np.bincount(places, minlength=season)
    return Season(means / means.mean() if multiply else means - means.mean(), multiply)


def season_of(history: Float[np.ndarray, " T"], season: int) -> Season:
    """The season of a history, if the test finds one; multiplicative where all values are positive, as in the M3 competition.

    Where an index would be nearly 0, to divide by it would blow noise up; then the season is added.
    """
    if not is_seasonal(history, season):
        return no_season()
    found = decompose(history, season, multiply=bool((history > 0).all()))
    if found.multiplies and found.indices.min() < LEAST_INDEX:
        return decompose(history, season, multiply=False)
    return found
