"""The absolute difference between point and label, which is minimal for the median."""

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
class AbsoluteErrorConfig:
    """Mean absolute error."""

    name: Literal["absolute_error"] = "absolute_error"
    """The name of this loss."""


def build(settings: AbsoluteErrorConfig, target: Spec) -> Loss:
    """Make the loss. Raises ConfigError when the target is made of symbols."""
    return partial(absolute_error, channels=values_only(target, "absolute_error").channels)


def absolute_error(output: Output, labels: Padded, weights: Float[Tensor, " B"] | None = None, *, channels: int) -> LossSum:
    """|point - label|, the mean over a step's observed channels. Raises ConfigError when the head gives no points."""
    if not isinstance(output.values, Tensor):
        raise needs("points", "absolute_error", output.values)
    known = observed(labels, channels)
    return summed(known.mean((output.values.to(known.values.dtype) - known.values).abs()), weights)


plugin = LossPlugin(
    name="absolute_error", summary="Absolute error (MAE) of points.", Config=AbsoluteErrorConfig, build=build, measure=build
)
