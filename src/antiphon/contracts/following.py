"""Sources that are read while they are made: speech that arrives block by block."""

from typing import Protocol, runtime_checkable

import numpy as np

from antiphon.contracts.sequences import Prediction


@runtime_checkable
class FollowedSource(Protocol):
    """A source that is being made."""

    def hear(self, block: np.ndarray) -> Prediction | None:
        """The text so far, with one more block of samples (N,) or (N, channels); None where it changes nothing yet."""

    def end(self) -> Prediction:
        """What was said, as there is no more to come."""
