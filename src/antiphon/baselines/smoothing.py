"""Exponential smoothing in one recursion, for three kinds of trend and many smoothing parameters at once.

    level    l_t = l + phi b + alpha e
    trend    b_t = phi b + beta e
    season   s_t = s + gamma e, or s + gamma e / (l + phi b) where it multiplies

with the one-step error e = y - (l + phi b) o s, o being + or *: the error correction form of Hyndman et al. 2008. Unusual: there is no
gradient and no library. Random candidates run through the recursion side by side, a cloud of them for each kind of trend contracts around
its best ones (the cross-entropy method, Rubinstein 1999), and the seed is fixed, so that a forecast is always the same.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from antiphon.baselines.seasonality import LEAST_INDEX, decompose

SeasonKind = Literal["none", "added", "multiplied"]
TRENDS = ("none", "linear", "damped")

_CANDIDATES, _ELITE, _ROUNDS = 48, 10, 6
# alpha, beta / alpha, phi, gamma / (1 - alpha). Nearer to 1 than 0.98 a damped trend is a linear one, below 0.8 it is hardly one.
_LOW = np.array([1e-3, 1e-3, 0.8, 1e-4])
_HIGH = np.array([0.999, 0.999, 0.98, 0.999])
_FIRST = np.array([0.5, 0.1, 0.95, 0.1])


@dataclass
class States:
    """Level (P,), trend (P,) and season (period, P) of P candidates; the season of the next step comes first."""

    level: Float[np.ndarray, " P"]
    trend: Float[np.ndarray, " P"]
    season: Float[np.ndarray, "period P"]


@dataclass(frozen=True)
class Fitted:
    """One form with its best parameters and its final states; `information` is AICc, by which forms are compared."""

    trend: str
    season: SeasonKind
    damping: float
    level: float
    slope: float
    pattern: Float[np.ndarray, " period"]
    information: float

    def forecast(self, horizon: int) -> Float[np.ndarray, " H"]:
        """The forecast that continues the final states."""
        base = self.level + self.slope * np.cumsum(self.damping ** np.arange(1, horizon + 1))
        repeated = np.resize(self.pattern, horizon)
        return np.asarray(base * repeated if self.season == "multiplied" else base + repeated)


def fit_all(history: Float[np.ndarray, " T"], season: SeasonKind, period: int) -> list[Fitted]:
    """Fits with no, linear and damped trend, each with the least squared one-step errors; a season needs two periods of history."""
    generator = np.random.default_rng(0)
    pattern, start = _first_states(history, season, period)
    candidates = generator.uniform(_LOW, _HIGH, size=(len(TRENDS), _CANDIDATES, 4))
    candidates[:, 0] = _FIRST
    for last in (False,) * _ROUNDS + (True,):
        squares, states = _run(history, season, candidates, start, pattern)
        order = np.argsort(squares, axis=1)
        if last:
            break
        elite = np.take_along_axis(candidates, order[:, :_ELITE, None], axis=1)
        spread = 1.2 * elite.std(axis=1, keepdims=True) + 1e-4
        candidates = np.clip(generator.normal(elite.mean(axis=1, keepdims=True), spread, size=candidates.shape), _LOW, _HIGH)
        candidates[:, 0] = elite[:, 0]  # the best so far stays
    found = []
    for row, trend in enumerate(TRENDS):
        best = int(order[row, 0])
        place = row * _CANDIDATES + best
        parameters = {"none": 2, "linear": 4, "damped": 5}[trend] + (period if season != "none" else 0) + 1
        found.append(
            Fitted(
                trend,
                season,
                {"none": 0.0, "linear": 1.0, "damped": float(candidates[row, best, 2])}[trend],
                float(states.level[place]),
                float(states.trend[place]),
                states.season[:, place],
                _information(float(squares[row, best]), len(history), parameters, float(np.abs(history).max())),
            )
        )
    return found


def _run(
    history: Float[np.ndarray, " T"],
    season: SeasonKind,
    candidates: Float[np.ndarray, "trends P 4"],
    start: Float[np.ndarray, "trends 2"],
    pattern: Float[np.ndarray, " period"],
) -> tuple[Float[np.ndarray, "trends P"], States]:
    """The sum of squared one-step errors of all candidates, and their states after the last step."""
    kinds, count, _ = candidates.shape
    alpha, ratio, damping, seasonal_ratio = candidates.reshape(-1, 4).T
    damping = damping.copy()
    damping[:count], damping[count : 2 * count] = 0.0, 1.0
    beta, gamma = alpha * ratio, (1 - alpha) * seasonal_ratio  # within these bounds the recursion forgets its start
    level, trend = (np.repeat(column, count) for column in start.T)
    seasons = np.repeat(pattern[:, None], kinds * count, axis=1)
    squares = np.zeros(kinds * count)
    with np.errstate(over="ignore", invalid="ignore"):
        for step, value in enumerate(history):
            grown = damping * trend
            base = level + grown
            now = seasons[step % len(seasons)]
            error = value - (base * now if season == "multiplied" else base + now)
            squares += error * error
            step_error = error / now if season == "multiplied" else error
            level, trend = base + alpha * step_error, grown + beta * step_error
            if season == "added":
                now += gamma * error
            elif season == "multiplied":
                now[:] = np.maximum(now + gamma * error / np.where(np.abs(base) > 1e-12, base, 1e-12), LEAST_INDEX)
    squares = np.where(np.isfinite(squares), squares, np.inf).reshape(kinds, count)
    return squares, States(level, trend, np.roll(seasons, -(len(history) % len(seasons)), axis=0))


def _first_states(
    history: Float[np.ndarray, " T"], season: SeasonKind, period: int
) -> tuple[Float[np.ndarray, " period"], Float[np.ndarray, "trends 2"]]:
    """A season from the first cycles, and level and trend from a mean or a line through the first values (Hyndman et al. 2008, 2.6)."""
    multiply = season == "multiplied"
    pattern = np.array([1.0 if multiply else 0.0])
    if season != "none":
        pattern = decompose(history[: 4 * period], period, multiply=multiply).indices
        pattern = np.maximum(pattern, LEAST_INDEX) if multiply else pattern
    repeated = np.resize(pattern, len(history))
    adjusted = (history / repeated if multiply else history - repeated)[: max(10, 2 * period)]
    flat = [float(adjusted.mean()), 0.0]
    if len(adjusted) < 3:
        return pattern, np.array([flat] * len(TRENDS))
    slope, intercept = np.polyfit(np.arange(1, len(adjusted) + 1), adjusted, 1)
    return pattern, np.array([flat, [intercept, slope], [intercept, slope]])


def _information(squares: float, count: int, parameters: int, size: float) -> float:
    """AICc of a normal likelihood. Errors below rounding count as rounding, so that a perfect fit prefers fewer parameters."""
    if count - parameters - 1 <= 0 or not np.isfinite(squares):
        return np.inf
    floor = count * (1e-9 * max(size, 1e-12)) ** 2
    penalty = 2 * parameters + 2 * parameters * (parameters + 1) / (count - parameters - 1)
    return float(count * np.log(max(squares, floor) / count) + penalty)
