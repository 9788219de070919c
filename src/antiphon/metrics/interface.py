"""The interface of metrics. It imports no torch, so that scoring files needs none."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Score:
    """A metric's value over a set, with the information needed to reproduce and to judge it."""

    name: str
    value: float
    signature: str
    higher_is_better: bool | None
    low: float | None = None
    high: float | None = None
    target: float | None = None
    """The best value, if it is neither the highest nor the lowest."""
    items: int | None = None
    """The number of items that were scored: fewer than there are if some cannot be scored. None if it was not counted."""
    worthless: float | None = None
    """The value at which outputs are entirely wrong: 0 for chrF, 100 for an error rate. None if there is no such value."""


DECIDING = 1000
"""The number of first items from which a metric adapts to its references: all processes that share a set can know them."""


class Metric(ABC):
    """Sufficient statistics per item, and a function of their sum, so that intervals and paired tests need no recomputation.

    A metric has no settings: a variant is another name, so that a score's name says all but what the texts themselves decide.
    """

    name: str
    summary: str
    higher_is_better: bool | None
    """None if neither is better: for a metric with a `target`, and for one that only describes predictions, such as how much they copy."""
    target: float | None = None
    """The best value, if it is neither the highest nor the lowest: 80 for the percentage that an 80 % interval covers."""
    signature: str
    worthless: float | None = None
    """The value at which outputs are entirely wrong: 0 for chrF, 100 for an error rate. None if there is no such value."""
    spread = False
    """Whether it measures the uncertainty of predictions, which point predictions do not have."""
    note: str = ""
    """What a reader of the score should know beside the signature, as a sentence."""

    def suited(self, references: Sequence[Sequence[Any]]) -> "Metric":
        """The metric adapted to these references: their script may need another tokenizer, which the signature then names."""
        return self

    @abstractmethod
    def statistics(self, predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> Float[np.ndarray, "N K"]:
        """A row of numbers per item; `references[i]` holds the alternatives for item i, at least one."""

    @abstractmethod
    def aggregate(self, total: Float[np.ndarray, "... K"]) -> Float[np.ndarray, "..."]:
        """The metric from statistics summed over items; leading axes are resamples."""

    def taking_part(self, statistics: Float[np.ndarray, "N K"]) -> int:
        """The number of items that count."""
        return len(statistics)


Values = TypeVar("Values", float, Float[np.ndarray, "..."])


def says_better(of: Metric | Score) -> bool:
    """Whether one of its values can be better than another."""
    return of.target is not None or of.higher_is_better is not None


def merit(value: Values, of: Metric | Score) -> Values:
    """A number that is larger for better values: closeness to the target, where there is one."""
    if of.target is not None:
        return -abs(value - of.target)
    return value if of.higher_is_better else -value


def is_worthless(value: float, of: Metric | Score) -> bool:
    """Whether a value means that every output is entirely wrong."""
    if of.worthless is None or of.higher_is_better is None:
        return False
    return value <= of.worthless if of.higher_is_better else value >= of.worthless


def better(one: float, other: float, of: Metric | Score) -> bool:
    """Whether the value `one` of a score is better than the value `other`; never if a value is NaN, or if the metric is only
    descriptive."""
    return says_better(of) and merit(one, of) > merit(other, of)
