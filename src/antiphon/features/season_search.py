"""Finds the season of some series: that of their frequency if their autocorrelation confirms it, else another usual one that it confirms.

The test is that of `baselines/seasonality.py` (Bartlett's limit at 90 percent) on differences, so that a trend, which makes values alike at
every lag, is not taken for a season.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

USUAL = (7, 12, 4, 24, 5, 52, 48, 96, 168, 60, 6, 3)
"""Days of a week, months, quarters, hours of a day, working days, weeks of a year, halves and quarters of hours of a day, ..."""
_LOOKED_AT = 100  # series
_LONGEST = 20_000  # steps of one, the last ones
_MOST = 0.5  # of the series must agree
_CLEARLY = 1.15  # how much higher the correlation at another lag must be to win against the frequency's own


@dataclass(frozen=True)
class FoundSeason:
    """The length of a season in steps (None for no season), and how it was found, for people."""

    steps: int | None
    reason: str


def find_season(series: Iterable[np.ndarray], natural: int, unit: str) -> FoundSeason:
    """The season of series of values (T,), NaN where missing; `natural` is the season of their frequency, 1 for none, `unit` names a
    step."""
    looked_at = [_filled(values[-_LONGEST:]) for values in islice(series, _LOOKED_AT)]
    candidates = [natural, *(steps for steps in USUAL if steps != natural)] if natural > 1 else list(USUAL)
    found = {steps: _agreeing(looked_at, steps) for steps in candidates}
    confirmed = {steps: mean for steps, (share, mean, _) in found.items() if share >= _MOST}
    if not confirmed:
        tested = found[natural][2] if natural > 1 else 0
        if natural > 1 and not tested:
            return FoundSeason(None, f"{natural} would be usual for steps of one {unit}, but no series is long enough to tell")
        return FoundSeason(None, f"no season of {natural} steps can be seen" if natural > 1 else "no season can be seen")
    best = max(confirmed.values())
    steps = natural if confirmed.get(natural, 0.0) * _CLEARLY >= best else min(one for one, mean in confirmed.items() if mean >= 0.9 * best)
    share, _, count = found[steps]
    usual = f"usual for steps of one {unit}, and" if steps == natural else "the autocorrelation says so:"
    return FoundSeason(steps, f"{usual} seen in {round(share * count):,} of {count:,} series")


def _agreeing(series: Sequence[np.ndarray], steps: int) -> tuple[float, float, int]:
    """(share of the series with this season, their mean correlation at its lag, number of series long enough to tell)."""
    tested = [_correlation(values, steps) for values in series if len(values) > 3 * steps + 1]
    seen = [correlation for correlation in tested if correlation is not None]
    share = len(seen) / len(tested) if tested else 0.0
    return (share, float(np.mean(seen)) if seen else 0.0, len(tested))


def _correlation(values: np.ndarray, steps: int) -> float | None:
    """The autocorrelation of differences at a lag; None if it is no higher than at neighbouring lags, or than expected by chance."""
    changes = np.diff(values)
    centred = changes - changes.mean()
    power = float(centred @ centred)
    if power <= 1e-12 * max(float(np.abs(values).max()), 1.0):
        return None
    correlations = np.array([centred[lag:] @ centred[:-lag] for lag in range(1, steps + 2)]) / power
    limit = 1.645 * np.sqrt((1 + 2 * (correlations[: steps - 1] ** 2).sum()) / len(changes))
    here, beside = correlations[steps - 1], max(correlations[steps - 2] if steps > 1 else 0.0, correlations[steps])
    return float(here) if here > limit and here > beside else None


def _filled(values: np.ndarray) -> np.ndarray:
    """The values, with missing ones interpolated linearly."""
    there = np.flatnonzero(np.isfinite(values))
    return np.interp(np.arange(len(values)), there, values[there]) if len(there) else np.zeros(0)
