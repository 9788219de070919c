"""A step that writes in place, with the tensors that it reads and writes: made anew only when there are other rows, or they keep other
tensors."""

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from antiphon.contracts.engine import Facts
from antiphon.contracts.sequences import Memory
from antiphon.engines.interface import Graphs, bound
from antiphon.engines.rows_state import RowsState


@final
class RowsStep:
    """The graph `step` on tensors of its own. A state whose rows stay where they are lends its `ancestors`; those of others are copied."""

    def __init__(self, graphs: Graphs, facts: Facts, memory: Memory, state: RowsState, last: Tensor, *, moves: bool):
        sources, kept = memory.mask.shape[0], state.kept
        self.rows, self.memory, self.kept = last.shape[0], memory.projections, kept
        self._lent = None if moves else state.ancestors
        self._last = last.new_empty(sources, kept.beams, *last.shape[1:])
        self._rows, position = self._last.flatten(0, 1), torch.zeros(1, dtype=torch.long)
        self._position = position.numpy()  # whose memory it is: setting one number costs a twentieth of what torch takes
        self._ancestors = torch.empty_like(state.ancestors) if self._lent is None else self._lent
        inputs = {
            **self.memory,
            "last": self._last,
            "position": position,
            "beams": torch.tensor([kept.beams], dtype=torch.int32),
            "ancestors": self._ancestors.view(sources, kept.beams, kept.room),
        }
        outputs: dict[str, Tensor] = {}
        for layer, (keys, values) in enumerate(zip(kept.keys.unbind(), kept.values.unbind(), strict=True)):
            inputs |= {f"keys_{layer}": keys, f"values_{layer}": values}
            outputs |= {f"kept_keys_{layer}": keys, f"kept_values_{layer}": values}
        self._attention = None
        if facts.gives_attention:
            self._attention = outputs["attention"] = kept.keys.new_empty(sources, kept.beams, memory.mask.shape[1])
        self._run = bound(graphs, "step", inputs, outputs)

    def suits(self, memory: Mapping[str, Tensor], state: RowsState, rows: int) -> bool:
        """Whether it may take a step with these."""
        lent = self._lent is None or self._lent is state.ancestors
        return lent and self.kept is state.kept and self.memory is memory and self.rows == rows

    def __call__(self, last: Tensor, state: RowsState, attention: bool) -> tuple[Tensor, Tensor | None]:
        """(What is said (R, ...), weights over the source (R, S) where they are wanted)."""
        self._rows.copy_(last)
        self._position[0] = state.position
        if self._lent is None:
            self._ancestors.copy_(state.ancestors)
        said = self._run()["said"].flatten(0, 1)
        weights = self._attention.flatten(0, 1).clone() if attention and self._attention is not None else None
        return said, weights
