"""Token-level distillation: the loss of a batch compares the student's probabilities at each target step with the teacher's.

The teacher reads the same batch under teacher forcing, without gradients, within the student's update; nothing of it is stored. So it
must read and write the student's symbols.
"""

from dataclasses import dataclass
from typing import final

import torch

from antiphon.contracts.loss import Loss, LossOfBatch, loss_for, reads_attention
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch
from antiphon.losses.distillation import TaughtLoss


@final
@dataclass(frozen=True)
class DistillationLoss:
    """weight * KL(teacher || student) + (1 - weight) * loss. It needs the batch, which the training step passes to it.

    Paper: Kim and Rush 2016, equation 6; Hinton et al. 2015 for the temperature.
    """

    loss: Loss | LossOfBatch
    teacher: Seq2SeqModel
    weight: float
    temperature: float

    def for_batch(self, batch: Batch) -> Loss:
        """The loss function for this batch. The teacher always reads the reference target, whatever the student reads."""
        with torch.no_grad():
            taught = self.teacher(batch.source, batch.inputs)
        return TaughtLoss(taught, self.temperature, self.weight, loss_for(self.loss, batch))

    @property
    def reads_attention(self) -> bool:
        """Whether the other loss needs attention weights."""
        return reads_attention(self.loss)
