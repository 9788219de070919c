"""Squared error for small differences, absolute error for large ones (Huber 1964), so that outliers
have no larger gradients than other values."""

from functools import partial
from typing import Annotated, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn.functional import huber_loss

from antiphon.contracts.configuration import config
from antiphon.contracts.loss import Loss, LossPlugin, LossSum
from antiphon.contracts.sequences import Output, Padded
from antiphon.contracts.specs import Spec
from antiphon.losses.observed import needs, observed, values_only
from antiphon.losses.summing import summed


@config
class HuberConfig:
    """The Huber loss, and where it changes from squared to absolute error."""

    name: Literal["huber"] = "huber"
    """The name of this loss."""
    delta: Annotated[float, Field(gt=0)] = 1.0
    """The difference, in scaled units, from which on the loss grows linearly."""


def build(settings: HuberConfig, target: Spec) -> Loss:
    """Make the loss. Raises ConfigError when the target is made of symbols."""
    return partial(huber, channels=values_only(target, "huber").channels, delta=settings.delta)


def huber(output: Output, labels: Padded, weights: Float[Tensor, " B"] | None = None, *, channels: int, delta: float) -> LossSum:
    """e^2 / 2 below `delta`, delta (|e| - delta / 2) above, the mean over a step's observed channels.

    Raises ConfigError when the head says no points.
    """
    if not isinstance(output.values, Tensor):
        raise needs("points", "huber", output.values)
    known = observed(labels, channels)
    return summed(known.mean(huber_loss(output.values.to(known.values.dtype), known.values, reduction="none", delta=delta)), weights)


plugin = LossPlugin(
    name="huber", summary="Huber loss of points: squared error near, absolute error far.", Config=HuberConfig, build=build, measure=build
)
