"""Negative log-likelihood of a mixture of generating and copying: the probabilities of generating and of copying a label are added.

Unusual: the distribution over the extended vocabulary is never made, since a label needs only its own two probabilities. Smoothing
spreads its share over the generator's vocabulary, since what can be copied differs from source to source. As with cross-entropy, the
generator's logits are made and used up chunk by chunk.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, final

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import config
from antiphon.contracts.loss import Loss, LossOfBatch, LossPlugin, LossSum
from antiphon.contracts.sequences import Output, Padded
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.errors import ConfigError
from antiphon.heads.pointer import Mixture
from antiphon.losses.chunked import chunked
from antiphon.losses.coverage import coverage_loss
from antiphon.losses.guided_alignment import GuidedAlignmentConfig, GuidedLoss
from antiphon.losses.summing import summed


@config
class PointerLossConfig:
    """The loss for models that may copy symbols."""

    name: Literal["pointer"] = "pointer"
    """The name of this loss."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the loss that raises all symbols of the generator's vocabulary equally (Szegedy et al. 2016)."""
    coverage: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the coverage loss, which penalizes attending again to the same places (See et al. 2017; they used 1)."""
    guided_alignment: GuidedAlignmentConfig | None = None
    """Attention is also trained on the alignments in `task.alignment` (Chen et al. 2016); `{}` with the usual weight, null not at all."""


def build(settings: PointerLossConfig, target: Spec) -> Loss | LossOfBatch:
    """Make the loss. Raises ConfigError when the target is real-valued."""
    if not isinstance(target, TokenSpec):
        raise ConfigError("`training.loss.name` must not be `pointer` when the target is real-valued.")
    loss = PointerLoss(settings.label_smoothing, settings.coverage)
    return loss if settings.guided_alignment is None else GuidedLoss(loss, settings.guided_alignment)


def measure(settings: PointerLossConfig, target: Spec) -> Loss:
    """The negative log-likelihood alone, whose exponential is the perplexity."""
    return PointerLoss()


@final
@dataclass(frozen=True)
class PointerLoss:
    """Negative log-likelihood in nats of each label."""

    smoothing: float = 0.0
    coverage: float = 0.0

    def __call__(self, output: Output, labels: Padded, weights: Float[Tensor, " B"] | None = None) -> LossSum:
        """The loss of a batch. Raises ConfigError when the output layer is not a pointer."""
        if not isinstance(output.head, Mixture):
            raise ConfigError("`training.loss.name` must not be `pointer` without `model.head: pointer`. Leave the loss out.")
        mixture, real = output.head.select(labels.places), labels.real(labels.values)

        def losses_of(part: slice, features: Tensor, attention: Tensor) -> Tensor:
            head = Mixture(mixture.head, attention, mixture.symbols[part])
            generating, copying, spread = head.parts(features, real[part])
            return -(1 - self.smoothing) * torch.logaddexp(generating, copying) - self.smoothing * spread

        found = chunked(losses_of, [labels.real(output.features), mixture.attention], mixture.head, labels, weights)
        return found + self.coverage * summed(coverage_loss(output) * labels.mask, weights) if self.coverage else found


plugin = LossPlugin(
    name="pointer",
    summary="Negative log-likelihood of generating or copying; optionally with coverage.",
    Config=PointerLossConfig,
    build=build,
    measure=measure,
)
