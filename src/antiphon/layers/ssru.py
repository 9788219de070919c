"""The simpler simple recurrent unit (SSRU, Kim et al. 2019): a recurrent layer that can replace self-attention in a decoder.

    f_t = sigmoid(W_f x_t + b_f)        c_t = f_t * c_{t-1} + (1 - f_t) * (W x_t)        h_t = relu(c_t)

The matrix products do not depend on the state, so in training they are done for all steps at once, and a step of decoding costs the same
however long the output is already: its state is one vector.

Unusual here: the recurrence over steps has its own backward pass, so a step is one operation and leaves nothing behind for autograd. It
runs in single precision (or double), also where the products are done in half.
"""

from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import relu

from antiphon.layers.linear import Linear


class _Recurrence(torch.autograd.Function):
    """Forget gates and candidates (T, N, D) -> cells (T, N, D), starting from a cell of 0."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, candidates: Tensor) -> Tensor:
        cells = torch.empty_like(candidates)
        cell = torch.zeros_like(candidates[0])
        for step in range(len(gates)):
            cell = torch.lerp(candidates[step], cell, gates[step], out=cells[step])
        ctx.save_for_backward(gates, candidates, cells)
        return cells

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        gates, candidates, cells = ctx.saved_tensors
        total = gradient.clone()  # what each cell gets from its own output and through the cells behind it
        for step in range(len(gates) - 1, 0, -1):
            total[step - 1].addcmul_(gates[step], total[step])
        earlier = torch.cat([torch.zeros_like(cells[:1]), cells[:-1]])
        return total * (earlier - candidates), total * (1 - gates)


@final
class SSRU(nn.Module):
    """`forward` computes all steps at once, `step` one. Gate and candidate share one matrix; only the gate has a bias."""

    def __init__(self, dim: int, *, bias: bool = True):
        super().__init__()
        self.gate_candidate = Linear(dim, 2 * dim, bias=False)
        self.gate_bias = nn.Parameter(torch.zeros(dim)) if bias else None

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """The output at every step, which depends on the steps up to it."""
        gates, candidates = self._project(x.transpose(0, 1))
        cells: Tensor = _Recurrence.apply(gates, candidates)  # type: ignore[no-untyped-call]
        return relu(cells).transpose(0, 1).to(x.dtype)

    def step(self, x: Float[Tensor, "R D"], cell: Float[Tensor, "R D"]) -> tuple[Float[Tensor, "R D"], Float[Tensor, "R D"]]:
        """The output and the next cell."""
        gate, candidate = self._project(x)
        cell = torch.lerp(candidate, cell.to(candidate.dtype), gate)
        return relu(cell).to(x.dtype), cell

    def _project(self, x: Float[Tensor, "... D"]) -> tuple[Float[Tensor, "... D"], Float[Tensor, "... D"]]:
        projected = self.gate_candidate(x)
        gate, candidate = projected.to(torch.promote_types(projected.dtype, torch.float32)).chunk(2, dim=-1)
        return torch.sigmoid(gate if self.gate_bias is None else gate + self.gate_bias), candidate.contiguous()
