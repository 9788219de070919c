"""Cross-entropy with label smoothing, fused with the projection to the vocabulary.

Unusual here: the logits of a batch are never in memory at once. The real target steps are taken in chunks; each chunk's logits become
its losses and, in the same pass, the gradients of features and weights (Liger kernels do likewise). Padding costs nothing. Where there are
no gradients to make, as in validation, the chunks are the same, so that measuring needs no more memory than learning.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import Fraction, config
from antiphon.contracts.loss import Loss, LossPlugin
from antiphon.contracts.sequences import Output, Padded
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.errors import ConfigError
from antiphon.heads.categorical import Categorical
from antiphon.heads.pointer import Mixture
from antiphon.layers.linear import product
from antiphon.losses.coverage import coverage_loss

CHUNK = 1024  # rows; large enough for full matrix speed, small enough that a chunk's logits stay near the cache


@config
class CrossEntropyConfig:
    """How tokens are scored in training."""

    name: Literal["cross_entropy"] = "cross_entropy"
    """The name of this loss."""
    label_smoothing: Fraction = 0.1
    """Share of the probability that is spread over the whole vocabulary (Szegedy et al. 2016)."""
    coverage: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the coverage loss, which punishes attending again to the same places (See et al. 2017; they used 1)."""


LossesOfRows = Callable[[Tensor, slice], tuple[Tensor, Tensor]]
"""Logits (N, V) of some rows, which it may use up, and which rows these are -> losses (N,), and their gradients (N, V)."""


class FusedProjection(torch.autograd.Function):
    """features (N, D), weight (V, D), bias (V,) -> losses (N,) of the logits, as `losses_of` makes them chunk by chunk.

    The gradients are made in the forward pass for an upstream gradient of 1 per row, and scaled in the backward pass. That needs all
    rows to have the same upstream gradient, as a masked mean over compacted rows has; `backward` checks it.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None, losses_of: LossesOfRows) -> Tensor:
        dtype = torch.get_autocast_dtype(features.device.type) if torch.is_autocast_enabled(features.device.type) else features.dtype
        rows, matrix = features.to(dtype), weight.to(dtype)
        losses = torch.empty(len(rows), device=rows.device, dtype=torch.float32)
        grad_features = torch.empty_like(features)
        grad_weight = torch.zeros_like(weight, dtype=torch.float32)
        grad_bias = None if bias is None else torch.zeros_like(bias, dtype=torch.float32)
        for part in chunks(len(rows)):
            logits = product(rows[part], matrix).float()
            if bias is not None:
                logits += bias
            losses[part], gradient = losses_of(logits, part)
            if grad_bias is not None:
                grad_bias += gradient.sum(dim=0)
            gradient = gradient.to(dtype)
            grad_features[part] = product(gradient, matrix.T).to(features.dtype)
            grad_weight += product(gradient.T, rows[part].T).float()
        ctx.save_for_backward(grad_features, grad_weight.to(weight.dtype), *(() if grad_bias is None else (grad_bias,)))
        return losses

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        scale = upstream[:1]
        assert bool((upstream == scale).all()), "a fused loss needs the same weight on every element; use weights via the mask"
        grad_features, grad_weight, *rest = ctx.saved_tensors
        return grad_features * scale, grad_weight * scale, rest[0] * scale if rest else None, None


def chunks(rows: int) -> Iterator[slice]:
    """`rows` rows in parts of at most `CHUNK`; one empty part when there is none."""
    return (slice(start, start + CHUNK) for start in range(0, max(rows, 1), CHUNK))


def _loss_and_gradient(logits: Float[Tensor, "N V"], labels: Int[Tensor, " N"], smoothing: float) -> tuple[Tensor, Tensor]:
    """Losses, and their gradients with respect to the logits; `logits` is used up."""
    symbols = logits.shape[-1]
    picked = logits.gather(1, labels.unsqueeze(1)).squeeze(1)
    normalizer = logits.logsumexp(dim=-1)
    losses = normalizer - (1 - smoothing) * picked
    if smoothing:
        losses = losses - smoothing * logits.mean(dim=-1)
    gradient = logits.sub_(normalizer.unsqueeze(1)).exp_()
    if smoothing:
        gradient -= smoothing / symbols
    gradient.scatter_add_(1, labels.unsqueeze(1), gradient.new_full((len(labels), 1), smoothing - 1))
    return losses, gradient


def _losses(logits: Float[Tensor, "N V"], labels: Int[Tensor, " N"], smoothing: float) -> Float[Tensor, " N"]:
    return torch.nn.functional.cross_entropy(logits.float(), labels, reduction="none", label_smoothing=smoothing)


def build(settings: CrossEntropyConfig, target: Spec) -> Loss:
    """Make the loss. Raises ConfigError when the target is real-valued."""
    if not isinstance(target, TokenSpec):
        raise ConfigError("`training.loss.name` must not be `cross_entropy` when the target is real-valued.")
    return partial(cross_entropy, smoothing=settings.label_smoothing, coverage=settings.coverage, target=target)


def measure(settings: CrossEntropyConfig, target: Spec) -> Loss:
    """Cross-entropy without smoothing: its exponential is the perplexity."""
    return partial(cross_entropy, target=target if isinstance(target, TokenSpec) else None)


def cross_entropy(
    output: Output, labels: Padded, smoothing: float = 0.0, coverage: float = 0.0, target: TokenSpec | None = None
) -> Float[Tensor, "B T"]:
    """Negative log-likelihood in nats for each label; 0 on padding. Open words of `target` count as the unknown symbol."""
    if isinstance(output.head, Mixture):
        raise ConfigError("`training.loss.name` must not be `cross_entropy` with `model.head: pointer`, whose loss is `pointer`.")
    if output.frames is not None and output.frames.features is output.features:
        raise ConfigError("`training.loss.name` must be `ctc` for a model that says something of frames alone. Leave the loss out.")
    mask = labels.mask
    real = labels.values[mask] if target is None else target.known(labels.values[mask])
    head, unmade = output.head, "values" not in output.__dict__
    if isinstance(head, Categorical) and unmade and torch.is_grad_enabled():
        losses = FusedProjection.apply(  # type: ignore[no-untyped-call]
            output.features[mask], head.weight, head.bias, lambda logits, part: _loss_and_gradient(logits, real[part], smoothing)
        )
    elif unmade and not torch.is_grad_enabled():
        features = output.features[mask]
        losses = torch.cat([_losses(head(features[part]), real[part], smoothing) for part in chunks(len(features))])
    else:
        losses = _losses(output.values[mask], real, smoothing)
    table = torch.zeros(mask.shape, device=mask.device).masked_scatter(mask, losses)
    return table + coverage * coverage_loss(output) * mask if coverage else table


plugin = LossPlugin(
    name="cross_entropy",
    summary="Cross-entropy with label smoothing, fused with the output layer.",
    Config=CrossEntropyConfig,
    build=build,
    measure=measure,
)
