"""The contract of metrics. It imports no torch, so that scoring files needs none."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Score:
    """A metric's value over a set, with what is needed to reproduce and to trust it."""

    name: str
    value: float
    signature: str
    higher_is_better: bool | None
    low: float | None = None
    high: float | None = None


class Metric(ABC):
    """Sufficient statistics per item, and a function of their sum: so intervals and paired tests need no recomputation.

    A metric has no settings: a variant is another name, so that a score's name says all.
    """

    name: str
    summary: str
    higher_is_better: bool | None
    """None for what only describes predictions, such as how much they copy: another value is neither better nor worse."""
    signature: str
    spread = False
    """Whether it measures how sure predictions are, of which a mere point says nothing."""

    @abstractmethod
    def statistics(self, predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> Float[np.ndarray, "N K"]:
        """A row of numbers per item; `references[i]` holds the alternatives for item i, at least one."""

    @abstractmethod
    def aggregate(self, total: Float[np.ndarray, "... K"]) -> Float[np.ndarray, "..."]:
        """The metric from statistics summed over items; leading axes are resamples."""
