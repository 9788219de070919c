"""How an output is scored against labels while a model learns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from antiphon.contracts.sequences import Batch, Output, Padded
from antiphon.contracts.specs import Spec


@dataclass(frozen=True)
class LossSum:
    """The loss of a batch, summed up and never averaged: the update divides once, by what all ranks have counted.

    total   () the sum over all elements, each record's times its weight; gradients come from it
    rows    (B,) the sum of each record's elements, whatever its weight; without gradients
    """

    total: Float[Tensor, ""]
    rows: Float[Tensor, " B"]

    def __add__(self, other: "LossSum") -> "LossSum":
        return LossSum(self.total + other.total, self.rows + other.rows)

    def __mul__(self, factor: float) -> "LossSum":
        return LossSum(self.total * factor, self.rows * factor)

    __rmul__ = __mul__


@runtime_checkable
class Loss(Protocol):
    """Scores a model's output for a batch. Padding has no loss and no gradient."""

    def __call__(self, output: Output, labels: Padded, weights: Float[Tensor, " B"] | None = None) -> LossSum:
        """The loss of labels (B, T) or (B, T, C); `weights` say how much each record counts, all alike where there are none."""
        ...


@runtime_checkable
class LossOfBatch(Protocol):
    """A loss that must know more than outputs and labels: a teacher that reads the source, too."""

    def for_batch(self, batch: Batch) -> Loss:
        """The loss of this batch's outputs; called within the precision of the update."""


@runtime_checkable
class ReadsAttention(Protocol):
    """A loss that looks at the attention of the outputs, which must be asked for."""

    @property
    def reads_attention(self) -> bool:
        """Whether it does, under its settings."""


def loss_for(loss: Loss | LossOfBatch, batch: Batch) -> Loss:
    """The loss of a batch's outputs."""
    return loss.for_batch(batch) if isinstance(loss, LossOfBatch) else loss


def reads_attention(loss: Loss | LossOfBatch) -> bool:
    """Whether outputs must bring their attention."""
    return isinstance(loss, ReadsAttention) and loss.reads_attention


@dataclass(frozen=True)
class LossPlugin:
    """What a file in `losses/` defines as `plugin`.

    `build(config, target)` makes the loss to train with; `measure(config, target)` the one to report on validation data, without what
    only helps training (smoothing), so that runs compare.
    """

    name: str
    summary: str
    Config: type[Any]
    build: Callable[[Any, Spec], Loss | LossOfBatch]
    measure: Callable[[Any, Spec], Loss]
