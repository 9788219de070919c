"""The gradients of one update of a model whose weights are sharded (`sharding.py`)."""

from collections.abc import Sequence
from itertools import chain
from typing import cast, final

import torch
from torch.distributed.fsdp import FSDPModule

from antiphon.contracts.sequences import Batch, to_device
from antiphon.training.device import is_out_of_memory
from antiphon.training.distributed import Ranks
from antiphon.training.gradients import RowLosses, backward, more_pieces, most_rows, split
from antiphon.training.learner import Learner
from antiphon.training.precision import Precision, has_bf16
from antiphon.training.seeds import seed_from
from antiphon.training.sharding import Exchange, shard


@final
class ShardedGradients:
    """Gradients of a model with sharded weights: at the end each process holds its shards of them.

    Every process takes every batch in as many pieces as all others; where it has no row for one, it computes with one that counts nothing.
    """

    def __init__(self, learner: Learner, ranks: Ranks, precision: Precision, seed: int, *, offload: bool = False):
        self.learner, self.ranks, self.precision, self.seed = learner, ranks, precision, seed
        half = precision != "fp32" and has_bf16(ranks.device)
        self.exchange: Exchange = shard(learner, learner.model.blocks(), half=half, offload=offload)

    def __call__(self, batches: Sequence[Batch | None], step: int, weight: float) -> tuple[list[RowLosses], int]:
        """Compute the gradients; when batches do not fit on one process they are split on all, and everything is computed again."""
        pieces = 1
        while True:
            learned = self._learn(batches, step, weight, pieces)
            if not self.ranks.any_of([learned is None])[0]:
                assert learned is not None, "no process has failed"
                return learned, pieces
            self._begin_again()
            pieces = more_pieces(pieces, max(chain(*self.ranks.gather([most_rows(batches)]))), batches, self.ranks.device)

    def _learn(self, batches: Sequence[Batch | None], step: int, weight: float, pieces: int) -> list[RowLosses] | None:
        """The results of the batches; None when memory did not suffice here. The other processes are not affected meanwhile."""
        self.learner.zero_grad(set_to_none=True)
        learned, failed = list[RowLosses](), False
        for number, batch in enumerate(batches):
            assert batch is not None, "every process has a row of each batch, or one that counts nothing"
            parts = split(batch, pieces)
            for part in range(self._parts(batch, pieces)):
                piece = parts[part] if part < len(parts) else batch.unlearned()
                torch.manual_seed(seed_from(self.seed, step, number, self.ranks.rank, part))
                if failed:
                    self._pass_by(piece, step)
                    continue
                found = self._backward(piece, step, weight)
                failed = found is None
                learned += [found] if found is not None and piece.learned else []
        return None if failed else learned

    def _parts(self, batch: Batch, pieces: int) -> int:
        """The number of parts into which the process with the most rows of a batch splits it."""
        return 1 if pieces == 1 else min(pieces, max(counts[0] for counts in self.ranks.gather([len(batch.records)])))

    def _backward(self, piece: Batch, step: int, weight: float) -> RowLosses | None:
        """Add the gradients of a piece; None when memory does not suffice, after taking part in the others' pass until its end."""
        self.exchange.begin()
        try:
            return backward(self.learner, to_device(piece, self.ranks.device), step, weight, self.precision)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        self._begin_again()
        with self.exchange.follow():
            self._pass_by(piece, step)
        return None

    def _pass_by(self, batch: Batch, step: int) -> None:
        """Take part in the exchanges of a pass, without contributing."""
        backward(self.learner, to_device(batch.unlearned(), self.ranks.device), step, 1.0, self.precision)

    def _begin_again(self) -> None:
        cast(FSDPModule, self.learner).reset_iter_state()
        self.learner.zero_grad(set_to_none=True)
