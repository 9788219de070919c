"""The gradients of one update, over all processes, in as many pieces as memory requires.

A process that has the whole model splits its batches for itself. Where weights are sharded (`sharded_gradients.py`), all split theirs
together, since all must exchange the same.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Protocol, final, runtime_checkable

import torch
from torch import Tensor

from antiphon.contracts.sequences import Batch, to_device
from antiphon.errors import TrainingError
from antiphon.training.device import is_out_of_memory
from antiphon.training.distributed import DistributedConfig, Ranks
from antiphon.training.half_weights import HalfWeights
from antiphon.training.learner import Learner
from antiphon.training.precision import Precision, autocast, has_bf16
from antiphon.training.seeds import seed_from

RowLosses = tuple[tuple[int, ...], Tensor, Tensor]
"""The records of a piece, the loss of each (B,), and their weighted sum ()."""


@runtime_checkable
class Gradients(Protocol):
    """Computes the gradients of the sum of losses over `weight`, for all processes, into `parameter.grad`."""

    def __call__(self, batches: Sequence[Batch | None], step: int, weight: float) -> tuple[list[RowLosses], int]:
        """Compute the gradients of update number `step`; returns this process's results, and into how many pieces its batches were split.

        Raises TrainingError when a single record does not fit in memory.
        """


@final
class WholeGradients:
    """The gradients of a model that this process holds as a whole. They are summed over all processes in one exchange after the last
    piece."""

    def __init__(self, learner: Learner, ranks: Ranks, precision: Precision, seed: int):
        self.learner, self.ranks, self.precision, self.seed = learner, ranks, precision, seed
        self.half = HalfWeights(learner.model) if precision == "bf16_weights" and has_bf16(ranks.device) else None

    def __call__(self, batches: Sequence[Batch | None], step: int, weight: float) -> tuple[list[RowLosses], int]:
        """Compute the gradients; when batches do not fit in memory they are split, and everything is computed again."""
        pieces = 1
        while True:
            try:
                learned = self._learn(batches, step, weight, pieces)
                break
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
            pieces = more_pieces(pieces, most_rows(batches), batches, self.ranks.device)
        self.ranks.sum_gradients(self.learner.parameters())
        return learned, pieces

    def _learn(self, batches: Sequence[Batch | None], step: int, weight: float, pieces: int) -> list[RowLosses]:
        self.learner.zero_grad(set_to_none=True)
        learned = []
        for number, batch in enumerate(batches):
            for part, piece in enumerate(split(batch, pieces) if batch else ()):
                torch.manual_seed(seed_from(self.seed, step, number, self.ranks.rank, part))
                with nullcontext() if self.half is None else self.half.exchanged():
                    learned.append(backward(self.learner, to_device(piece, self.ranks.device), step, weight, self.precision))
        return learned


def make_gradients(learner: Learner, ranks: Ranks, precision: Precision, seed: int, settings: DistributedConfig) -> Gradients:
    """The implementation for the settings; a single process uses whole gradients."""
    if settings.shards(ranks.world):
        from antiphon.training.sharded_gradients import ShardedGradients  # here, since it imports much

        return ShardedGradients(learner, ranks, precision, seed, offload=settings.offload)
    return WholeGradients(learner, ranks, precision, seed)


def backward(learner: Learner, batch: Batch, step: int, weight: float, precision: Precision) -> RowLosses:
    """Add the gradients of one piece."""
    with autocast(precision, batch.source.values.device):
        total, rows = learner(batch, step)
    (total / weight).backward()
    return batch.records, rows.detach(), total.detach()


def more_pieces(pieces: int, rows: int, batches: Sequence[Batch | None], device: torch.device) -> int:
    """Twice the number of pieces. Raises TrainingError if there is already one piece for each of the `rows` of the largest batch."""
    if pieces >= rows:
        source, target, record = max(_sizes(batch) for batch in batches if batch)
        raise TrainingError(
            f"Not even one record at a time fits in memory; the longest is record {record}, with {source} source and {target}"
            " target steps. Limit lengths with `data.limits`, or choose a smaller model."
        )
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return 2 * pieces


def split(batch: Batch, pieces: int) -> list[Batch]:
    """Split a batch into at most `pieces` of about equally many rows, each without unnecessary padding."""
    if pieces == 1:
        return [batch]
    parts = torch.arange(len(batch.records)).tensor_split(min(pieces, len(batch.records)))
    return [batch.select_rows(part) for part in parts]


def most_rows(batches: Sequence[Batch | None]) -> int:
    """The number of rows of the largest batch."""
    return max(len(batch.records) for batch in batches if batch)


def _sizes(batch: Batch) -> tuple[int, int, int]:
    """Source steps, target steps and record number of the batch's longest record."""
    return max(zip(batch.source.lengths.tolist(), batch.labels.lengths.tolist(), batch.records, strict=True))
