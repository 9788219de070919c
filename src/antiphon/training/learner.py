"""A model and its loss as one module, which contains everything that an update differentiates; sharding needs to see where weights are
used."""

from collections.abc import Callable
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from antiphon.contracts.loss import Loss, LossOfBatch, loss_for, reads_attention
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch
from antiphon.training.decoder_inputs import DecoderInputs, decode_for_training


@final
class Learner(nn.Module):
    """Calls the model, with decoder inputs as the policy demands, and the loss. A loss has no trainable weights."""

    def __init__(self, model: Seq2SeqModel, loss: Loss | LossOfBatch, inputs: DecoderInputs):
        super().__init__()
        self.model = model
        self._loss: Callable[[], Loss | LossOfBatch] = lambda: loss  # no part of this module: a teacher's weights are its own
        self.inputs = inputs

    def forward(self, batch: Batch, step: int) -> tuple[Float[Tensor, ""], Float[Tensor, " B"]]:
        """The weighted sum of the losses of a batch at update number `step`, and the loss of each row."""
        loss = self._loss()
        source, inputs, packing = batch.source, batch.inputs, batch.packing
        if packing is not None:
            source, inputs = source.packed(packing.source), inputs.packed(packing.inputs)
        memory = self.model.encode(source)
        output = decode_for_training(self.inputs, self.model, inputs, memory, step, attention=reads_attention(loss))
        output = output if packing is None else output.unpacked(packing, batch.source)
        found = loss_for(loss, batch)(output, batch.labels, batch.weights)
        return found.total, found.rows
