"""Negative log-likelihood of a mixture of generating and copying: a label may be said in either way, and both count.

Unusual: the distribution over the extended vocabulary is never made, since a label needs only its own two probabilities. Smoothing
spreads its share over the generator's vocabulary, since what can be copied differs from source to source. Where there are no gradients to
make, the generator's logits are made and used up chunk by chunk.
"""

from functools import partial
from typing import Annotated, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import config
from antiphon.contracts.loss import Loss, LossPlugin
from antiphon.contracts.sequences import Output, Padded
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.errors import ConfigError
from antiphon.heads.pointer import Mixture
from antiphon.losses.coverage import coverage_loss
from antiphon.losses.cross_entropy import chunks


@config
class PointerLossConfig:
    """How symbols that may be copied are scored in training."""

    name: Literal["pointer"] = "pointer"
    """The name of this loss."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the loss that asks the generator for every symbol of the vocabulary alike (Szegedy et al. 2016)."""
    coverage: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the coverage loss, which punishes attending again to the same places (See et al. 2017; they used 1)."""


def build(settings: PointerLossConfig, target: Spec) -> Loss:
    """Make the loss. Raises ConfigError when the target is real-valued."""
    if not isinstance(target, TokenSpec):
        raise ConfigError("`training.loss.name` must not be `pointer` when the target is real-valued.")
    return partial(pointer, smoothing=settings.label_smoothing, coverage=settings.coverage)


def measure(settings: PointerLossConfig, target: Spec) -> Loss:
    """The negative log-likelihood alone: its exponential is the perplexity."""
    return pointer


def pointer(output: Output, labels: Padded, smoothing: float = 0.0, coverage: float = 0.0) -> Float[Tensor, "B T"]:
    """Negative log-likelihood in nats for each label; 0 on padding.

    Raises ConfigError when the output layer is no pointer.
    """
    if not isinstance(output.head, Mixture):
        raise ConfigError("`training.loss.name` must not be `pointer` without `model.head: pointer`. Leave the loss out.")
    mask = labels.mask
    head, features, real = output.head.select(mask), output.features[mask], labels.values[mask]
    if torch.is_grad_enabled():
        losses = _losses(head, features, real, smoothing)
    else:
        parts = ((Mixture(head.head, head.attention[part], head.symbols[part]), part) for part in chunks(len(features)))
        losses = torch.cat([_losses(some, features[part], real[part], smoothing) for some, part in parts])
    table = torch.zeros(mask.shape, device=mask.device).masked_scatter(mask, losses)
    return table + coverage * coverage_loss(output) * mask if coverage else table


def _losses(head: Mixture, features: Float[Tensor, "N D"], labels: Int[Tensor, " N"], smoothing: float) -> Float[Tensor, " N"]:
    generating, copying, spread = head.parts(features, labels)
    return -(1 - smoothing) * torch.logaddexp(generating, copying) - smoothing * spread


plugin = LossPlugin(
    name="pointer",
    summary="Negative log-likelihood of generating or copying; optionally with coverage.",
    Config=PointerLossConfig,
    build=build,
    measure=measure,
)
