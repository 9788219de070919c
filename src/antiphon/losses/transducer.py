"""The transducer loss (Graves 2012): the probability of a target is the sum over all its alignments with the encoder's states.

As in CTC the blank is the padding symbol of the target, and the end symbol is no label: states end by themselves. Unlike in CTC, a state
may say several symbols, so every target has an alignment.

Where the encoder says the target by itself, too (`model.ctc`), both losses are learned together: it aligns sooner.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, final

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import config
from antiphon.contracts.loss import Loss, LossPlugin, LossSum
from antiphon.contracts.sequences import Output, Padded
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.errors import ConfigError
from antiphon.layers.lattice import transducer_losses
from antiphon.layers.transducer import Lattice
from antiphon.losses.ctc import CTCLoss, symbols_only, without_end
from antiphon.losses.summing import of_rows


@config
class TransducerLossConfig:
    """The transducer loss, with CTC beside it if the model has `ctc`."""

    name: Literal["transducer"] = "transducer"
    """The name of this loss."""
    ctc_weight: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Share of CTC, where the model has `ctc`."""
    intermediate_weight: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Share of inner layers within CTC, where the model has `intermediate_ctc` (Lee and Watanabe 2021)."""
    fast_emit: Annotated[float, Field(ge=0)] = 0.0
    """How much stronger the gradients of symbols are than those of blanks, so that a stream outputs symbols earlier (FastEmit, Yu et al.
    2021; they used 0.004 to 0.01)."""


@final
@dataclass(frozen=True)
class TransducerLoss:
    """The loss for a transducer's outputs. Raises ConfigError for outputs of other models."""

    target: TokenSpec
    ctc: CTCLoss
    ctc_weight: float
    fast_emit: float = 0.0

    def __call__(self, output: Output, labels: Padded, weights: Float[Tensor, " B"] | None = None) -> LossSum:
        """Each sequence's loss in nats."""
        own = of_rows(self._of_sequences(output, labels), weights)
        if output.frames is None or not self.ctc_weight:
            return own
        return self.ctc_weight * self.ctc(output, labels, weights) + (1 - self.ctc_weight) * own

    def _of_sequences(self, output: Output, labels: Padded) -> Float[Tensor, " B"]:
        lattice = output.head
        if not isinstance(lattice, Lattice):
            raise ConfigError("`training.loss.name` must not be `transducer` for another model than `transducer`. Leave the loss out.")
        lengths = without_end(labels, self.target.end)
        assert output.features.shape[1] > int(lengths.max()), "a transducer's inputs are the start and all symbols, its labels end"
        symbols = self.target.known(labels.values.masked_fill(~labels.mask, self.target.pad))
        joiner, frames = lattice.joiner, lattice.mask.sum(1)
        sides = (lattice.encoded, output.features, joiner.weight, joiner.bias)
        width = output.features.shape[1] - 1
        return transducer_losses(*sides, symbols[:, :width], frames, lengths, self.target.pad, fast_emit=self.fast_emit)


def build(settings: TransducerLossConfig, target: Spec) -> Loss:
    """Make the loss. Raises ConfigError when the target is real-valued."""
    symbols = symbols_only(target, "transducer")
    return TransducerLoss(symbols, CTCLoss(symbols, settings.intermediate_weight), settings.ctc_weight, settings.fast_emit)


def measure(settings: TransducerLossConfig, target: Spec) -> Loss:
    """The transducer loss alone, without CTC."""
    symbols = symbols_only(target, "transducer")
    return TransducerLoss(symbols, CTCLoss(symbols), 0.0)


plugin = LossPlugin(
    name="transducer",
    summary="All alignments of a transducer's states and symbols, optionally with CTC.",
    Config=TransducerLossConfig,
    build=build,
    measure=measure,
)
