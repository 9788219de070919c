"""How an output is scored against labels while a model learns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from antiphon.contracts.sequences import Batch, Output, Padded
from antiphon.contracts.specs import Spec

Loss = Callable[[Output, Padded], Float[Tensor, "B T"]]
"""One number per element, never reduced and not masked: the training step multiplies by the mask and divides by the global count."""


@runtime_checkable
class LossOfBatch(Protocol):
    """A loss that must know more than outputs and labels: a teacher that reads the source, too."""

    def for_batch(self, batch: Batch) -> Loss:
        """The loss of this batch's outputs; called within the precision of the update."""


@dataclass(frozen=True)
class LossPlugin:
    """What a file in `losses/` defines as `plugin`.

    `build(config, target)` makes the loss to train with; `measure(config, target)` the one to report on validation data, without what
    only helps training (smoothing), so that runs compare.
    """

    name: str
    summary: str
    Config: type[Any]
    build: Callable[[Any, Spec], Loss]
    measure: Callable[[Any, Spec], Loss]
