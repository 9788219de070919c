"""Dropout (Srivastava et al. 2014) with cheap random numbers on the CPU.

Unusual here: torch draws a number of 64 bits for every element, which takes a fifth of the time of a small Conformer's update. 16 bits
are enough to decide, so one draw serves four elements. The probability is rounded to a multiple of 2**-16, and what is kept is scaled for
the rounded one, so expectations are exact. A byte for each element says for the way back what was kept, which is a quarter of what a
factor takes; and bytes become numbers five times as fast as truth values do. Everything else (GPUs, compilation) takes torch's own way.
"""

from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_LEVELS = 1 << 16


def dropout(x: Float[Tensor, "..."], probability: float) -> Float[Tensor, "..."]:
    """Zero each element with this probability, and scale the others by 1 / (1 - probability)."""
    dropped = round(probability * _LEVELS)
    if x.device.type != "cpu" or torch.compiler.is_compiling() or not 0 < dropped < _LEVELS:
        return nn.functional.dropout(x, probability)
    thinned: Tensor = _Dropped.apply(x, dropped)  # type: ignore[no-untyped-call]
    return thinned


class _Dropped(torch.autograd.Function):
    """x of any shape, and the number of random levels at which an element is dropped."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dropped: int) -> Tensor:
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = (draws.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - _LEVELS // 2).view(torch.uint8)
        ctx.save_for_backward(kept)
        ctx.scale = _LEVELS / (_LEVELS - dropped)
        return kept.to(x.dtype).mul_(ctx.scale).mul_(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return kept.to(gradient.dtype).mul_(ctx.scale).mul_(gradient), None


@final
class Dropout(nn.Dropout):
    """`nn.Dropout`, by `dropout`."""

    def forward(self, input: Float[Tensor, "..."]) -> Float[Tensor, "..."]:  # noqa: A002 - the name of nn.Dropout
        """The input unchanged in evaluation mode, with dropout in training mode."""
        return dropout(input, self.p) if self.training and self.p > 0 else input
