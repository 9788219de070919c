"""The decoder state of a Transformer whose decoder is recurrent: one vector per layer.

A state's `look_back` begins a step. What it returns is called by each layer in turn, with the layer's number, the layer, and the vectors
that look back; then its `after` is the state behind the step. A decoder of attention keeps more: `lockstep.py` in a search, and
`growing_state.py` in a graph.
"""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.layers.transformer_layers import DecoderLayer, Positioned


@dataclass(frozen=True)
class CellState:
    """The cells of all layers, whose size does not grow from step to step."""

    cells: Float[Tensor, "R L D"]
    position: Int[Tensor, " R"]

    def look_back(self, positioned: Positioned, dtype: torch.dtype) -> "RecurringBack":
        """Begin a step; a recurrence needs no positions."""
        return RecurringBack(self)


@final
class RecurringBack:
    """One step of every layer's recurrence; does not change the given state."""

    def __init__(self, state: CellState):
        self.state = state
        self.cells: list[Tensor] = []

    def __call__(self, index: int, layer: DecoderLayer, y: Float[Tensor, "R 1 D"]) -> Float[Tensor, "R 1 D"]:
        """The layer's output for the steps so far, this one included."""
        assert layer.recurrence is not None, "a layer of attention has another state"
        found, cell = layer.recurrence.step(y.squeeze(1), self.state.cells[:, index])
        self.cells.append(cell)
        return found.unsqueeze(1)

    def after(self) -> CellState:
        """The state after all layers have been called."""
        return CellState(torch.stack(self.cells, dim=1), self.state.position + 1)
