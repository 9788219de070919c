"""One linear map from the last values to the whole horizon, fitted by least squares to the histories of all series together.

It is what the architecture `linear` learns by gradient descent (Zeng et al. 2023, NLinear), but fitted in closed form within a second, so
that it can stand beside every score. Values are relative to the last one and in units of the window's standard deviation, so that series
of all sizes share the map. A small ridge keeps it determined where windows are few.
"""

from collections.abc import Iterator, Sequence
from typing import final

import numpy as np
from jaxtyping import Float

from antiphon.baselines.interface import Baseline

_RIDGE = 0.01  # beside the mean square of the inputs, which is near 1
_MOST_WINDOWS = 200_000


@final
class Linear(Baseline):
    """A linear map (H, W) of a window of W values; None before `learn`, and then it is fitted to the one history that is forecast."""

    name = "linear"
    summary = "one linear map from the last values to the horizon, fitted to all histories"

    def __init__(self, weights: Float[np.ndarray, "H W"] | None = None):
        self.weights = weights

    def learn(self, histories: Sequence[Float[np.ndarray, " _"]], horizon: int, season: int = 1) -> "Linear":
        """Fit the map; where no history is longer than the horizon it is zero, which means repeating the last value."""
        longest = max((len(history) for history in histories), default=0)
        window = max(min(2 * max(horizon, season), longest - horizon), 1)
        squares, products = np.zeros((window, window)), np.zeros((window, horizon))
        for past, future in _examples(histories, window, horizon):
            squares += past.T @ past
            products += past.T @ future
        ridge = _RIDGE * (np.trace(squares) / window or 1.0)  # without windows any ridge makes the map zero
        return Linear(np.linalg.solve(squares + ridge * np.eye(window), products).T)

    def _forecast(self, history: Float[np.ndarray, " T"], horizon: int, season: int) -> Float[np.ndarray, " H"]:
        weights = self.learn([history], horizon, season).weights if self.weights is None else self.weights
        assert weights is not None, "it has just been learned"
        window = weights.shape[1]
        past = np.concatenate([np.full(max(window - len(history), 0), history[0]), history[-window:]])
        return np.asarray(past[-1] + weights @ (past - past[-1]))


def _examples(
    histories: Sequence[Float[np.ndarray, " _"]], window: int, horizon: int
) -> Iterator[tuple[Float[np.ndarray, "N W"], Float[np.ndarray, "N H"]]]:
    """The windows of each history and the values that followed them, divided by the window's scale; evenly thinned out where there are very
    many."""
    counts = [max(len(history) - window - horizon + 1, 0) for history in histories]
    stride = max(-(-sum(counts) // _MOST_WINDOWS), 1)
    for history, count in zip(histories, counts, strict=True):
        if count == 0:
            continue
        both = np.lib.stride_tricks.sliding_window_view(np.asarray(history, dtype=np.float64), window + horizon)[::stride]
        unit, last = both[:, :window].std(axis=1, keepdims=True), both[:, window - 1 : window]
        moving = unit[:, 0] > 1e-12 * np.abs(last[:, 0])
        relative = (both[moving] - last[moving]) / unit[moving]
        yield relative[:, :window], relative[:, window:]


plugin = Linear()
