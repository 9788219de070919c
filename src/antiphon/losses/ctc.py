"""Connectionist temporal classification (Graves et al. 2006): the probability of a target is the sum over all its alignments with the
frames.

Each frame says a symbol or the blank; an alignment becomes a target by dropping repetitions, then blanks. The blank is the padding symbol
of the target. The end symbol is no label: frames end by themselves.

Unusual here: a target that is too long for its frames has no alignment, so an infinite loss: it counts 0, teaches nothing, and is named
in a warning.
"""

import warnings
from typing import Annotated, Literal, final

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import config
from antiphon.contracts.loss import Loss, LossPlugin, LossSum
from antiphon.contracts.sequences import Frames, Output, Padded
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.errors import ConfigError
from antiphon.losses.summing import of_rows


@config
class CTCConfig:
    """CTC on the outputs for the encoder's frames."""

    name: Literal["ctc"] = "ctc"
    """The name of this loss."""
    intermediate_weight: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Share of the loss of inner layers, where the model has `intermediate_ctc` (Lee and Watanabe 2021)."""


def frames_needed(symbols: Int[Tensor, "B T"], lengths: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
    """The minimum number of frames for each sequence: one for each symbol, and a blank between two that are equal."""
    place = torch.arange(1, symbols.shape[1], device=symbols.device)
    repeated = (symbols[:, 1:] == symbols[:, :-1]) & (place < lengths.unsqueeze(1))
    return lengths + repeated.sum(1)


def ctc_fits(frames: Int[Tensor, " B"], labels: Padded, end: int) -> Bool[Tensor, " B"]:
    """Whether each target has an alignment with this many frames (after subsampling). `labels` may end with the end symbol."""
    return frames >= frames_needed(labels.values, without_end(labels, end))


def without_end(labels: Padded, end: int) -> Int[Tensor, " B"]:
    """The lengths of the labels without their end symbols."""
    return labels.lengths - ((labels.values == end) & labels.mask).sum(1)


class TooFewFramesWarning(UserWarning):
    """Some targets are too long for their frames, so that CTC learns nothing from them."""


@final
class CTCLoss:
    """CTC for outputs with frames. Raises ConfigError when the model has no output for frames.

    `unlearned` counts the sequences so far that had too few frames. A warning says so at the first of them, and whenever they are ten times
    as many as when it last did.
    """

    def __init__(self, target: TokenSpec, intermediate_weight: float = 0.0):
        self.target, self.intermediate_weight = target, intermediate_weight
        self.unlearned = 0
        self._warned = 0

    def __call__(self, output: Output, labels: Padded, weights: Float[Tensor, " B"] | None = None) -> LossSum:
        """Each sequence's loss in nats; 0 where no alignment exists."""
        frames = output.frames
        if frames is None:
            raise ConfigError(
                "`training.loss.name` must not be `ctc` or `joint_ctc` for a model that has no output for each frame."
                " Set `model.ctc: true`, or use `model: encoder_only`."
            )
        lengths = without_end(labels, self.target.end)
        self._count(frames, labels, lengths)
        losses = self._of_sequences(frames.logits, frames, labels, lengths)
        if self.intermediate_weight and frames.inner:
            inner = [self._of_sequences(frames.head(features), frames, labels, lengths) for features in frames.inner]
            losses = (1 - self.intermediate_weight) * losses + self.intermediate_weight * torch.stack(inner).mean(0)
        return of_rows(losses, weights)

    def _of_sequences(self, logits: Tensor, frames: Frames, labels: Padded, lengths: Tensor) -> Float[Tensor, " B"]:
        log_probs = torch.nn.functional.log_softmax(logits, dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))
        losses: Tensor = torch.nn.functional.ctc_loss(
            log_probs.transpose(0, 1),
            labels.values.masked_fill(~labels.mask, 0),
            frames.mask.sum(1),
            lengths,
            blank=self.target.pad,
            reduction="none",
            zero_infinity=True,
        )
        return losses

    def _count(self, frames: Frames, labels: Padded, lengths: Tensor) -> None:
        short = frames.mask.sum(1) < frames_needed(labels.values, lengths)
        if not bool(short.any()):
            return
        self.unlearned += int(short.sum())
        if self.unlearned >= 10 * self._warned:
            self._warned = self.unlearned
            row = int(short.nonzero()[0])
            warnings.warn(
                f"CTC learns nothing from {int(short.sum())} of the {len(short)} sequences of a batch"
                f" ({self.unlearned:,} so far), since they"
                f" have fewer frames than their targets need: one has {int(frames.mask[row].sum())} frames for {int(lengths[row])} symbols."
                " Lower `model.subsampling`, use longer symbols (a larger vocabulary), or limit lengths.",
                TooFewFramesWarning,
                stacklevel=3,
            )


def build(settings: CTCConfig, target: Spec) -> Loss:
    """Make the loss. Raises ConfigError when the target is real-valued."""
    return CTCLoss(symbols_only(target, "ctc"), settings.intermediate_weight)


def measure(settings: CTCConfig, target: Spec) -> Loss:
    """The loss of the last layer alone, without the intermediate ones."""
    return CTCLoss(symbols_only(target, "ctc"))


def symbols_only(target: Spec, name: str) -> TokenSpec:
    """The target's spec. Raises ConfigError when it is real-valued."""
    if not isinstance(target, TokenSpec):
        raise ConfigError(f"`training.loss.name` must not be `{name}` when the target is real-valued.")
    return target


plugin = LossPlugin(name="ctc", summary="CTC: all alignments of frames with the target.", Config=CTCConfig, build=build, measure=measure)
