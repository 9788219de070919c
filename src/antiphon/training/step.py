"""One update: the gradients of the micro-batches of all ranks, then the optimizer.

The mean is taken once, over the target elements of all ranks and micro-batches, each with its record's weight; a mean of means would weigh
short batches too much. Missing values are no elements: they have no loss, and do not count.
A batch that does not fit in memory is split and the whole update done again, with the same gradient. An update whose loss or gradient
is not finite is skipped, and the records that caused it are named. Random numbers are seeded from (seed, step, micro-batch, rank), so
that nothing of them needs storing for an exact resume.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import final

import torch

from antiphon.contracts.loss import Loss, LossOfBatch
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch
from antiphon.losses.observed import counted
from antiphon.training.compiling import Compilation
from antiphon.training.decoder_inputs import DecoderInputs
from antiphon.training.distributed import Ranks
from antiphon.training.gradients import Gradients, RowLosses, WholeGradients
from antiphon.training.learner import Learner
from antiphon.training.loss_scale import UNSCALED, LossScale
from antiphon.training.precision import Precision
from antiphon.training.shards import full


@dataclass(frozen=True)
class UpdateResult:
    """What one update did.

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
class Update:
    """Callable: one optimizer step over micro-batches (None where this rank has no rows). `compilation` is that of the model's layers."""

    def __init__(
        self,
        learner: Learner,
        gradients: Gradients,
        optimizer: torch.optim.Optimizer,
        ranks: Ranks,
        *,
        clip_norm: float | None,
        compilation: Compilation | None = None,
    ):
        self.learner, self.gradients, self.optimizer, self.ranks, self.clip_norm = learner, gradients, optimizer, ranks, clip_norm
        self.compilation = compilation
        self.parameters = [parameter for parameter in learner.parameters() if parameter.requires_grad]

    @classmethod
    def of(
        cls,
        model: Seq2SeqModel,
        loss: Loss | LossOfBatch,
        optimizer: torch.optim.Optimizer,
        ranks: Ranks,
        *,
        inputs: DecoderInputs,
        clip_norm: float | None,
        precision: Precision,
        seed: int,
    ) -> "Update":
        """The update of a model that every rank has as a whole."""
        learner = Learner(model, loss, inputs)
        return cls(learner, WholeGradients(learner, ranks, precision, seed), optimizer, ranks, clip_norm=clip_norm)

    def __call__(
        self, batches: Sequence[Batch | None], step: int, learning_rate_factor: float, scale: LossScale = UNSCALED
    ) -> UpdateResult:
        """Do update number `step`. Raises TrainingError when a single record does not fit in memory."""
        elements, weight = self._counted(batches)
        learned, pieces = self.gradients(batches, step, weight / scale.value)
        zero = torch.zeros((), device=self.ranks.device)
        loss_sum = torch.stack([total for _, _, total in learned]).sum() if learned else zero
        sums = self.ranks.sum(torch.stack([loss_sum.float(), zero + pieces - 1]))
        if scale.value != 1:
            torch._foreach_div_([parameter.grad for parameter in self.parameters if parameter.grad is not None], scale.value)
        clipped = full(torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_norm or float("inf")))
        total, more, norm = torch.cat([sums, clipped.reshape(1).to(sums)]).tolist()  # a GPU is waited for once an update
        loss, pieces = total / weight, 1 + int(more)
        if not (_finite(loss) and _finite(norm)):
            self.optimizer.zero_grad(set_to_none=True)
            if _finite(loss) and not scale.least:
                return UpdateResult(loss, elements, norm, skipped=True, pieces=pieces, overflowed=True)
            return UpdateResult(loss, elements, norm, skipped=True, culprits=self._culprits(learned), pieces=pieces)
        for group in self.optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
            group["lr"] = group["initial_lr"] * learning_rate_factor
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return UpdateResult(loss, elements, norm, pieces=pieces)

    def _counted(self, batches: Sequence[Batch | None]) -> tuple[int, float]:
        """The target elements of all ranks, and the sum of their weights, which is never 0."""
        elements, weight = 0, 0.0
        for batch in batches:
            if batch is None or not batch.learned:
                continue
            of_rows = counted(batch.labels, self.learner.model.target).sum(1)
            elements += int(of_rows.sum())
            weight += float(of_rows.sum() if batch.weights is None else (of_rows * batch.weights).sum())
        if self.ranks.world == 1:
            return elements, weight or 1.0
        precise = torch.float32 if self.ranks.device.type == "mps" else torch.float64  # which MPS lacks
        sums = self.ranks.sum(torch.tensor([elements, weight], device=self.ranks.device, dtype=precise)).tolist()
        return int(sums[0]), sums[1] or 1.0

    def _culprits(self, learned: list[RowLosses]) -> tuple[int, ...]:
        """The records of all ranks whose loss is not finite; all of the update when every loss is finite and only the gradient is not."""
        losses = [(record, loss) for records, rows, _ in learned for record, loss in zip(records, rows.tolist(), strict=True)]
        bad = self.ranks.gather([record for record, loss in losses if not _finite(loss)])
        return tuple(chain.from_iterable(bad)) or tuple(chain.from_iterable(self.ranks.gather([record for record, _ in losses])))


def _finite(number: float) -> bool:
    return number == number and abs(number) != float("inf")
