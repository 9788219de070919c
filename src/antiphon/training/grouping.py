"""Groups batches for updates, each group with the position in the data that comes after it."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

from antiphon.contracts.sequences import Batch
from antiphon.errors import TrainingError


@runtime_checkable
class Batches(Protocol):
    """The training data: `batches(epoch, start)` yields this rank's part of each global batch, from number `start` on."""

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch | None]: ...

    def estimate(self) -> int:
        """The approximate number of batches in an epoch."""


def groups(data: Batches, size: int, epoch: int, batch: int) -> Iterator[tuple[list[Batch | None], int, int]]:
    """Endless groups of `size` batches, from a position (epoch, batch) on, with the position after each.

    Raises TrainingError when an epoch has no batch.
    """
    group: list[Batch | None] = []
    while True:
        items = iter(data.batches(epoch, batch))
        item = next(items, _END)
        if item is _END and batch == 0:
            raise TrainingError("There is nothing to train on: the training data has no usable record.")
        while item is not _END:
            group.append(item)
            item = next(items, _END)
            epoch, batch = (epoch, batch + 1) if item is not _END else (epoch + 1, 0)
            if len(group) == size:
                yield group, epoch, batch
                group = []


_END: Any = object()
