"""Loss functions, which compare a model's output with the labels in training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from antiphon.contracts.sequences import Batch, Output, Padded
from antiphon.contracts.specs import Spec


@dataclass(frozen=True)
class LossSum:
    """The loss of a batch as a sum, never an average: the update divides once, by the count over all ranks.

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
    """Compares a model's output with the labels of a batch. Padding has no loss and no gradient."""

    def __call__(self, output: Output, labels: Padded, weights: Float[Tensor, " B"] | None = None) -> LossSum:
        """The loss for labels (B, T) or (B, T, C); `weights` are those of the records, equal when not given."""
        ...


@runtime_checkable
class LossOfBatch(Protocol):
    """A loss that needs more than outputs and labels: a teacher that reads the source, too."""

    def for_batch(self, batch: Batch) -> Loss:
        """The loss function for this batch; called within the precision context of the update."""


@runtime_checkable
class ReadsAttention(Protocol):
    """A loss on the attention weights of the outputs, which must be requested from the model."""

    @property
    def reads_attention(self) -> bool:
        """Whether it needs attention weights, under its settings."""


def loss_for(loss: Loss | LossOfBatch, batch: Batch) -> Loss:
    """The loss function for a batch."""
    return loss.for_batch(batch) if isinstance(loss, LossOfBatch) else loss


def reads_attention(loss: Loss | LossOfBatch) -> bool:
    """Whether outputs must include their attention weights."""
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
