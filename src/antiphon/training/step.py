"""One update: the gradients of the micro-batches of all ranks, then the optimizer.

The mean is taken once, over the target elements of all ranks and micro-batches, each with its record's weight; a mean of means would weigh
short batches too much. Missing values are no elements: they have no loss, and do not count.
A batch that does not fit in memory is split and the whole update done again, with the same gradient. An update whose loss or gradient
is not finite is skipped, and the records that caused it are named. Random numbers are seeded from (seed, step, micro-batch, rank), so
that nothing of them needs storing for an exact resume.

Unusual here: an update decides on the device whether it counts. The program learns of it when it reads the results (`results.py`), and a
GPU is not waited for before.
"""

from collections.abc import Sequence
from typing import final

import torch

from antiphon.contracts.loss import Loss, LossOfBatch
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch
from antiphon.losses.observed import counted
from antiphon.training.compiling import Compilation
from antiphon.training.decoder_inputs import DecoderInputs
from antiphon.training.distributed import Ranks
from antiphon.training.gradients import Gradients, WholeGradients
from antiphon.training.learner import Learner
from antiphon.training.loss_scale import UNSCALED, LossScale
from antiphon.training.optimizers import step_unless
from antiphon.training.precision import Precision
from antiphon.training.results import Pending, UpdateResult, read
from antiphon.training.shards import full


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
        """The update of a model that every rank holds as a whole."""
        learner = Learner(model, loss, inputs)
        return cls(learner, WholeGradients(learner, ranks, precision, seed), optimizer, ranks, clip_norm=clip_norm)

    def __call__(
        self, batches: Sequence[Batch | None], step: int, learning_rate_factor: float, scale: LossScale = UNSCALED
    ) -> UpdateResult:
        """Do update number `step`, and wait for its result. Raises TrainingError when a single record does not fit in memory."""
        return read([self.begin(batches, step, learning_rate_factor, scale)], self.ranks)[0]

    def begin(self, batches: Sequence[Batch | None], step: int, learning_rate_factor: float, scale: LossScale = UNSCALED) -> Pending:
        """Start update number `step` on the device, without waiting for it unless the optimizer requires that (`step_unless`).

        Raises TrainingError when a single record does not fit in memory.
        """
        elements, weight = self._counted(batches)
        learned, pieces = self.gradients(batches, step, weight / scale.value)
        zero = torch.zeros((), device=self.ranks.device)
        loss_sum = torch.stack([total for _, _, total in learned]).sum() if learned else zero
        sums = self.ranks.sum(torch.stack([loss_sum.float(), zero + pieces - 1]))
        if scale.value != 1:
            torch._foreach_div_([parameter.grad for parameter in self.parameters if parameter.grad is not None], scale.value)
        clipped = full(torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_norm or float("inf")))
        numbers = torch.cat([sums, clipped.reshape(1).to(sums)])
        skipped = 1 - numbers.isfinite().all().float()
        for group in self.optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
            group["lr"] = group["initial_lr"] * learning_rate_factor
        step_unless(self.optimizer, skipped)
        self.optimizer.zero_grad(set_to_none=True)
        return Pending(numbers, skipped, elements, weight, learned, scaled=not scale.least)

    def _counted(self, batches: Sequence[Batch | None]) -> tuple[int, float]:
        """The number of target elements of all ranks, and the sum of their weights, which is never 0."""
        elements, weight = 0, 0.0
        for batch in batches:
            if batch is None or not batch.learned:
                continue
            of_rows = counted(batch.labels, self.learner.model.target).sum(1)
            elements += int(of_rows.sum())
            weight += float(of_rows.sum() if batch.weights is None else (of_rows * batch.weights).sum())
        if self.ranks.world == 1:
            return elements, weight or 1.0
        sums = self.ranks.sum(torch.tensor([elements, weight], dtype=torch.float64)).tolist()
        return int(sums[0]), sums[1] or 1.0
