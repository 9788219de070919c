"""The interface of baselines: they take a history, give a forecast, and need hardly any training.

A baseline has no settings: a variant is another name, so that the name beside a score says all. It sees one channel of one series, in the
units of the data. Missing values must have been filled before.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

import numpy as np
from jaxtyping import Float

from antiphon.errors import DataError


class Baseline(ABC):
    """What a file in `baselines/` defines as `plugin`; `name` is the file's name."""

    name: str
    summary: str

    @final
    def forecast(self, history: Float[np.ndarray, " T"], horizon: int, season: int = 1) -> Float[np.ndarray, " H"]:
        """The next `horizon` values after `history`; `season` is the number of steps after which a pattern repeats, 1 for none.

        Raises DataError when the history is empty or not finite.
        """
        assert horizon >= 1, f"the horizon must be at least 1, not {horizon}"
        assert season >= 1, f"the season must be at least 1, not {season}"
        if len(history) == 0:
            raise DataError(f"The baseline `{self.name}` needs a history of at least one value, but it is empty.")
        if not np.isfinite(history).all():
            step = int(np.argwhere(~np.isfinite(history))[0][0])
            raise DataError(f"The history for the baseline `{self.name}` must be finite, but value {step + 1} is not. Fill it in first.")
        return self._forecast(np.asarray(history, dtype=np.float64), horizon, season)

    def learn(self, histories: Sequence[Float[np.ndarray, " _"]], horizon: int, season: int = 1) -> "Baseline":
        """The baseline fitted to these series, of which it may only see the histories. Most have nothing to learn."""
        return self

    @abstractmethod
    def _forecast(self, history: Float[np.ndarray, " T"], horizon: int, season: int) -> Float[np.ndarray, " H"]:
        """The forecast from a history that is finite and not empty, for subclasses to implement."""
