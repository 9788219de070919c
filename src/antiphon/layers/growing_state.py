"""The state of an attention decoder in graphs: keys and values of the steps so far, which grow by one with each step.

Unusual here: there is no room for steps to come, so a graph knows no longest output, and how many steps there were is the size of a
dimension. Keys are kept as they were before rotation, as `SelfAttention.behind` takes them.
"""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.layers.attention import KeysValues, Rotation
from antiphon.layers.lockstep import LockstepState
from antiphon.layers.transformer_layers import DecoderLayer, Positioned

PAST = 4  # the axis of the steps so far


@dataclass(frozen=True)
class GrowingState:
    """`buffer` holds the keys and values of all P steps so far, and nothing else."""

    buffer: Float[Tensor, "R L 2 G P K"]

    @property
    def position(self) -> Int[Tensor, " R"]:
        """The position of the rows, which is the same for all."""
        return torch.full((self.buffer.shape[0],), self.buffer.shape[PAST], dtype=torch.long, device=self.buffer.device)

    def look_back(self, positioned: Positioned, dtype: torch.dtype) -> "AppendingBack":
        """Begin a step, for vectors of this type."""
        return AppendingBack(self, positioned, dtype)


@final
class AppendingBack:
    """Self-attention to the steps so far and the current one; keeps the keys and values for the next step."""

    def __init__(self, state: GrowingState, positioned: Positioned, dtype: torch.dtype):
        self.state = state
        self.found: list[Tensor] = []
        steps = torch.arange(state.buffer.shape[PAST] + 1, device=state.buffer.device)
        self.bias: Tensor | None = None if positioned.bias is None else positioned.bias(steps[-1:], steps).to(dtype)
        self.rotation: Rotation | None = None if positioned.rotary is None else positioned.rotary.angles(steps)

    def __call__(self, index: int, layer: DecoderLayer, y: Float[Tensor, "R 1 D"]) -> Float[Tensor, "R 1 D"]:
        """The layer's self-attention output over the steps so far, this one included."""
        assert layer.attention is not None, "a layer of recurrence has another state"
        past = KeysValues(self.state.buffer[:, index, 0], self.state.buffer[:, index, 1])
        found, kept = layer.attention.behind(y, past, self.bias, rotation=self.rotation)
        self.found.append(torch.stack([kept.keys, kept.values], dim=1))
        return found

    def after(self) -> GrowingState:
        """The state after all layers have been called."""
        return GrowingState(torch.stack(self.found, dim=1))


def growing(tree: Any) -> Any:
    """A state in which buffers with room for steps are replaced by growing ones, which are still empty."""
    if isinstance(tree, LockstepState):
        return GrowingState(tree.buffer[..., :0, :])
    if is_dataclass(tree) and not isinstance(tree, type):
        return replace(tree, **{one.name: growing(getattr(tree, one.name)) for one in fields(tree) if one.init})
    return tree
