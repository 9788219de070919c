"""Cross-entropy with label smoothing, fused with the projection to the vocabulary.

Unusual here: the logits of a batch are never in memory at once (`chunked.py`), and a chunk's logits become the gradients in their place.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, final

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import Fraction, config
from antiphon.contracts.loss import Loss, LossOfBatch, LossPlugin, LossSum
from antiphon.contracts.sequences import Output, Padded
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.errors import ConfigError
from antiphon.heads.pointer import Mixture
from antiphon.layers.transducer import Lattice
from antiphon.losses.chunked import chunked
from antiphon.losses.coverage import coverage_loss
from antiphon.losses.guided_alignment import GuidedAlignmentConfig, GuidedLoss
from antiphon.losses.summing import summed


@config
class CrossEntropyConfig:
    """Cross-entropy of tokens with label smoothing."""

    name: Literal["cross_entropy"] = "cross_entropy"
    """The name of this loss."""
    label_smoothing: Fraction = 0.1
    """Share of the probability that is spread over the whole vocabulary (Szegedy et al. 2016)."""
    coverage: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the coverage loss, which penalizes attending again to the same places (See et al. 2017; they used 1)."""
    guided_alignment: GuidedAlignmentConfig | None = None
    """Attention is also trained on the alignments in `task.alignment` (Chen et al. 2016); `{}` with the usual weight, null not at all."""


@final
@dataclass(frozen=True)
class CrossEntropy:
    """Negative log-likelihood in nats of each label. Open words of `target` count as the unknown symbol."""

    smoothing: float = 0.0
    coverage: float = 0.0
    target: TokenSpec | None = None

    def __call__(self, output: Output, labels: Padded, weights: Float[Tensor, " B"] | None = None) -> LossSum:
        """The loss of a batch. Raises ConfigError when the model copies, or only has an output for each frame."""
        if isinstance(output.head, Mixture):
            raise ConfigError("`training.loss.name` must not be `cross_entropy` with `model.head: pointer`, whose loss is `pointer`.")
        if isinstance(output.head, Lattice):
            raise ConfigError("`training.loss.name` must be `transducer` for `model: transducer`. Leave the loss out.")
        if output.frames is not None and output.frames.features is output.features:
            raise ConfigError("`training.loss.name` must be `ctc` for a model whose only output is one for each frame. Leave the loss out.")
        real = self.known(labels)

        def losses_of(part: slice, features: Tensor) -> Tensor:
            return self.of_logits(output.head(features), real[part])

        found = chunked(losses_of, [labels.real(output.features)], output.head, labels, weights)
        return found + self.coverage * summed(coverage_loss(output) * labels.mask, weights) if self.coverage else found

    def known(self, labels: Padded) -> Int[Tensor, " N"]:
        """The real labels, with the unknown symbol for open words."""
        real = labels.real(labels.values)
        return real if self.target is None else self.target.known(real)

    def of_logits(self, logits: Float[Tensor, "N V"], labels: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
        """The losses of single steps; may overwrite the logits."""
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if not logits.requires_grad:
            return _losses(logits, labels, self.smoothing)[0]
        found: Tensor = _InPlace.apply(logits, labels, self.smoothing)  # type: ignore[no-untyped-call]
        return found


class _InPlace(torch.autograd.Function):
    """Logits (N, V), which are overwritten by their own gradients, and labels (N,) -> losses (N,)."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
        losses, log_probs = _losses(logits, labels, smoothing)
        gradient = log_probs.exp_()
        if smoothing:
            gradient -= smoothing / logits.shape[-1]
        gradient.scatter_add_(1, labels.unsqueeze(1), gradient.new_full((len(labels), 1), smoothing - 1))
        ctx.gradient = gradient
        return losses

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.gradient.mul_(upstream.unsqueeze(1)), None, None


def _losses(logits: Float[Tensor, "N V"], labels: Int[Tensor, " N"], smoothing: float) -> tuple[Float[Tensor, " N"], Float[Tensor, "N V"]]:
    """Losses, and log-probabilities, which overwrite the logits on the CPU, where passes over memory are expensive."""
    in_place = logits.device.type == "cpu" and logits.is_contiguous()
    log_probs = torch.log_softmax(logits, dim=-1, out=logits) if in_place else logits.log_softmax(dim=-1)
    losses = (smoothing - 1) * log_probs.gather(1, labels.unsqueeze(1)).squeeze(1)
    return (losses - smoothing * log_probs.mean(dim=-1) if smoothing else losses), log_probs


def build(settings: CrossEntropyConfig, target: Spec) -> Loss | LossOfBatch:
    """Make the loss. Raises ConfigError when the target is real-valued."""
    if not isinstance(target, TokenSpec):
        raise ConfigError("`training.loss.name` must not be `cross_entropy` when the target is real-valued.")
    loss = CrossEntropy(settings.label_smoothing, settings.coverage, target)
    return loss if settings.guided_alignment is None else GuidedLoss(loss, settings.guided_alignment)


def measure(settings: CrossEntropyConfig, target: Spec) -> Loss:
    """Cross-entropy without smoothing, whose exponential is the perplexity."""
    return CrossEntropy(target=target if isinstance(target, TokenSpec) else None)


plugin = LossPlugin(
    name="cross_entropy",
    summary="Cross-entropy with label smoothing, fused with the output layer.",
    Config=CrossEntropyConfig,
    build=build,
    measure=measure,
)
