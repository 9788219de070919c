"""The decoder of the Transformer (Vaswani et al. 2017) by itself, for any encoder whose states are as wide.

Its buffers for all layers are one tensor, (R, L, 2, G, T, K), so that re-ordering beams is one copy, of about the filled part only.
Cross-attention keys and values are computed once per source, and beams share them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from antiphon.interfaces import Spec
from antiphon.layers.attention import KeysValues
from antiphon.layers.transformer_config import TransformerConfig
from antiphon.layers.transformer_layers import DecoderLayer, Positioned, make_norm
from antiphon.sequences import Memory, Padded

_ROOM = 8  # steps for which a re-ordered buffer leaves room, so that most re-orderings are one copy


@dataclass(frozen=True)
class DecoderState:
    """What the decoder carries between steps. `buffer` holds the keys and values of all steps so far, and room for some of the rest."""

    buffer: Float[Tensor, "R L 2 G T K"]
    position: Int[Tensor, " R"]
    max_length: int

    def select_rows(self, index: Int[Tensor, " N"]) -> "DecoderState":
        """As `sequences.select_rows`; where that is known, copies little more than the steps that are filled."""
        place = _same_place(self.position)
        buffer = self.buffer if place is None else self.with_room(place).buffer[..., : place + _ROOM, :]
        return DecoderState(buffer.index_select(0, index), self.position.index_select(0, index), self.max_length)

    def with_room(self, place: int) -> "DecoderState":
        """The state with a buffer that has room for the step at `place`, and for some more when it has to grow."""
        length = self.buffer.shape[4]
        if place < length:
            return self
        buffer = self.buffer.new_zeros(*self.buffer.shape[:4], min(place + _ROOM, self.max_length), self.buffer.shape[5])
        buffer[..., :length, :] = self.buffer
        return replace(self, buffer=buffer)


@final
class TransformerDecoder(nn.Module):
    """Target elements to vectors (B, T, D); weights over the memory come from the second last layer (Garg et al. 2019)."""

    def __init__(self, settings: TransformerConfig, target: Spec):
        super().__init__()
        self.settings = settings
        self.groups = settings.key_value_heads or settings.heads
        self.positioned = Positioned(settings, target, bidirectional=False)
        self.blocks = nn.ModuleList(DecoderLayer(settings) for _ in range(settings.decoder_layers))
        self.norm = make_norm(settings) if settings.norm_position == "pre" else nn.Identity()
        self.aligning_layer = max(settings.decoder_layers - 2, 0)

    def project(self, memory: Memory) -> Memory:
        """Cross-attention keys and values of every layer."""
        return replace(memory, projections=tuple(layer.cross.project(memory.states) for layer in self._layers()))

    def forward(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> tuple[Float[Tensor, "B T D"], Tensor | None]:
        """All target steps at once. Padding lies behind the real elements, where causal attention never looks."""
        length = inputs.values.shape[1]
        self.positioned.check(length)
        positions = torch.arange(length, device=inputs.values.device)
        x = self.positioned.embed(inputs.values, positions)
        mask: Tensor | None = None
        if self.positioned.bias is not None:
            future = positions.unsqueeze(0) > positions.unsqueeze(1)
            mask = self.positioned.bias(positions, positions).to(x.dtype).masked_fill(future, float("-inf"))
        rotation = self.positioned.rotary.angles(positions) if self.positioned.rotary else None
        weights: Tensor | None = None
        for index, layer in enumerate(self._layers()):

            def run(y: Tensor, layer: DecoderLayer = layer, wanted: bool = attention and index == self.aligning_layer) -> Any:
                return layer(
                    y,
                    lambda z: layer.attention(z, mask, causal=True, rotation=rotation),
                    layer.cross.project(memory.states),
                    memory.mask,
                    wanted,
                )

            x, found = self._run(run, x)
            weights = found if found is not None else weights
        return self.norm(x), weights

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> DecoderState:
        """Empty buffers."""
        self.positioned.check(max_length)
        rows = len(memory.mask) * beam_size
        growing = memory.mask.device.type == "cpu" and not torch.compiler.is_compiling()
        length = min(max_length, _ROOM) if growing else max_length
        shape = (rows, len(self.blocks), 2, self.groups, length, self.settings.dim // self.settings.heads)
        # Zeros, since a masked position is still multiplied by its weight of 0, and 0 times an uninitialized NaN is NaN.
        return DecoderState(memory.states.new_zeros(shape), memory.mask.new_zeros(rows, dtype=torch.long), max_length)

    def step(
        self, last: Tensor, memory: Memory, state: DecoderState, *, attention: bool = False
    ) -> tuple[Float[Tensor, "R D"], Tensor | None, DecoderState]:
        """One step for R rows; writes into the state's buffer."""
        positioned, position = self.positioned, state.position
        place = _same_place(position)
        if position.device.type == "cpu" and not torch.compiler.is_compiling() and len(position) > 0:
            state = state.with_room(int(position.max()) if place is None else place)
        buffer = state.buffer if place is None else state.buffer[..., : place + 1, :]
        x = positioned.embed(last, position).unsqueeze(1)
        steps = torch.arange(buffer.shape[4], device=position.device)
        mask = None if place is not None else (steps <= position.unsqueeze(1))[:, None, None, :]
        if positioned.bias is not None:
            bias = positioned.bias(position.unsqueeze(1), steps).to(x.dtype)
            bias = bias if mask is None else bias.masked_fill(~mask, float("-inf"))
            mask = bias.view(len(last), self.groups, -1, len(steps))
        visible = None if place is not None and bool(memory.mask.all()) else memory.mask
        rotation = tuple(part.unsqueeze(1) for part in positioned.rotary.angles(position)) if positioned.rotary else None
        weights: Tensor | None = None
        for index, layer in enumerate(self._layers()):

            def attend(y: Tensor, layer: DecoderLayer = layer, index: int = index) -> Tensor:
                filled = KeysValues(buffer[:, index, 0], buffer[:, index, 1])
                where = position if place is None else place
                return layer.attention.step(y.squeeze(1), filled, where, mask, rotation).unsqueeze(1)  # type: ignore[arg-type]

            wanted = attention and index == self.aligning_layer
            x, found = layer(x, attend, memory.projections[index], visible, wanted)
            weights = found.squeeze(1) if found is not None else weights
        return self.norm(x.squeeze(1)), weights, replace(state, position=position + 1)

    def _layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.blocks if isinstance(layer, DecoderLayer)]

    def _run(self, layer: Callable[..., Any], *arguments: Any) -> Any:
        if self.settings.checkpoint_activations and self.training and torch.is_grad_enabled():
            return checkpoint(layer, *arguments, use_reentrant=False)
        return layer(*arguments)


def _same_place(position: Int[Tensor, " R"]) -> int | None:
    """The step at which all rows are, so that only what is filled needs attending to, and without a mask.

    None where they differ, or where asking would cost more than it saves: a GPU has to wait for the answer, and an exported step must
    have static shapes.
    """
    if position.device.type != "cpu" or torch.compiler.is_compiling() or len(position) == 0:
        return None
    lowest, highest = (int(end) for end in position.aminmax())
    return lowest if lowest == highest else None
