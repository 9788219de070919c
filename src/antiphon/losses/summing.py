"""Sums the losses of elements up to the loss of a batch."""

from jaxtyping import Float
from torch import Tensor

from antiphon.contracts.loss import LossSum


def summed(losses: Float[Tensor, "B T"], weights: Float[Tensor, " B"] | None = None) -> LossSum:
    """The sums of losses that are 0 where an element is padding, or was not observed."""
    return of_rows(losses.sum(1), weights)


def of_rows(losses: Float[Tensor, " B"], weights: Float[Tensor, " B"] | None = None) -> LossSum:
    """The sum when there is one loss for each record."""
    return LossSum(losses.sum() if weights is None else (losses * weights).sum(), losses.detach())
