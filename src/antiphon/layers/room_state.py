"""The state of an attention decoder with tensors of fixed shapes, for programs that are compiled for certain shapes.

There is room for more steps than were taken, all of it is attended to, and a mask hides what nobody said yet; where the rows stand is a
tensor. The hypotheses of a source share a pool of all that they ever said, as in `lockstep.py`, so re-ordering them re-orders the mask.

Unusual here: keys and values of a layer are a tensor of their own, since a compiler writes in place to what it is given, and copies what
it is given a part of.
"""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.layers.attention import Rotation
from antiphon.layers.lockstep import LockstepState
from antiphon.layers.transformer_layers import DecoderLayer, Positioned

ROOM = 32  # steps for which there is room at first
WIDEST = 8  # hypotheses of a source that share a pool; more of them cost more in products than copies do


@dataclass(frozen=True)
class RoomState:
    """Each of the N pools is for W rows, R = N * W, and has C = steps * W slots.

    `buffers` are the layers' keys and values. `ways` is 0 where a row has said what stands there, and minus infinity elsewhere. `place`
    is how many steps were taken, the same in all pools.
    """

    buffers: tuple[Float[Tensor, "N 2 G C K"], ...]
    ways: Float[Tensor, "N W C"]
    place: Int[Tensor, " N"]

    @property
    def position(self) -> Int[Tensor, " R"]:
        """The position of the rows, which is the same for all."""
        return self.place[:1].expand(self.ways.shape[0] * self.ways.shape[1])

    @property
    def room(self) -> int:
        """The number of steps that there is room for."""
        return self.ways.shape[2] // self.ways.shape[1]

    def look_back(self, positioned: Positioned, dtype: torch.dtype) -> "LookingAtAll":
        """Begin a step, for vectors of this dtype."""
        return LookingAtAll(self, positioned, dtype)

    def select_rows(self, index: Int[Tensor, " N"]) -> "RoomState":
        """Implements `sequences.select_rows`. Rows that share a pool stay together if all rows of a source follow rows of the same
        source."""
        width = self.ways.shape[1]
        ways = self.ways.flatten(0, 1).index_select(0, index)
        if width == 1:
            return RoomState(
                tuple(one.index_select(0, index) for one in self.buffers), ways.unsqueeze(1), self.place.index_select(0, index)
            )
        sources = (index // width).view(-1, width) if len(index) % width == 0 else None
        if sources is None or bool((sources != sources[:, :1]).any()):
            return self._apart().select_rows(index)
        first = sources[:, 0]
        pools = tuple(one.index_select(0, first) for one in self.buffers)
        return RoomState(pools, ways.view(-1, width, ways.shape[-1]), self.place.index_select(0, first))

    def reorder(self, index: Int[Tensor, "B W"]) -> "RoomState":
        """Implements `sequences.reorder`; this state must not be used afterwards."""
        if self.ways.shape[1] != index.shape[1]:
            return self.select_rows(index.flatten())
        rows = index.flatten()
        return replace(self, ways=self.ways.flatten(0, 1).index_select(0, rows).view_as(self.ways))

    def with_room(self, steps: int) -> "RoomState":
        """The state with room for the given number of steps."""
        more = steps * self.ways.shape[1] - self.ways.shape[2]
        wider = tuple(torch.nn.functional.pad(one, (0, 0, 0, more)) for one in self.buffers)
        return replace(self, buffers=wider, ways=torch.nn.functional.pad(self.ways, (0, more), value=-torch.inf))

    def _apart(self) -> "RoomState":
        """Give each row a pool of its own again."""
        pools, width, places = self.ways.shape
        said = (self.ways == 0).unflatten(2, (-1, width)).to(torch.uint8)
        own = torch.arange(places // width, device=said.device) * width + said.argmax(-1)  # (N, W, steps)
        rows = torch.arange(pools, device=said.device).view(-1, 1, 1)
        buffers = tuple(one.movedim(3, 1)[rows, own].flatten(0, 1).movedim(1, 3) for one in self.buffers)
        ways = self.ways.new_zeros(pools * width, 1, places // width).masked_fill_(
            said.amax(-1).flatten(0, 1).unsqueeze(1) == 0, -torch.inf
        )
        return RoomState(buffers, ways, self.place.repeat_interleave(width))


@final
class LookingAtAll:
    """Self-attention to all slots, masked to a row's own past; writes into the state's tensors."""

    def __init__(self, state: RoomState, positioned: Positioned, dtype: torch.dtype):
        self.state, width, device = state, state.ways.shape[1], state.ways.device
        beside = torch.arange(width, device=device)
        self.at = state.place[:1] * width + beside
        places = torch.arange(state.ways.shape[2], device=device)
        state.ways.masked_fill_(places == self.at.unsqueeze(1), 0.0)
        self.rotation: Rotation | None = None
        if positioned.rotary is not None:
            cosines, sines = positioned.rotary.angles(state.place[:1])
            self.rotation = cosines.squeeze(0), sines.squeeze(0)
        groups = state.buffers[0].shape[2]
        mask = state.ways[:, None, :, None].to(dtype)  # (N, 1, W, 1, C)
        if positioned.bias is not None:
            bias = positioned.bias(state.place[:1], places // width).to(dtype).squeeze(1)  # (H, C)
            mask = mask + bias.view(1, groups, 1, -1, bias.shape[-1])
        else:
            mask = mask.expand(-1, -1, -1, positioned.heads // groups, -1)
        self.mask = mask.flatten(2, 3)

    def __call__(self, index: int, layer: DecoderLayer, y: Float[Tensor, "R 1 D"]) -> Float[Tensor, "R 1 D"]:
        """The layer's self-attention output over the steps so far, this one included."""
        assert layer.attention is not None, "a layer of recurrence has another state"
        return layer.attention.append(y.squeeze(1), self.state.buffers[index], self.mask, self.rotation, at=self.at).unsqueeze(1)

    def after(self) -> RoomState:
        """The state after all layers have been called."""
        return replace(self.state, place=self.state.place + 1)


def roomy(tree: Any, sources: int) -> Any:
    """A first state in which growing buffers are replaced by ones with fixed room. With at most `WIDEST` rows per source, these share a
    pool."""
    if isinstance(tree, LockstepState):
        rows, layers, _, groups, _, size = tree.buffer.shape
        width = rows // max(sources, 1)
        pools, width = (sources, width) if width <= WIDEST else (rows, 1)
        buffers = tuple(tree.buffer.new_zeros(pools, 2, groups, ROOM * width, size) for _ in range(layers))
        ways = tree.buffer.new_full((pools, width, ROOM * width), -torch.inf)
        return RoomState(buffers, ways, torch.zeros(pools, dtype=torch.long, device=tree.buffer.device))
    if is_dataclass(tree) and not isinstance(tree, type):
        return replace(tree, **{one.name: roomy(getattr(tree, one.name), sources) for one in fields(tree) if one.init})
    return tree
