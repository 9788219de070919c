"""Exponential smoothing in one recursion, for many smoothing parameters at once.

    level    l_t = l + phi b + alpha e
    trend    b_t = phi b + beta e
    season   s_t = s + gamma e, or s + gamma e / (l + phi b) where it multiplies

with the one-step error e = y - (l + phi b) o s, o being + or *: the error correction form of Hyndman et al. 2008. Unusual: there is no
gradient and no library. Random candidates run through the recursion side by side, a cloud of them contracts around the best ones
(the cross-entropy method, Rubinstein 1999), and the seed is fixed, so that a forecast is always the same.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from antiphon.baselines.seasonality import LEAST_INDEX, decompose

_CANDIDATES, _ELITE, _ROUNDS = 64, 12, 7
_LOW = np.array([1e-3, 1e-3, 0.8, 1e-4])
_HIGH = np.array([0.999, 0.999, 0.98, 0.999])  # phi is bounded as usual: nearer to 1 it is a trend, below 0.8 it hardly is one


@dataclass(frozen=True)
class Form:
    """Which parts a model has."""

    trend: Literal["none", "linear", "damped"]
    season: Literal["none", "added", "multiplied"]
    period: int = 1

    @property
    def parameters(self) -> int:
        """How many numbers are fitted: smoothing parameters, first states, and the variance."""
        trend = {"none": 0, "linear": 2, "damped": 3}[self.trend]
        return 2 + trend + (0 if self.season == "none" else self.period) + 1


@dataclass
class States:
    """Level (P,), trend (P,) and season (P, period) of P candidates; the next step's season stands first."""

    level: Float[np.ndarray, " P"]
    trend: Float[np.ndarray, " P"]
    season: Float[np.ndarray, "P period"]


@dataclass(frozen=True)
class Fitted:
    """A form with its best parameters; `corrected_information` is AICc, to choose between forms by."""

    form: Form
    damping: float
    states: States
    corrected_information: float

    def forecast(self, horizon: int) -> Float[np.ndarray, " H"]:
        """The states drawn on."""
        steps = np.cumsum(self.damping ** np.arange(1, horizon + 1)) if self.form.trend != "none" else np.zeros(horizon)
        base = self.states.level[0] + self.states.trend[0] * steps
        season = np.resize(self.states.season[0], horizon)
        return np.asarray(base * season if self.form.season == "multiplied" else base + season)


def fit(history: Float[np.ndarray, " T"], form: Form) -> Fitted:
    """The form with the least squared one-step errors; at least two periods of a season are needed."""
    generator = np.random.default_rng(0)
    start = _first_states(history, form)
    low, high = _LOW.copy(), _HIGH.copy()
    candidates = generator.uniform(low, high, size=(_CANDIDATES, 4))
    candidates[0] = (0.5, 0.1, 0.95, 0.1)
    best, least = candidates[0], np.inf
    for _ in range(_ROUNDS):
        squares = run(history, form, candidates, start)[0]
        order = np.argsort(squares)
        if squares[order[0]] < least:
            best, least = candidates[order[0]], float(squares[order[0]])
        elite = candidates[order[:_ELITE]]
        spread = 1.2 * elite.std(axis=0) + 1e-4
        candidates = np.clip(generator.normal(elite.mean(axis=0), spread, size=candidates.shape), low, high)
        candidates[0] = best
    squares, states = run(history, form, best[None], start)
    damping = {"none": 0.0, "linear": 1.0, "damped": float(best[2])}[form.trend]
    return Fitted(form, damping, states, _information(float(squares[0]), len(history), form.parameters, float(np.abs(history).max())))


def run(
    history: Float[np.ndarray, " T"],
    form: Form,
    parameters: Float[np.ndarray, "P 4"],
    start: tuple[float, float, Float[np.ndarray, " period"]],
) -> tuple[Float[np.ndarray, " P"], States]:
    """Summed squared one-step errors, and the states after the last step, of candidates (alpha, beta / alpha, phi, gamma / (1 - alpha))."""
    alpha = parameters[:, 0]
    beta, gamma = alpha * parameters[:, 1], (1 - alpha) * parameters[:, 3]  # within these bounds the recursion forgets its start
    damping = {"none": np.zeros(len(alpha)), "linear": np.ones(len(alpha)), "damped": parameters[:, 2]}[form.trend]
    level, trend = np.full(len(alpha), start[0]), np.full(len(alpha), start[1])
    season = np.repeat(start[2][:, None], len(alpha), axis=1)  # (period, P)
    squares = np.zeros(len(alpha))
    multiplied, seasonal = form.season == "multiplied", form.season != "none"
    for step, value in enumerate(history):
        grown = damping * trend
        base = level + grown
        place = step % len(season)
        now = season[place]
        error = value - (base * now if multiplied else base + now)
        squares += error * error
        if multiplied:
            level, trend = base + alpha * error / now, grown + beta * error / now
            season[place] = np.maximum(now + gamma * error / np.where(np.abs(base) > 1e-12, base, 1e-12), 1e-3)
        else:
            level, trend = base + alpha * error, grown + beta * error
            if seasonal:
                season[place] = now + gamma * error
    squares = np.where(np.isfinite(squares), squares, np.inf)
    return squares, States(level, trend, np.roll(season, -(len(history) % len(season)), axis=0).T)


def _first_states(history: Float[np.ndarray, " T"], form: Form) -> tuple[float, float, Float[np.ndarray, " period"]]:
    """Level and trend from a line through the first values, and a season from the first cycles (Hyndman et al. 2008, section 2.6)."""
    pattern = np.array([1.0 if form.season == "multiplied" else 0.0])
    if form.season != "none":
        begin = history[: max(2 * form.period, min(len(history), 4 * form.period))]
        pattern = decompose(begin, form.period, multiply=form.season == "multiplied").indices
        pattern = np.maximum(pattern, LEAST_INDEX) if form.season == "multiplied" else pattern
    repeated = np.resize(pattern, len(history))
    adjusted = (history / repeated if form.season == "multiplied" else history - repeated)[: max(10, 2 * form.period)]
    if form.trend == "none" or len(adjusted) < 3:
        return float(adjusted.mean()), 0.0, pattern
    slope, intercept = np.polyfit(np.arange(1, len(adjusted) + 1), adjusted, 1)
    return float(intercept), float(slope), pattern


def _information(squares: float, count: int, parameters: int, size: float) -> float:
    """AICc of a normal likelihood. Errors below rounding count as rounding, so that a perfect fit prefers fewer parameters."""
    if count - parameters - 1 <= 0:
        return np.inf
    floor = count * (1e-9 * max(size, 1e-12)) ** 2
    penalty = 2 * parameters + 2 * parameters * (parameters + 1) / (count - parameters - 1)
    return float(count * np.log(max(squares, floor) / count) + penalty)
