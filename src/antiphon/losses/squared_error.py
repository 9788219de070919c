"""The squared difference between point and label, which is minimal for the mean."""

from functools import partial
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from antiphon.contracts.configuration import config
from antiphon.contracts.loss import Loss, LossPlugin, LossSum
from antiphon.contracts.sequences import Output, Padded
from antiphon.contracts.specs import Spec
from antiphon.losses.observed import needs, observed, values_only
from antiphon.losses.summing import summed


@config
class SquaredErrorConfig:
    """Mean squared error."""

    name: Literal["squared_error"] = "squared_error"
    """The name of this loss."""


def build(settings: SquaredErrorConfig, target: Spec) -> Loss:
    """Make the loss. Raises ConfigError when the target is made of symbols."""
    return partial(squared_error, channels=values_only(target, "squared_error").channels)


def squared_error(output: Output, labels: Padded, weights: Float[Tensor, " B"] | None = None, *, channels: int) -> LossSum:
    """(point - label)^2, the mean over a step's observed channels. Raises ConfigError when the head gives no points."""
    if not isinstance(output.values, Tensor):
        raise needs("points", "squared_error", output.values)
    known = observed(labels, channels)
    return summed(known.mean((output.values.to(known.values.dtype) - known.values) ** 2), weights)


plugin = LossPlugin(name="squared_error", summary="Squared error (MSE) of points.", Config=SquaredErrorConfig, build=build, measure=build)
