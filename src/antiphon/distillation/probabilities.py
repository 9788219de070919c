"""Learning from a teacher's probabilities: the loss of a batch computes the teacher's probabilities at each target step.

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
    """weight * KL(teacher || student) + (1 - weight) * loss: a loss that must know the batch, which the training step hands to it.

    Paper: Kim and Rush 2016, equation 6; Hinton et al. 2015 for the temperature.
    """

    loss: Loss | LossOfBatch
    teacher: Seq2SeqModel
    weight: float
    temperature: float

    def for_batch(self, batch: Batch) -> Loss:
        """The loss of this batch's outputs. The teacher always reads the truth, whatever the student reads."""
        with torch.no_grad():
            taught = self.teacher(batch.source, batch.inputs)
        return TaughtLoss(taught, self.temperature, self.weight, loss_for(self.loss, batch))

    @property
    def reads_attention(self) -> bool:
        """Whether the loss beside the teacher's does."""
        return reads_attention(self.loss)
