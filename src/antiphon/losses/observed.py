"""Labels of real values: which ones are observed, and the loss of a step when some are not.

A missing value is NaN. It has no loss and passes on no gradient. A step's loss is the mean over its observed channels; a step without
any has loss 0 and is not counted, so that the mean over a data set is a mean over what was really observed.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from antiphon.contracts.sequences import Padded
from antiphon.contracts.specs import Spec, ValueSpec
from antiphon.errors import ConfigError


@dataclass(frozen=True)
class Observed:
    """The value channels of labels. Where `present` is False, `values` is 0: a NaN would reach the gradient even through a mask."""

    values: Float[Tensor, "B T C"]
    present: Bool[Tensor, "B T C"]

    def mean(self, losses: Float[Tensor, "B T C"]) -> Float[Tensor, "B T"]:
        """One loss per step: the mean over its observed channels, 0 where none is."""
        kept = torch.where(self.present, losses, 0.0)
        return kept.sum(-1) / self.present.sum(-1).clamp(min=1)


def observed(labels: Padded, channels: int) -> Observed:
    """The first `channels` of labels (B, T, C + known), and which of them are real and not missing."""
    values = labels.values[..., :channels]
    present = labels.mask.unsqueeze(-1) & ~values.isnan()
    return Observed(torch.where(present, values, 0.0), present)


def counted(labels: Padded, target: Spec) -> Bool[Tensor, "B T"]:
    """The labels over which a mean loss is taken: all real symbols, or the real steps with an observed value."""
    if not isinstance(target, ValueSpec):
        return labels.mask
    return observed(labels, target.channels).present.any(-1)


def needs(what: str, loss: str, output: Any) -> ConfigError:
    """The error of a loss that got an unsuitable kind of output."""
    return ConfigError(
        f"`training.loss.name` must suit `model.head`: `{loss}` needs {what}, but the head gives {type(output).__name__}."
        " Leave `training.loss` out for the loss that is natural for the head."
    )


def values_only(target: Spec, loss: str) -> ValueSpec:
    """The target's spec, for the loss called `loss`. Raises ConfigError when the target is made of symbols."""
    if not isinstance(target, ValueSpec):
        raise ConfigError(f"`training.loss.name` must be `cross_entropy` when the target is made of symbols, but is `{loss}`.")
    return target
