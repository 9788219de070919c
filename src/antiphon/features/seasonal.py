"""Estimates the season of a single window: repeated deviations from the trend, shrunk according to their reliability.

Classical decomposition: a centred moving average over a season is the trend, the mean deviation of each step of the season is its index.
A global model then forecasts what is left, as methods that won the M competitions did (Smyl 2020 removes seasons likewise).

Unusual: the indices are shrunk towards none by the share of their variance that chance alone would explain (as James and Stein 1961 would;
Miller and Williams 2003 found that forecasts gain). So there is no test that switches a season on and off from one window to the next.
"""

import numpy as np
from jaxtyping import Float


def seasonal_indices(values: Float[np.ndarray, " T"], season: int) -> Float[np.ndarray, " season"]:
    """What a window's season adds to each step after its end: index i belongs to step i, i + season, ...

    Their mean is 0 where all are known. A window of up to two seasons has none that could be told: zeros. NaN is left out.
    """
    steps, half = len(values), season // 2
    if season < 2 or steps <= 2 * season:
        return np.zeros(season)
    weights = np.ones(season) if season % 2 else np.concatenate([[0.5], np.ones(season - 1), [0.5]])
    trend = np.convolve(values, weights / season, mode="valid")
    deviations = np.full(-(-steps // season) * season, np.nan)  # whole seasons, the last of which ends with the window
    begin = len(deviations) - steps + half
    deviations[begin : begin + len(trend)] = values[half : half + len(trend)] - trend
    table = deviations.reshape(-1, season)
    seen = ~np.isnan(table)
    counts = seen.sum(axis=0)
    means = np.where(seen, table, 0.0).sum(axis=0) / np.maximum(counts, 1)
    indices = np.where(counts > 0, means - means[counts > 0].mean() if counts.any() else 0.0, 0.0)
    return np.asarray(indices * _belief(np.where(seen, table - indices, 0.0), counts, indices))


def _belief(rest: Float[np.ndarray, "N season"], counts: np.ndarray, indices: Float[np.ndarray, " season"]) -> float:
    """The share of the indices' variance that is not due to chance: from 0 to 1."""
    free, known = counts.sum() - (counts > 0).sum(), (counts > 0).sum()
    if free < 1 or known < 2:
        return 0.0
    variance = (indices**2).sum() / (known - 1)
    chance = (rest**2).sum() / free / counts[counts > 0].mean()
    return float(max(0.0, 1 - chance / variance)) if variance > 0 else 0.0
