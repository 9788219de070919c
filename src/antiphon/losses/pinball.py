"""The pinball loss (Koenker and Bassett 1978), which is minimal at level q for the quantile q."""

from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from antiphon.contracts.configuration import config
from antiphon.contracts.loss import Loss, LossPlugin, LossSum
from antiphon.contracts.sequences import Output, Padded, Quantiles
from antiphon.contracts.specs import Spec
from antiphon.losses.observed import needs, observed, values_only
from antiphon.losses.summing import summed


@config
class PinballConfig:
    """Pinball loss over the levels of the head."""

    name: Literal["pinball"] = "pinball"
    """The name of this loss."""


def build(settings: PinballConfig, target: Spec) -> Loss:
    """Make the loss. Raises ConfigError when the target is made of symbols."""
    return partial(pinball, channels=values_only(target, "pinball").channels)


def pinball(output: Output, labels: Padded, weights: Float[Tensor, " B"] | None = None, *, channels: int) -> LossSum:
    """max(q e, (q - 1) e) for the error e = label - quantile: the mean over levels and over a step's observed channels.

    At level 0.5 it is half the absolute error. Raises ConfigError when the head says no quantiles.
    """
    said = output.values
    if not isinstance(said, Quantiles):
        raise needs("quantiles", "pinball", said)
    known = observed(labels, channels)
    levels = torch.tensor(said.levels, dtype=known.values.dtype).to(known.values.device, non_blocking=True)
    errors = known.values.unsqueeze(-1) - said.values.to(known.values.dtype)
    return summed(known.mean(torch.maximum(levels * errors, (levels - 1) * errors).mean(-1)), weights)


plugin = LossPlugin(name="pinball", summary="Pinball loss of quantiles.", Config=PinballConfig, build=build, measure=build)
