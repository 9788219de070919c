"""Guided alignment: attention is trained on given word alignments, while the model learns its targets (Chen et al. 2016).

At each step of the target that is aligned, attention is compared with a distribution that is spread evenly over the places of the source
that it is aligned with; a step that is aligned with nothing learns nothing of it. Alignments are of words, made by an aligner such as
fast_align or awesome-align, or by the attention of a trained model; the task makes links between symbols of them.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, final

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import config
from antiphon.contracts.loss import Loss, LossSum
from antiphon.contracts.sequences import Batch, Output, Padded
from antiphon.errors import ConfigError
from antiphon.losses.summing import summed

Cost = Literal["cross_entropy", "squared_error"]
_LEAST = 1e-8  # attention that is less counts as so much, so that its logarithm is a number


@config
class GuidedAlignmentConfig:
    """How attention is trained on alignments."""

    weight: Annotated[float, Field(gt=0)] = 0.1
    """Weight of an aligned step's attention loss relative to the loss of its symbol; Marian's is 0.1."""
    cost: Cost = "cross_entropy"
    """The loss of a step: the cross-entropy of its attention with the alignment, or the sum of squared differences."""


@final
@dataclass(frozen=True)
class GuidedLoss:
    """A loss, combined with that of the attention."""

    loss: Loss
    settings: GuidedAlignmentConfig

    reads_attention = True

    def for_batch(self, batch: Batch) -> Loss:
        """The loss function for this batch. Raises ConfigError when its records have no alignments."""
        if batch.links is None:
            raise ConfigError(
                "`training.loss.guided_alignment` needs alignments: name the column that has them in `task.alignment`, or leave it out."
            )
        links = batch.links

        def guided(output: Output, labels: Padded, weights: Float[Tensor, " B"] | None = None) -> LossSum:
            beside = guided_alignment_loss(output, labels, links, self.settings.cost)
            return self.loss(output, labels, weights) + self.settings.weight * summed(beside, weights)

        return guided


def guided_alignment_loss(output: Output, labels: Padded, links: Padded, cost: Cost) -> Float[Tensor, "B T"]:
    """The loss of the attention at each step; 0 where a step is not aligned.

    links   (B, N, 2): a place of the source, and the step of the target that is aligned with it

    Raises ConfigError when the output comes without attention, or attention is over something else than the symbols of the source.
    """
    attention = output.attention
    if attention is None:
        raise ConfigError(
            "`training.loss.guided_alignment` needs a model with attention, but this model gives none. Leave it out, or use `transformer`,"
            " or `lstm` with `model.attention`."
        )
    B, T, S = attention.shape
    rows, places, steps = _flat(links)
    if len(places) and int(places.max()) >= S:
        raise ConfigError(
            "`training.loss.guided_alignment` needs attention over the symbols of the source, but this model's is over fewer states."
        )
    goal = attention.new_zeros(B, T, S, dtype=torch.promote_types(attention.dtype, torch.float32))
    goal[rows, steps, places] = 1.0
    goal = goal / goal.sum(-1, keepdim=True).clamp(min=1.0)
    found = attention.to(goal.dtype)
    if cost == "cross_entropy":
        paid = -(goal * found.clamp(min=_LEAST).log()).sum(-1)
    else:
        paid = (goal - found).square().sum(-1) * (goal.sum(-1) > 0)
    return paid * labels.mask


def _flat(links: Padded) -> tuple[Tensor, Tensor, Tensor]:
    """The links of all rows concatenated: row, position in the source, step of the target."""
    real = links.mask
    pairs = links.values[real]
    return real.nonzero()[:, 0], pairs[:, 0], pairs[:, 1]
