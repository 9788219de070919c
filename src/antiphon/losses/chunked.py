"""Losses over symbols that never hold a tensor of all logits, by one loop that every such loss shares.

The real target steps are taken in chunks. Each chunk's logits become its losses and, in the same pass, the gradients of what they were
made of (Liger kernels do likewise), and are gone before the next chunk's are made. Padding costs nothing. Where there are no gradients to
make, as in validation, only the losses are made; what is frozen gets no gradient, and costs none.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from antiphon.contracts.loss import LossSum
from antiphon.contracts.sequences import Padded
from antiphon.heads.steps import CHUNK

LossesOfSteps = Callable[..., Float[Tensor, " n"]]
"""(indices of some of the N real steps, these steps of each given tensor) -> their losses (n,), computed by operations that autograd
records."""


def chunked(
    losses_of: LossesOfSteps,
    steps: Sequence[Float[Tensor, "N ..."]],
    owner: nn.Module | Callable[..., Any],
    labels: Padded,
    weights: Float[Tensor, " B"] | None = None,
) -> LossSum:
    """The losses of the N real steps of a batch, chunk by chunk.

    losses_of   makes the losses of some steps
    steps       what it is given of them, each (N, ...); gradients reach these
    owner       the module whose parameters it uses, which get gradients, too; through anything else they are made by autograd, all at once
    labels      whose real elements are the real steps, in the order of `steps`
    weights     how much each record counts
    """
    mask = labels.mask
    of_steps = None if weights is None else labels.real(weights.unsqueeze(1).expand(mask.shape))
    if not torch.is_grad_enabled():
        losses = torch.cat([losses_of(part, *(tensor[part] for tensor in steps)) for part in chunks(len(steps[0]))])
        total = _total(losses, of_steps)
    elif isinstance(owner, nn.Module):
        learning = [parameter for parameter in owner.parameters() if parameter.requires_grad]
        total, losses = _Chunks.apply(losses_of, of_steps, len(steps), *steps, *learning)  # type: ignore[no-untyped-call]
    else:
        losses = losses_of(slice(None), *steps)
        total = _total(losses, of_steps)
    rows = losses.new_zeros(mask.shape).masked_scatter(mask, losses.detach()).sum(1)
    return LossSum(total, rows)


def _total(losses: Float[Tensor, " N"], weights: Float[Tensor, " N"] | None) -> Float[Tensor, ""]:
    return losses.sum() if weights is None else (losses * weights).sum()


def chunks(steps: int) -> Iterator[slice]:
    """Split the steps into parts of at most `CHUNK`; one empty part when there are none."""
    return (slice(start, start + CHUNK) for start in range(0, max(steps, 1), CHUNK))


class _Chunks(torch.autograd.Function):
    """Tensors of steps (N, ...), then parameters -> the weighted sum of the losses (), and the losses (N,), which carry no gradient.

    The gradients of the sum are made in the forward pass, and multiplied by that of whatever was made of it in the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any, losses_of: LossesOfSteps, weights: Tensor | None, count: int, *tensors: Tensor
    ) -> tuple[Float[Tensor, ""], Float[Tensor, " N"]]:
        steps, parameters = tensors[:count], tensors[count:]
        learns = ctx.needs_input_grad[3 : 3 + count]
        losses = torch.empty(len(steps[0]), device=steps[0].device, dtype=torch.promote_types(steps[0].dtype, torch.float32))
        of_steps = [torch.empty_like(tensor) if wanted else None for tensor, wanted in zip(steps, learns, strict=True)]
        of_parameters: list[Tensor | None] = [None] * len(parameters)
        for part in chunks(len(losses)):
            with torch.enable_grad():
                pieces = [tensor[part].detach().requires_grad_(wanted) for tensor, wanted in zip(steps, learns, strict=True)]
                found = losses_of(part, *pieces)
            losses[part] = found.detach()
            leaves = [*(piece for piece in pieces if piece.requires_grad), *parameters]
            upstream = torch.ones_like(found) if weights is None else weights[part].to(found)
            made = list(torch.autograd.grad(found, leaves, upstream, allow_unused=True)) if leaves else []
            for gradient in of_steps:
                if gradient is not None:
                    own = made.pop(0)
                    gradient[part] = 0 if own is None else own
            for place, more in enumerate(made):
                if more is not None:
                    more = more.to(torch.promote_types(more.dtype, torch.float32))
                    so_far = of_parameters[place]
                    of_parameters[place] = more if so_far is None else so_far + more
        ctx.save_for_backward(*of_steps, *of_parameters)
        ctx.mark_non_differentiable(losses)
        return _total(losses, weights), losses

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, *(None if made is None else made * upstream for made in ctx.saved_tensors)
