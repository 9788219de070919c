"""A step that appends to a pool, together with the tensors that it reads and writes: created anew only when rows or pools change."""

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from antiphon.contracts.engine import Facts
from antiphon.contracts.sequences import Memory
from antiphon.engines.interface import Graphs, bound
from antiphon.engines.pool_state import PoolState


@final
class PoolStep:
    """The graph `step` bound to tensors. `keys` (L, B, G, K, W) and `values` (L, B, G, W, K) are the new ones, of all layers.

    A state whose rows stay where they are lends its mask. One whose rows move has another mask at each step, and that is copied.
    """

    def __init__(self, graphs: Graphs, facts: Facts, memory: Memory, state: PoolState, last: Tensor, *, moves: bool):
        sources, pool = memory.mask.shape[0], state.pool
        self.rows, self.memory, self.pool = last.shape[0], memory.projections, pool
        self._lent = None if moves else state.visible
        beams = self.rows // max(sources, 1)
        self._last = last.new_empty(sources, beams, *last.shape[1:])
        self._rows, position = self._last.flatten(0, 1), torch.zeros(1, dtype=torch.long)
        self._position = position.numpy()  # whose memory it is: setting one number costs a twentieth of what torch takes
        mask = torch.empty_like(state.visible) if self._lent is None else self._lent
        self._visible = mask.view(sources, 1, beams, pool.room)
        layers, _, groups, width, _ = pool.keys.shape
        self.keys = pool.keys.new_empty(layers, sources, groups, width, beams)
        self.values = pool.keys.new_empty(layers, sources, groups, beams, width)
        inputs = {
            **self.memory,
            "last": self._last,
            "position": position,
            "places": pool.places,
            "visible": self._visible,
            **_by_layer("", pool.keys, pool.values),
        }
        outputs = _by_layer("new_", self.keys, self.values)
        self._attention = None
        if facts.gives_attention:
            self._attention = outputs["attention"] = pool.keys.new_empty(sources, beams, memory.mask.shape[1])
        self._run = bound(graphs, "step", inputs, outputs)

    def suits(self, memory: Mapping[str, Tensor], state: PoolState, rows: int) -> bool:
        """Whether it can compute a step for these rows and pools."""
        lent = self._lent is None or self._lent is state.visible
        return lent and self.pool is state.pool and self.memory is memory and self.rows == rows

    def __call__(self, last: Tensor, state: PoolState, attention: bool) -> tuple[Tensor, Tensor | None]:
        """(Output (R, ...), attention weights over the source (R, S) where requested)."""
        self._rows.copy_(last)
        self._position[0] = state.position
        if self._lent is None:
            self._visible.copy_(state.visible.view_as(self._visible))
        said = self._run()["said"].flatten(0, 1)
        weights = self._attention.flatten(0, 1).clone() if attention and self._attention is not None else None
        return said, weights


def _by_layer(prefix: str, keys: Tensor, values: Tensor) -> dict[str, Tensor]:
    named = {f"{prefix}keys_{layer}": tensor for layer, tensor in enumerate(keys.unbind())}
    return {**named, **{f"{prefix}values_{layer}": tensor for layer, tensor in enumerate(values.unbind())}}
