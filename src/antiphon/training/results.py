"""The results of updates: numbers that stay on the device until they are needed, and are then read for many updates at once.

A GPU works behind the program that feeds it. Reading a number waits until it has come so far, and leaves it without work meanwhile; so
nothing that an update does depends on a number that is read (see `step.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from antiphon.training.distributed import Ranks
from antiphon.training.gradients import RowLosses


@dataclass(frozen=True)
class UpdateResult:
    """The result of one update.

    `loss` is the weighted mean per target element over all ranks; `culprits` are the record numbers of a skipped update; `pieces` is 1 when
    no rank had to split its batches.
    """

    loss: float
    elements: int
    gradient_norm: float
    skipped: bool = False
    culprits: tuple[int, ...] = ()
    pieces: int = 1
    overflowed: bool = False
    """Whether it was skipped since a scaled gradient was too large for half precision: the next one is scaled less."""


@final
@dataclass(frozen=True)
class Pending:
    """The result of one update that the device may not have computed yet.

    numbers   the sum of all losses; into how many pieces more than one all ranks cut their batches; the norm of the gradient
    skipped   1 where loss or gradient are not finite, so that nothing was changed; 0 otherwise
    elements  target elements of all ranks, and the sum of their `weight`
    learned   what this rank learned from
    scaled    whether the loss was scaled, and could be scaled less
    """

    numbers: Float[Tensor, "3"]
    skipped: Float[Tensor, ""]
    elements: int
    weight: float
    learned: Sequence[RowLosses]
    scaled: bool

    def result(self, numbers: Sequence[float], ranks: Ranks) -> UpdateResult:
        """The result, given its numbers as read from the device."""
        total, more, norm = numbers
        loss, pieces = total / self.weight, 1 + int(more)
        if _finite(total) and _finite(norm):
            return UpdateResult(loss, self.elements, norm, pieces=pieces)
        if _finite(total) and self.scaled:
            return UpdateResult(loss, self.elements, norm, skipped=True, pieces=pieces, overflowed=True)
        return UpdateResult(loss, self.elements, norm, skipped=True, culprits=self._culprits(ranks), pieces=pieces)

    def _culprits(self, ranks: Ranks) -> tuple[int, ...]:
        """The records of all ranks whose loss is not finite; all records of the update if only the gradient is not."""
        losses = [(record, loss) for records, rows, _ in self.learned for record, loss in zip(records, rows.tolist(), strict=True)]
        bad = ranks.gather([record for record, loss in losses if not _finite(loss)])
        return tuple(chain.from_iterable(bad)) or tuple(chain.from_iterable(ranks.gather([record for record, _ in losses])))


def read(pending: Sequence[Pending], ranks: Ranks) -> list[UpdateResult]:
    """The results of some updates. The device is waited for once, and once more for each update that was skipped."""
    if not pending:
        return []
    numbers = torch.stack([one.numbers for one in pending]).tolist()
    return [one.result(its, ranks) for one, its in zip(pending, numbers, strict=True)]


def _finite(number: float) -> bool:
    return number == number and abs(number) != float("inf")
