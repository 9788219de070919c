"""The attention state between steps when all rows are at the same step, as they are in every search.

The step is a number of the host: nothing is asked of the device, no position is a tensor, and only what is filled is attended to. Buffers
begin small and grow to twice their size, since a recording has many more frames than its text has symbols.

Unusual here: once a beam was re-ordered, the rows of a source share a pool of all that they ever said, and a mask says what lies on the
way to each of them (parent pointers instead of copies). Re-ordering then copies the mask alone, which is K * L * 2 * G times smaller. The
rows of a source put their queries side by side, so the pool is read once for all of them; with a wide beam that costs more than copying
saves, so there rows keep buffers of their own.
"""

from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from antiphon.layers.transformer_layers import DecoderLayer, Positioned

_ROOM = 8  # steps for which there is room at least
_WIDEST = 8  # hypotheses of a source that share a pool; with 10 the products with what others said cost as much as the copies


@dataclass(frozen=True)
class Seen:
    """The bias that cross-attention adds to its scores for a memory's mask, computed once for all steps; None where nothing is masked."""

    mask: Bool[Tensor, "B S"]
    bias: Float[Tensor, "B 1 1 S"] | None


@dataclass(frozen=True)
class LockstepState:
    """Keys and values of the `place` steps so far, with room for more.

    `buffer` has N = R / W rows, whose places are C = steps * W: W hypotheses share each. `ways` is 0 where a hypothesis has said what
    stands there, and minus infinity elsewhere; None where nothing is shared (W = 1). Behind the steps so far every hypothesis follows
    itself.
    """

    buffer: Float[Tensor, "N L 2 G C K"]
    ways: Float[Tensor, "N W C"] | None
    seen: Seen | None
    place: int
    width: int
    max_length: int

    @property
    def filled(self) -> int:
        """The slots of the buffer that are in use."""
        return self.place * self.width

    def select_rows(self, index: Int[Tensor, " N"]) -> "LockstepState":
        """Implements `sequences.select_rows`. Rows that share a pool stay together if all rows of a source follow rows of the same
        source."""
        if self.ways is None:
            return replace(self, buffer=self.buffer[..., : self.place + _ROOM, :].index_select(0, index))
        sources = (index // self.width).view(-1, self.width) if len(index) % self.width == 0 else None
        if sources is None or bool((sources != sources[:, :1]).any()):
            return self._apart().select_rows(index)
        pool = self.buffer[..., : self.filled + _ROOM * self.width, :].index_select(0, sources[:, 0])
        ways = self.ways.flatten(0, 1).index_select(0, index)[:, : pool.shape[4]].view(-1, self.width, pool.shape[4])
        _own_ways(ways[..., self.filled :])
        return replace(self, buffer=pool, ways=ways)

    def reorder(self, index: Int[Tensor, "B W"]) -> "LockstepState":
        """Implements `sequences.reorder`; this state must not be used afterwards."""
        width = index.shape[1]
        if not 1 < width <= _WIDEST or self.width not in (1, width):
            return self.select_rows(index.flatten())
        state = self if self.width == width else self._together(width)
        assert state.ways is not None, "rows share a pool now"
        ways = state.ways.flatten(0, 1)[:, : state.filled]
        ways.copy_(ways.index_select(0, index.flatten()))
        return state

    def with_room(self) -> "LockstepState":
        """The state with room for the next step; the buffer doubles when it is full."""
        have = self.buffer.shape[4]
        if self.filled + self.width <= have:
            return self
        assert self.place < self.max_length, f"there is room for {self.max_length} steps"
        steps = min(max(2 * self.place, self.place + _ROOM), self.max_length)
        buffer = self.buffer.new_empty(*self.buffer.shape[:4], steps * self.width, self.buffer.shape[5])
        buffer[..., : self.filled, :] = self.buffer[..., : self.filled, :]
        if self.ways is None:
            return replace(self, buffer=buffer)
        ways = self.ways.new_empty(*self.ways.shape[:2], steps * self.width)
        ways[..., : self.filled] = self.ways[..., : self.filled]
        _own_ways(ways[..., self.filled :])
        return replace(self, buffer=buffer, ways=ways)

    def seeing(self, mask: Bool[Tensor, "B S"], dtype: torch.dtype) -> "LockstepState":
        """The state with the bias that masks the padding of this memory."""
        if self.seen is not None and self.seen.mask is mask:
            return self
        return replace(self, seen=Seen(mask, None if bool(mask.all()) else hiding(mask, dtype)))

    def _together(self, width: int) -> "LockstepState":
        """Let the rows of a source share a pool from here on."""
        rows, layers, _, groups, _, size = self.buffer.shape
        own = self.buffer[..., : self.place, :].view(rows // width, width, layers, 2, groups, self.place, size)
        pool = own.permute(0, 2, 3, 4, 5, 1, 6).flatten(4, 5)
        ways = self.buffer.new_empty(rows // width, width, self.place * width)
        _own_ways(ways)
        return replace(self, buffer=pool, ways=ways, width=width)

    def _apart(self) -> "LockstepState":
        """Give each row a buffer of its own again."""
        assert self.ways is not None, "asked only of a pool"
        said = (self.ways[..., : self.filled] == 0).unflatten(2, (self.place, self.width)).to(torch.uint8).argmax(-1)  # (N, W, steps)
        pool = self.buffer[..., : self.filled, :].unflatten(4, (self.place, self.width)).permute(0, 4, 5, 1, 2, 3, 6)
        device = said.device
        sources, steps = torch.arange(len(said), device=device), torch.arange(self.place, device=device)
        own = pool[sources[:, None, None], steps, said].flatten(0, 1)  # (R, steps, L, 2, G, K)
        return replace(self, buffer=own.permute(0, 2, 3, 4, 1, 5).contiguous(), ways=None, width=1)

    def look_back(self, positioned: Positioned, dtype: torch.dtype) -> "LookingBack":
        """Begin a step, for vectors of this dtype, in a state that has room for it."""
        return LookingBack(self, positioned, dtype)


@final
class LookingBack:
    """Self-attention to the steps so far; writes into the state's buffer."""

    def __init__(self, state: LockstepState, positioned: Positioned, dtype: torch.dtype):
        self.state, place, width = state, state.place, state.width
        end = state.filled + width
        self.layers = state.buffer[..., :end, :].unbind(1)
        self.rotation = None if positioned.rotary is None else positioned.rotary.angles_at(place, state.buffer.device)
        groups = state.buffer.shape[3]
        mask = None if state.ways is None else state.ways[:, None, :, None, :end].to(dtype)  # (N, 1, W, 1, C)
        if positioned.bias is not None:
            steps = torch.arange(place + 1, device=state.buffer.device)
            bias = positioned.bias(steps[-1:], steps).to(dtype).squeeze(1).repeat_interleave(width, dim=1)  # (H, C)
            bias = bias.view(1, groups, 1, -1, end)
            mask = bias if mask is None else mask + bias
        elif mask is not None:
            mask = mask.expand(-1, -1, -1, positioned.heads // groups, -1)
        self.mask = None if mask is None else mask.flatten(2, 3)

    def __call__(self, index: int, layer: DecoderLayer, y: Float[Tensor, "R D"]) -> Float[Tensor, "R D"]:
        """The layer's self-attention output over the steps so far, this one included."""
        assert layer.attention is not None, "a layer of recurrence has another state"
        return layer.attention.append(y, self.layers[index], self.mask, self.rotation)

    def after(self) -> LockstepState:
        """The state after all layers have been called."""
        return replace(self.state, place=self.state.place + 1)


def hiding(mask: Bool[Tensor, "B S"], dtype: torch.dtype) -> Float[Tensor, "B 1 1 S"]:
    """The bias to add to scores so that nothing is attended to where the mask is False."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, -torch.inf)[:, None, None, :]


def _own_ways(ways: Float[Tensor, "N W C"]) -> None:
    """Initialize the histories such that each hypothesis follows itself."""
    width = ways.shape[1]
    own = torch.eye(width, dtype=torch.bool, device=ways.device)
    ways.copy_(ways.new_zeros(width, width).masked_fill_(~own, -torch.inf).repeat(1, ways.shape[2] // width))
