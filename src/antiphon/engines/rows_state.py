"""What is kept between the steps of a decoder that writes in place (`exporters/attention_in_place.py`): keys and values of each row.

Row (b, w) keeps what the w-th hypothesis of source b said at each step, whoever goes on with it. For each hypothesis, `ancestors` says in
which row of its source each step of its own history is kept. So re-ordering hypotheses copies these numbers, and no keys or values.

Unusual here: as with `pool_state.py`, what is kept is shared like the arrays behind slices in Go: whoever finds that another has written
behind it takes a copy.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.engines.pool_state import uninitialized

_FIRST = 32  # steps for which there is room at first; what is not yet written costs the system nothing


@dataclass
class Kept:
    """Keys and values (L, R, H, T, K) of `beams` rows of each source; `filled` steps are written."""

    keys: Float[Tensor, "L R H T K"]
    values: Float[Tensor, "L R H T K"]
    beams: int
    filled: int = 0

    @property
    def room(self) -> int:
        """For how many steps."""
        return self.keys.shape[3]

    @property
    def sources(self) -> int:
        """How many there are."""
        return self.keys.shape[1] // max(self.beams, 1)

    def of_rows(self, rows: Int[Tensor, " R"], beams: int, length: int, room: int) -> "Kept":
        """The first steps of some rows."""
        L, _, H, _, K = self.keys.shape
        found = [uninitialized(self.keys, L, len(rows), H, room, K) for _ in range(2)]
        for old, new in zip((self.keys, self.values), found, strict=True):
            same = torch.equal(rows, torch.arange(old.shape[1]))
            new[..., :length, :] = old[..., :length, :] if same else old[..., :length, :].index_select(1, rows)
        return Kept(found[0], found[1], beams, length)

    def gathered(self, rows: Int[Tensor, "R T"], beams: int, room: int) -> "Kept":
        """For each row its own steps, of which each may lie in another row."""
        (count, length), (L, _, H, _, K) = rows.shape, self.keys.shape
        steps, found = torch.arange(length), [uninitialized(self.keys, L, count, H, room, K) for _ in range(2)]
        for old, new in zip((self.keys, self.values), found, strict=True):
            new[..., :length, :] = old[:, rows, :, steps].permute(2, 0, 3, 1, 4)  # indexed axes come first
        return Kept(found[0], found[1], beams, length)


@dataclass(frozen=True)
class RowsState:
    """The hypotheses R of some sources, each at the same position: `source` says whose rows each has, `ancestors` in which of them each of
    its steps is. `moved` says that rows were selected since the last step. `step` is what took that step, to take the next one if it still
    suits."""

    kept: Kept
    ancestors: Int[Tensor, "R T"]
    source: Int[Tensor, " R"]
    position: int = 0
    moved: bool = False
    step: Any = None

    def select_rows(self, index: Int[Tensor, " N"]) -> "RowsState":
        """As `sequences.select_rows`: what is kept stays where it is."""
        return replace(self, ancestors=self.ancestors.index_select(0, index), source=self.source.index_select(0, index), moved=True)

    def ready(self, sources: int) -> "RowsState":
        """The state with rows for each of so many sources, in their order, and room for a step of all."""
        state = self._sorted(sources) if self.moved else self
        if state.position < state.kept.room and state.kept.filled == state.position:
            return state
        room = state.kept.room if state.position < state.kept.room else 2 * state.kept.room
        kept = state.kept.of_rows(torch.arange(len(state.source)), state.kept.beams, state.position, room)
        return replace(state, kept=kept, ancestors=_as_long(state.ancestors, room))

    def behind(self, step: Any = None) -> "RowsState":
        """The state behind a step that wrote what is new of each row."""
        beams = self.kept.beams
        self.kept.filled = self.position + 1
        if beams > 1:
            self.ancestors.view(-1, beams, self.kept.room)[..., self.position] = torch.arange(beams, dtype=torch.int32)
        # `dataclasses.replace` takes as long as an operation of torch.
        return RowsState(self.kept, self.ancestors, self.source, self.position + 1, self.moved, step)

    def _sorted(self, sources: int) -> "RowsState":
        beams, old = len(self.source) // max(sources, 1), self.kept
        owners = self.source.view(sources, beams)
        first = owners[:, 0] if beams else owners.new_zeros(sources)
        assert torch.equal(owners, first.unsqueeze(1).expand_as(owners)), "hypotheses stay with their source"
        every = torch.arange(sources)
        if beams == old.beams and sources == old.sources and torch.equal(first, every):
            return replace(self, moved=False)
        if beams == old.beams:
            rows = (first.unsqueeze(1) * beams + torch.arange(beams)).flatten()
            kept, ancestors = old.of_rows(rows, beams, self.position, old.room), self.ancestors
        else:
            kept = old.gathered(self.source.unsqueeze(1) * old.beams + self.ancestors[:, : self.position], beams, old.room)
            ancestors = _own(sources, beams, old.room)
        return replace(self, kept=kept, ancestors=ancestors, source=every.repeat_interleave(beams), moved=False)


def empty(sources: int, beams: int, sizes: tuple[int, int, int], like: Tensor) -> RowsState:
    """The state before the first step; `sizes` are layers, heads and their width, `like` any tensor of the same kind."""
    layers, heads, width = sizes
    keys, values = (uninitialized(like, layers, sources * beams, heads, _FIRST, width) for _ in range(2))
    return RowsState(Kept(keys, values, beams), _own(sources, beams, _FIRST), torch.arange(sources).repeat_interleave(beams))


def _own(sources: int, beams: int, room: int) -> Int[Tensor, "R T"]:
    """Each hypothesis has its history in its own row."""
    return torch.arange(beams, dtype=torch.int32).repeat(sources).unsqueeze(1).repeat(1, room)


def _as_long(ancestors: Int[Tensor, "R T"], room: int) -> Int[Tensor, "R M"]:
    return torch.nn.functional.pad(ancestors, (0, room - ancestors.shape[1]))
