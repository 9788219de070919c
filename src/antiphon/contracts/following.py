"""Sources that are read while they are still arriving, such as live speech, block by block."""

from typing import Protocol, runtime_checkable

import numpy as np

from antiphon.contracts.sequences import Prediction


@runtime_checkable
class FollowedSource(Protocol):
    """A source that is still arriving."""

    def hear(self, block: np.ndarray) -> Prediction | None:
        """The text so far, after one more block of samples (N,) or (N, channels); None where it has not changed."""

    def end(self) -> Prediction:
        """The final text, once the source is complete."""
