"""What a Transformer's decoder keeps between steps, and how its layers look back at it: keys and values of all steps, or one vector.

A state's `look_back` begins a step. What it returns is called by each layer in turn, with the layer's number, the layer, and the vectors
that look back; then its `after` is the state behind the step.

Unusual here: the buffers of self-attention for all layers are one tensor, (R, L, 2, G, T, K), so that re-ordering beams is one copy, of
about the filled part only.
"""

from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.layers.attention import KeysValues
from antiphon.layers.transformer_layers import DecoderLayer, Positioned

_ROOM = 8  # steps for which a re-ordered buffer leaves room, so that most re-orderings are one copy


@dataclass(frozen=True)
class AttentionState:
    """`buffer` holds the keys and values of all steps so far, and room for some of the rest."""

    buffer: Float[Tensor, "R L 2 G T K"]
    position: Int[Tensor, " R"]
    max_length: int

    def select_rows(self, index: Int[Tensor, " N"]) -> "AttentionState":
        """As `sequences.select_rows`; where that is known, copies little more than the steps that are filled."""
        place = same_place(self.position)
        buffer = self.buffer if place is None else self.with_room(place).buffer[..., : place + _ROOM, :]
        return AttentionState(buffer.index_select(0, index), self.position.index_select(0, index), self.max_length)

    def with_room(self, place: int) -> "AttentionState":
        """The state with a buffer that has room for the step at `place`, and for some more when it has to grow."""
        length = self.buffer.shape[4]
        if place < length:
            return self
        buffer = self.buffer.new_zeros(*self.buffer.shape[:4], min(place + _ROOM, self.max_length), self.buffer.shape[5])
        buffer[..., :length, :] = self.buffer
        return replace(self, buffer=buffer)

    def look_back(self, positioned: Positioned, dtype: torch.dtype) -> "AttendingBack":
        """Begin a step, for vectors of this type."""
        return AttendingBack(self, positioned, dtype)


@final
class AttendingBack:
    """Self-attention to the steps so far; writes into the state's buffer."""

    def __init__(self, state: AttentionState, positioned: Positioned, dtype: torch.dtype):
        place = same_place(state.position)
        self.state = state if place is None else state.with_room(place)
        self.buffer = self.state.buffer if place is None else self.state.buffer[..., : place + 1, :]
        position = state.position
        self.where = position if place is None else place
        steps = torch.arange(self.buffer.shape[4], device=position.device)
        mask = None if place is not None else (steps <= position.unsqueeze(1))[:, None, None, :]
        if positioned.bias is not None:
            bias = positioned.bias(position.unsqueeze(1), steps).to(dtype)
            bias = bias if mask is None else bias.masked_fill(~mask, float("-inf"))
            mask = bias.view(position.shape[0], self.buffer.shape[3], -1, steps.shape[0])
        self.mask = mask
        angles = positioned.rotary.angles(position) if positioned.rotary else None
        self.rotation = None if angles is None else (angles[0].unsqueeze(1), angles[1].unsqueeze(1))

    def __call__(self, index: int, layer: DecoderLayer, y: Float[Tensor, "R 1 D"]) -> Float[Tensor, "R 1 D"]:
        """What this layer finds in the steps so far, this one included."""
        assert layer.attention is not None, "a layer of recurrence has another state"
        filled = KeysValues(self.buffer[:, index, 0], self.buffer[:, index, 1])
        return layer.attention.step(y.squeeze(1), filled, self.where, self.mask, self.rotation).unsqueeze(1)

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


def same_place(position: Int[Tensor, " R"]) -> int | None:
    """The step at which all rows are, so that only what is filled needs attending to, and without a mask.

    None where they differ, or where asking would cost more than it saves: a GPU has to wait for the answer, and an exported step must
    have static shapes.
    """
    if position.device.type != "cpu" or torch.compiler.is_compiling() or position.shape[0] == 0:
        return None
    lowest, highest = (int(end) for end in position.aminmax())
    return lowest if lowest == highest else None
