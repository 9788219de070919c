"""What is followed while it is made: speech, of which more comes with each block."""

from typing import Protocol, runtime_checkable

import numpy as np

from antiphon.contracts.sequences import Prediction


@runtime_checkable
class FollowedSource(Protocol):
    """A source that is being made."""

    def hear(self, block: np.ndarray) -> Prediction | None:
        """What is said so far, with one more block of samples (N,) or (N, channels); None where it changes nothing yet."""

    def end(self) -> Prediction:
        """What was said, as there is no more to come."""
