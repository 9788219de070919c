"""The state of an attention decoder as a graph hands it on: keys and values of the steps so far, one more behind each step.

Unusual here: there is no room for steps to come, so a graph knows no longest output, and how many steps there were is the size of a
dimension. Keys are kept as they were before rotation, as `SelfAttention.behind` takes them.
"""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.layers.attention import KeysValues, Rotation
from antiphon.layers.decoding_state import AttentionState
from antiphon.layers.transformer_layers import DecoderLayer, Positioned

PAST = 4  # the axis of the steps so far


@dataclass(frozen=True)
class GrowingState:
    """`buffer` holds the keys and values of all P steps so far, and nothing else."""

    buffer: Float[Tensor, "R L 2 G P K"]

    @property
    def position(self) -> Int[Tensor, " R"]:
        """Where the rows are, all at the same place."""
        return torch.full((self.buffer.shape[0],), self.buffer.shape[PAST], dtype=torch.long, device=self.buffer.device)

    def look_back(self, positioned: Positioned, dtype: torch.dtype) -> "AppendingBack":
        """Begin a step, for vectors of this type."""
        return AppendingBack(self, positioned, dtype)


@final
class AppendingBack:
    """Self-attention to the steps so far and to the one that is made; keeps what the next step looks back at."""

    def __init__(self, state: GrowingState, positioned: Positioned, dtype: torch.dtype):
        self.state = state
        self.found: list[Tensor] = []
        steps = torch.arange(state.buffer.shape[PAST] + 1, device=state.buffer.device)
        self.bias: Tensor | None = None if positioned.bias is None else positioned.bias(steps[-1:], steps).to(dtype)
        self.rotation: Rotation | None = None if positioned.rotary is None else positioned.rotary.angles(steps)

    def __call__(self, index: int, layer: DecoderLayer, y: Float[Tensor, "R 1 D"]) -> Float[Tensor, "R 1 D"]:
        """What this layer finds in the steps so far, this one included."""
        assert layer.attention is not None, "a layer of recurrence has another state"
        past = KeysValues(self.state.buffer[:, index, 0], self.state.buffer[:, index, 1])
        found, kept = layer.attention.behind(y, past, self.bias, rotation=self.rotation)
        self.found.append(torch.stack([kept.keys, kept.values], dim=1))
        return found

    def after(self) -> GrowingState:
        """The state once every layer was called."""
        return GrowingState(torch.stack(self.found, dim=1))


def growing(tree: Any) -> Any:
    """A state with all buffers that have room for steps replaced by such as grow, with no step in them yet."""
    if isinstance(tree, AttentionState):
        return GrowingState(tree.buffer[..., :0, :])
    if is_dataclass(tree) and not isinstance(tree, type):
        return replace(tree, **{one.name: growing(getattr(tree, one.name)) for one in fields(tree) if one.init})
    return tree
