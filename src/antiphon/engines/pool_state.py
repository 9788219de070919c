"""The state of a decoder that appends keys and values (`exporters/attention_step.py`): a pool for each source.

Everything that any hypothesis of a source said has a slot in the source's pool, and a mask says which slots each hypothesis follows. So
re-ordering hypotheses copies their rows of the mask, and no keys or values. Slots that nobody follows any more are given up when the pool
is full, and it grows by a factor when too few are.

Unusual here: pools are shared like the arrays behind slices in Go: whoever finds that another has appended behind it takes a copy. So
states that were selected from the same one may each go on, and yet in the usual case nothing is copied.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

HIDDEN = -1e9  # added to a score it leaves a weight of exactly 0, and unlike infinity it never becomes NaN
_FIRST = 16  # steps for which there is room at first


@dataclass
class Pool:
    """Keys (L, B, G, K, P) and values (L, B, G, P, K) of past steps, and the steps (B, P) they belong to; the first `filled` slots are in
    use.

    Slots that are not taken have the step at which they will be, where each takes `beams` of them.
    """

    keys: Float[Tensor, "L B G K P"]
    values: Float[Tensor, "L B G P K"]
    places: Int[Tensor, "B P"]
    filled: int = 0
    beams: int = 1

    @property
    def room(self) -> int:
        """The number of all slots."""
        return self.places.shape[1]

    def taken(self, slots: Int[Tensor, "B N"], room: int) -> "Pool":
        """The pool with these slots of each source moved to its beginning, and `room` slots in all."""
        other, N = self._empty(room, slots.shape[1]), slots.shape[1]
        for source, own in enumerate(slots.unbind()):  # several times as fast as one `gather`
            other.keys[:, source, ..., :N] = self.keys[:, source].index_select(3, own)
            other.values[:, source, :, :N] = self.values[:, source].index_select(2, own)
        other.places[:, :N] = self.places.gather(1, slots)
        return other

    def longer(self, length: int, room: int) -> "Pool":
        """The pool with its first `length` slots, and `room` slots in all."""
        other = self._empty(room, length)
        other.keys[..., :length] = self.keys[..., :length]
        other.values[..., :length, :] = self.values[..., :length, :]
        other.places[:, :length] = self.places[:, :length]
        return other

    def going_on(self, length: int, position: int, beams: int) -> "Pool":
        """The pool in which slots from `length` on belong to steps from `position` on."""
        self.places[:, length:] = position + torch.arange(self.room - length) // beams
        self.filled, self.beams = length, beams
        return self

    def _empty(self, room: int, written: int) -> "Pool":
        """An empty pool of the given size, whose first slots will be written at once; the others are 0, since they take part in products,
        too."""
        L, B, G, K, _ = self.keys.shape
        keys, values = uninitialized(self.keys, L, B, G, K, room), uninitialized(self.values, L, B, G, room, K)
        keys[..., written:].zero_()
        values[..., written:, :].zero_()
        return Pool(keys, values, self.places.new_zeros(B, room))

    def of_sources(self, sources: Int[Tensor, " N"]) -> "Pool":
        """The pools of selected sources."""
        return Pool(self.keys.index_select(1, sources), self.values.index_select(1, sources), self.places[sources], self.filled, self.beams)


@dataclass(frozen=True)
class PoolState:
    """The hypotheses R of some sources, all at the same position: `source` gives the pool of each, `visible` masks its slots (0, or a large
    negative number). `length` slots are filled. `moved` says whether rows were selected since the last step. `step` computed that step, and
    computes the next one if it still fits."""

    pool: Pool
    visible: Float[Tensor, "R P"]
    source: Int[Tensor, " R"]
    length: int = 0
    position: int = 0
    moved: bool = False
    step: Any = None

    def select_rows(self, index: Int[Tensor, " N"]) -> "PoolState":
        """Implements `sequences.select_rows`: the pools stay where they are until the next step."""
        return replace(self, visible=self.visible.index_select(0, index), source=self.source.index_select(0, index), moved=True)

    def ready(self, sources: int) -> "PoolState":
        """The state with one pool per source, in order, and room for one step of all rows."""
        state = self._sorted(sources) if self.moved else self
        beams, pool = state.source.shape[0] // max(sources, 1), state.pool
        if state.length + beams <= pool.room and (pool.filled, pool.beams) == (state.length, beams):
            return state
        return state._with_room(sources, beams)

    def appended(self, keys: Float[Tensor, "L B G K W"], values: Float[Tensor, "L B G W K"], step: Any = None) -> "PoolState":
        """The state after a step that decoded one element for each row, given its new keys and values; writes into the pool and the
        mask."""
        beams = keys.shape[-1]
        behind = self.length + beams
        self.pool.keys.narrow(-1, self.length, beams).copy_(keys)
        self.pool.values.narrow(-2, self.length, beams).copy_(values)
        self.pool.filled = behind
        if beams == 1:
            self.visible.select(1, self.length).zero_()
        else:
            own = self.visible.view(-1, beams, self.visible.shape[1])[..., self.length : behind]
            own.diagonal(dim1=1, dim2=2).zero_()
        # `dataclasses.replace` takes as long as an operation of torch.
        return PoolState(self.pool, self.visible, self.source, behind, self.position + 1, self.moved, step)

    def _sorted(self, sources: int) -> "PoolState":
        beams = len(self.source) // max(sources, 1)
        owners = self.source.view(sources, beams)
        first = owners[:, 0] if beams else owners.new_zeros(sources)
        assert torch.equal(owners, first.unsqueeze(1).expand_as(owners)), "hypotheses stay with their source"
        every = torch.arange(sources)
        if sources == len(self.pool.places) and torch.equal(first, every):
            return replace(self, moved=False)
        return replace(self, pool=self.pool.of_sources(first), source=every.repeat_interleave(beams), moved=False)

    def _with_room(self, sources: int, beams: int) -> "PoolState":
        """A new pool without the slots that no hypothesis uses, and with room for as many again."""
        follows = self.visible.view(sources, beams, -1)[..., : self.length] == 0
        used = follows.any(1)
        most = int(used.sum(1).max()) if used.numel() else 0
        room = max(2 * most, most + beams, _FIRST * beams)
        if most == self.length:
            pool, visible = self.pool.longer(most, room), self.visible[:, :most]
        else:
            slots = used.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
            pool = self.pool.taken(slots, room)
            kept = follows.gather(2, slots.unsqueeze(1).expand(-1, beams, -1)).flatten(0, 1)
            visible = torch.full_like(kept, HIDDEN, dtype=self.visible.dtype).masked_fill_(kept, 0)
        visible = nn.functional.pad(visible, (0, room - most), value=HIDDEN)
        return replace(self, pool=pool.going_on(most, self.position, beams), visible=visible, length=most)


def empty(sources: int, beams: int, sizes: tuple[int, int, int], like: Tensor) -> PoolState:
    """The state before the first step; `sizes` are layers, heads and their width, `like` any tensor of the same type and device."""
    layers, groups, width = sizes
    pool = Pool(
        uninitialized(like, layers, sources, groups, width, _FIRST * beams).zero_(),
        uninitialized(like, layers, sources, groups, _FIRST * beams, width).zero_(),
        like.new_zeros(sources, _FIRST * beams, dtype=torch.long),
    ).going_on(0, 0, max(beams, 1))
    visible = like.new_full((sources * beams, _FIRST * beams), HIDDEN)
    return PoolState(pool, visible, torch.arange(sources).repeat_interleave(beams))


def uninitialized(like: Tensor, *shape: int) -> Tensor:
    """Like `new_empty`, but allocated by numpy, which requests huge pages: allocating small ones takes twice as long as filling them."""
    size = math.prod(shape) * like.element_size()
    return torch.from_numpy(np.empty(size, dtype=np.uint8)).view(like.dtype).view(shape)
