"""What a Transformer's decoder keeps between steps as tensors alone, as graphs need it: keys and values of all steps, or one vector.

A state's `look_back` begins a step. What it returns is called by each layer in turn, with the layer's number, the layer, and the vectors
that look back; then its `after` is the state behind the step. Searches keep attention otherwise (`lockstep.py`).
"""

from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.layers.attention import KeysValues
from antiphon.layers.transformer_layers import DecoderLayer, Positioned


@dataclass(frozen=True)
class AttentionState:
    """`buffer` holds the keys and values of all steps so far, and room for the rest; none at all before the first step of a search."""

    buffer: Float[Tensor, "R L 2 G T K"]
    position: Int[Tensor, " R"]
    max_length: int
    for_graph: bool = False
    """Whether every step must be the same operations on tensors."""

    def of_graph(self) -> "AttentionState":
        """The state before the first step as a graph needs it: with all the room that there will ever be."""
        buffer = self.buffer.new_zeros(*self.buffer.shape[:4], self.max_length, self.buffer.shape[5])
        return replace(self, buffer=buffer, for_graph=True)

    def look_back(self, positioned: Positioned, dtype: torch.dtype) -> "AttendingBack":
        """Begin a step, for vectors of this type."""
        return AttendingBack(self, positioned, dtype)


@final
class AttendingBack:
    """Self-attention to the steps so far; writes into the state's buffer."""

    def __init__(self, state: AttentionState, positioned: Positioned, dtype: torch.dtype):
        self.state, self.buffer = state, state.buffer
        position = state.position
        steps = torch.arange(self.buffer.shape[4], device=position.device)
        mask = (steps <= position.unsqueeze(1))[:, None, None, :]
        if positioned.bias is not None:
            bias = positioned.bias(position.unsqueeze(1), steps).to(dtype)
            mask = bias.masked_fill(~mask, float("-inf")).view(position.shape[0], self.buffer.shape[3], -1, steps.shape[0])
        self.mask = mask
        angles = positioned.rotary.angles(position) if positioned.rotary else None
        self.rotation = None if angles is None else (angles[0].unsqueeze(1), angles[1].unsqueeze(1))

    def __call__(self, index: int, layer: DecoderLayer, y: Float[Tensor, "R 1 D"]) -> Float[Tensor, "R 1 D"]:
        """What this layer finds in the steps so far, this one included."""
        assert layer.attention is not None, "a layer of recurrence has another state"
        filled = KeysValues(self.buffer[:, index, 0], self.buffer[:, index, 1])
        return layer.attention.step(y.squeeze(1), filled, self.state.position, self.mask, self.rotation).unsqueeze(1)

    def after(self) -> AttentionState:
        """The state once every layer was called."""
        return replace(self.state, position=self.state.position + 1)


@dataclass(frozen=True)
class CellState:
    """The cells of all layers: as large at the last step as at the first."""

    cells: Float[Tensor, "R L D"]
    position: Int[Tensor, " R"]

    def look_back(self, positioned: Positioned, dtype: torch.dtype) -> "RecurringBack":
        """Begin a step; a recurrence needs to know nothing of positions."""
        return RecurringBack(self)


@final
class RecurringBack:
    """A step of every layer's recurrence; leaves the given state alone."""

    def __init__(self, state: CellState):
        self.state = state
        self.cells: list[Tensor] = []

    def __call__(self, index: int, layer: DecoderLayer, y: Float[Tensor, "R 1 D"]) -> Float[Tensor, "R 1 D"]:
        """What this layer keeps of the steps so far, this one included."""
        assert layer.recurrence is not None, "a layer of attention has another state"
        found, cell = layer.recurrence.step(y.squeeze(1), self.state.cells[:, index])
        self.cells.append(cell)
        return found.unsqueeze(1)

    def after(self) -> CellState:
        """The state once every layer was called."""
        return CellState(torch.stack(self.cells, dim=1), self.state.position + 1)
