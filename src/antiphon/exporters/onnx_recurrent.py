"""Recurrent layers as ONNX's LSTM and GRU operators, which take the length of each sequence.

Unusual here: torch's own export of a recurrent layer fixes the number of steps, and does not export packed sequences at all. So whole
sequences become one operator for each layer, whose weights are stored in its order of gates (onnx.ai, operators LSTM and GRU).
"""

from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from antiphon.layers.recurrent import RecurrentStack, RecurrentState

GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}  # torch: input, forget, cell, output; reset, update, new


@final
class OperatorStack(nn.Module):
    """A `RecurrentStack` in evaluation mode that uses operators for whole sequences; only for tracing, since torch cannot run them."""

    def __init__(self, stack: RecurrentStack):
        super().__init__()
        self.stack, self.cell, self.both = stack, stack.cell, stack.bidirectional
        for depth, layer in enumerate(stack.layers):
            for name, tensor in zip(("weights", "recurrence", "biases"), self._stored(layer), strict=True):
                self.register_buffer(f"{name}_{depth}", tensor)
            if self.cell == "lstm" and not self.both:
                self._join(depth, layer)

    def _join(self, depth: int, layer: Any) -> None:
        """Keep a layer's weights as a step takes them: (4 * width, C + width), the gates that open first, and what is new last."""

        def ordered(tensor: Tensor) -> Tensor:
            entering, staying, new, leaving = tensor.detach().chunk(4)
            return torch.cat((entering, staying, leaving, new))

        self.register_buffer(f"joined_{depth}", torch.cat((ordered(layer.weight_ih_l0), ordered(layer.weight_hh_l0)), dim=1))
        self.register_buffer(f"joined_bias_{depth}", ordered(layer.bias_ih_l0 + layer.bias_hh_l0))

    def _stored(self, layer: Any) -> tuple[Tensor, Tensor, Tensor]:
        """A layer's weights in the operator's layout: (directions, gates * width, C), (directions, gates * width, width), biases."""

        def ordered(name: str) -> Tensor:
            tensors = [getattr(layer, name + end).detach() for end in ("", "_reverse")[: 1 + self.both]]
            return torch.stack([torch.cat([tensor.chunk(len(GATES[self.cell]))[gate] for gate in GATES[self.cell]]) for tensor in tensors])

        biases = torch.cat([ordered("bias_ih_l0"), ordered("bias_hh_l0")], dim=1)
        return ordered("weight_ih_l0"), ordered("weight_hh_l0"), biases

    def forward(
        self,
        x: Float[Tensor, "N T C"],
        lengths: Int[Tensor, " N"] | None = None,
        state: RecurrentState | None = None,
        counts: np.ndarray | None = None,
    ) -> tuple[Float[Tensor, "N T D"], RecurrentState]:
        """All steps, like `RecurrentStack.forward` without an initial state."""
        assert state is None, "a decoder is exported by steps"
        finals = []
        for depth in range(len(self.stack.layers)):
            x, *ends = self._operator(depth, x, lengths)
            finals.append([end.transpose(0, 1).flatten(1) for end in ends])
        hidden = torch.stack([ends[0] for ends in finals], dim=1)
        return x, RecurrentState(hidden, torch.stack([ends[1] for ends in finals], dim=1) if self.cell == "lstm" else None)

    def _operator(self, depth: int, x: Float[Tensor, "N T C"], lengths: Tensor | None) -> tuple[Tensor, ...]:
        rows, steps = x.shape[0], x.shape[1]
        weights = [getattr(self, f"{name}_{depth}") for name in ("weights", "recurrence", "biases")]
        directions, width = weights[1].shape[0], weights[1].shape[2]
        ends = 2 if self.cell == "lstm" else 1
        found = torch.onnx.ops.symbolic_multi_out(
            "LSTM" if self.cell == "lstm" else "GRU",
            [x.transpose(0, 1), *weights, None if lengths is None else lengths.to(torch.int32)],
            {
                "hidden_size": width,
                "direction": "bidirectional" if self.both else "forward",
                **({} if self.cell == "lstm" else {"linear_before_reset": 1}),
            },
            dtypes=[x.dtype] * (1 + ends),
            shapes=[(steps, directions, rows, width), *((directions, rows, width),) * ends],
            version=14,
        )
        return found[0].permute(2, 0, 1, 3).flatten(2), *found[1:]

    def step(self, x: Float[Tensor, "R C"], state: RecurrentState) -> tuple[Float[Tensor, "R D"], RecurrentState]:
        """One step, which needs no operator of its own. All gates of an LSTM's layer are one product."""
        if state.cell is None:
            return self.stack.step(x, state)
        hiddens, cells = [], []
        for depth in range(len(self.stack.layers)):
            both = torch.cat((x, state.hidden[:, depth]), dim=-1)
            opening, new = nn.functional.linear(both, getattr(self, f"joined_{depth}"), getattr(self, f"joined_bias_{depth}")).split(
                (3 * state.hidden.shape[2], state.hidden.shape[2]), dim=-1
            )
            entering, staying, leaving = opening.sigmoid().chunk(3, dim=-1)
            cells.append(staying * state.cell[:, depth] + entering * new.tanh())
            x = leaving * cells[-1].tanh()
            hiddens.append(x)
        return x, RecurrentState(torch.stack(hiddens, dim=1), torch.stack(cells, dim=1))


def with_operators(model: nn.Module) -> None:
    """Replace every recurrent stack within a model, which can then only be traced."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, RecurrentStack):
                setattr(module, name, OperatorStack(child))
