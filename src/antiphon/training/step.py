"""One update: forward and backward over the micro-batches of all ranks, then the optimizer.

The mean is taken once, over the target elements of all ranks and micro-batches, each with its record's weight; a mean of means would weigh
short batches too much. Missing values are no elements: they have no loss, and do not count.
A batch that does not fit in memory is split and the whole update done again, with the same gradient. An update whose loss or gradient
is not finite is skipped, and the records that caused it are named. Random numbers are seeded from (seed, step, micro-batch, rank), so
that nothing of them needs storing for an exact resume.
"""

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Literal, final

import torch
from torch import Tensor

from antiphon.contracts.loss import Loss, LossOfBatch, loss_for, reads_attention
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch, to_device
from antiphon.errors import TrainingError
from antiphon.losses.observed import counted
from antiphon.training.decoder_inputs import DecoderInputs, decode_for_training
from antiphon.training.device import is_out_of_memory
from antiphon.training.distributed import Ranks
from antiphon.training.half_weights import HalfWeights

Precision = Literal["fp32", "bf16", "bf16_weights"]
RowLosses = tuple[tuple[int, ...], Tensor, Tensor]
"""The records of a piece, the loss of each (B,), and their weighted sum ()."""


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


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The context in which a model computes at a precision, where the device has it; in fp32 otherwise."""
    return torch.autocast(device.type, torch.bfloat16) if precision != "fp32" and _has_bf16(device) else nullcontext()


def precision_notes(precision: Precision, device: torch.device) -> list[str]:
    """What to say before training when the device has no such precision."""
    if precision == "fp32" or _has_bf16(device):
        return []
    return [
        f"`training.precision` is {precision}, and bf16 is what this CPU can only imitate, many times as slow as fp32: it computes in fp32."
    ]


def _has_bf16(device: torch.device) -> bool:
    """Whether bf16 is worth anything there. On a CPU with AVX2 alone an update of a small Transformer took 47 s instead of 3."""
    return device.type != "cpu" or (torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()))


def seed_from(*numbers: int) -> int:
    """One seed from several numbers, such that neighbours have nothing in common."""
    text = ",".join(str(number) for number in numbers)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big")


@final
class Update:
    """Callable: one optimizer step over micro-batches (None where this rank has no rows)."""

    def __init__(
        self,
        model: Seq2SeqModel,
        loss: Loss | LossOfBatch,
        optimizer: torch.optim.Optimizer,
        ranks: Ranks,
        *,
        inputs: DecoderInputs,
        clip_norm: float | None,
        precision: Precision,
        seed: int,
    ):
        self.model, self.loss, self.optimizer, self.ranks = model, loss, optimizer, ranks
        self.inputs, self.clip_norm, self.precision, self.seed = inputs, clip_norm, precision, seed
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.half = HalfWeights(model) if precision == "bf16_weights" and _has_bf16(ranks.device) else None

    def __call__(self, batches: Sequence[Batch | None], step: int, learning_rate_factor: float) -> UpdateResult:
        """Do update number `step`. Raises TrainingError when a single record does not fit in memory."""
        elements, weight = self._counted(batches)
        pieces = 1
        while True:
            try:
                row_losses = self._gradients(batches, step, weight, pieces)
                break
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
            pieces *= 2
            if pieces > 2 * max(len(batch.records) for batch in batches if batch):
                source, target, record = max(_sizes(batch) for batch in batches if batch)
                raise TrainingError(
                    f"Not even one record at a time fits in memory; the longest is record {record}, with {source} source and {target}"
                    " target steps. Limit lengths with `data.limits`, or choose a smaller model."
                )
            if self.ranks.device.type == "cuda":
                torch.cuda.empty_cache()
        self.ranks.sum_gradients(self.parameters)
        zero = torch.zeros((), device=self.ranks.device)
        loss_sum = torch.stack([total for _, _, total in row_losses]).sum() if row_losses else zero
        sums = self.ranks.sum(torch.stack([loss_sum.float(), zero + pieces - 1]))
        loss, pieces = float(sums[0]) / weight, 1 + int(sums[1])
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_norm or float("inf")))
        if not (_finite(loss) and _finite(norm)):
            self.optimizer.zero_grad(set_to_none=True)
            return UpdateResult(loss, elements, norm, skipped=True, culprits=self._culprits(row_losses), pieces=pieces)
        for group in self.optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
            group["lr"] = group["initial_lr"] * learning_rate_factor
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return UpdateResult(loss, elements, norm, pieces=pieces)

    def _counted(self, batches: Sequence[Batch | None]) -> tuple[int, float]:
        """The target elements of all ranks, and the sum of their weights, which is never 0."""
        elements, weight = 0, 0.0
        for batch in filter(None, batches):
            of_rows = counted(batch.labels, self.model.target).sum(1)
            elements += int(of_rows.sum())
            weight += float(of_rows.sum() if batch.weights is None else (of_rows * batch.weights).sum())
        precise = torch.float32 if self.ranks.device.type == "mps" else torch.float64  # which MPS lacks
        sums = self.ranks.sum(torch.tensor([elements, weight], device=self.ranks.device, dtype=precise)).tolist()
        return int(sums[0]), sums[1] or 1.0

    def _gradients(self, batches: Sequence[Batch | None], step: int, weight: float, pieces: int) -> list[RowLosses]:
        """Gradients of the weighted mean loss over all elements; returns each piece's records, losses per row and weighted sum."""
        self.optimizer.zero_grad(set_to_none=True)
        row_losses = []
        for number, batch in enumerate(batches):
            for part, piece in enumerate(split(batch, pieces) if batch else ()):
                torch.manual_seed(seed_from(self.seed, step, number, self.ranks.rank, part))
                with nullcontext() if self.half is None else self.half.exchanged():
                    row_losses.append(self._backward(to_device(piece, self.ranks.device), step, weight))
        return row_losses

    def _backward(self, batch: Batch, step: int, weight: float) -> RowLosses:
        """Add the gradients of one piece."""
        with autocast(self.precision, self.ranks.device):
            memory = self.model.encode(batch.source)
            output = decode_for_training(self.inputs, self.model, batch.inputs, memory, step, attention=reads_attention(self.loss))
            found = loss_for(self.loss, batch)(output, batch.labels, batch.weights)
        (found.total / weight).backward()
        return batch.records, found.rows, found.total.detach()

    def _culprits(self, row_losses: list[RowLosses]) -> tuple[int, ...]:
        """The records of all ranks whose loss is not finite; all of the update when every loss is finite and only the gradient is not."""
        losses = [(record, loss) for records, rows, _ in row_losses for record, loss in zip(records, rows.tolist(), strict=True)]
        bad = self.ranks.gather([record for record, loss in losses if not _finite(loss)])
        return tuple(chain.from_iterable(bad)) or tuple(chain.from_iterable(self.ranks.gather([record for record, _ in losses])))


def split(batch: Batch, pieces: int) -> list[Batch]:
    """Cut a batch into at most `pieces` of about equal rows, without padding that no row of a piece needs."""
    if pieces == 1:
        return [batch]
    parts = torch.arange(len(batch.records)).tensor_split(min(pieces, len(batch.records)))
    return [batch.select_rows(part) for part in parts]


def _sizes(batch: Batch) -> tuple[int, int, int]:
    """Source steps, target steps and number of the batch's longest record."""
    return max(zip(batch.source.lengths.tolist(), batch.labels.lengths.tolist(), batch.records, strict=True))


def _finite(number: float) -> bool:
    return number == number and abs(number) != float("inf")
