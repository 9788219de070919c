"""The decoder of the Transformer (Vaswani et al. 2017), for any encoder with states of the same width, or for none.

A step goes two ways. In a search all rows are at the same step, and what is attended to is kept as `lockstep.py` has it. A graph has
tensors alone, which grow (`growing_state.py`) or keep their shapes (`room_state.py`), and a recurrent decoder the same cells either way
(`cell_state.py`).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from antiphon.contracts.packing import Segments
from antiphon.contracts.sequences import Memory, Padded
from antiphon.contracts.specs import Spec
from antiphon.layers.cell_state import CellState
from antiphon.layers.growing_state import GrowingState
from antiphon.layers.lockstep import LockstepState, hiding
from antiphon.layers.room_state import RoomState
from antiphon.layers.transformer_config import TransformerConfig, aligning_layer
from antiphon.layers.transformer_layers import DecoderLayer, Positioned, make_norm
from antiphon.layers.wait_k import drawn, readable

DecoderState = LockstepState | CellState | GrowingState | RoomState


@final
class TransformerDecoder(nn.Module):
    """Target elements to vectors (B, T, D); the returned attention weights over the memory come from one layer (`aligning_layer`).

    Without `crosses` it reads nothing but the target: a language model.
    """

    def __init__(self, settings: TransformerConfig, target: Spec, *, crosses: bool = True):
        super().__init__()
        self.settings, self.crosses = settings, crosses
        self.positioned = Positioned(settings, target, bidirectional=False, attends=settings.decoder == "attention", says=True)
        self.blocks = nn.ModuleList(DecoderLayer(settings, crosses=crosses) for _ in range(settings.decoder_layers))
        self.norm = make_norm(settings) if settings.norm_position == "pre" else nn.Identity()
        self.aligning_layer = aligning_layer(settings)
        initialize(self, settings.dim)

    def project(self, memory: Memory) -> Memory:
        """Cross-attention keys and values of every layer."""
        return replace(memory, projections=tuple(layer.project(memory.states) for layer in self._layers()))

    def forward(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> tuple[Float[Tensor, "B T D"], Tensor | None]:
        """All target steps at once. Padding comes after the real elements, where causal attention never reaches."""
        length, segments = inputs.values.shape[1], inputs.segments
        if segments is None:
            self.positioned.check(length)
            positions = torch.arange(length, device=inputs.values.device)
            x = self.positioned.embed(inputs.values, positions)
            look_back = self._look_back(positions, x.dtype)
            visible = memory.mask if self.settings.wait_k is None else self._read(memory, positions)
        else:
            assert memory.segments is not None, "targets are packed with their sources"
            x = self.positioned.embed(inputs.values, segments.positions)
            look_back = self._look_back_in_pairs(segments, x.dtype)
            visible = segments.sees(memory.segments)
        weights: Tensor | None = None
        for index, layer in enumerate(self._layers()):

            def run(y: Tensor, layer: DecoderLayer = layer, wanted: bool = attention and index == self.aligning_layer) -> Any:
                return layer(y, partial(look_back, layer), memory.states if self.crosses else None, visible, wanted)

            x, found = self._run(run, x)
            weights = found if found is not None else weights
        return self.norm(x), weights

    def _look_back(self, positions: Int[Tensor, " T"], dtype: torch.dtype) -> Callable[[DecoderLayer, Tensor], Tensor]:
        """Self-attention or recurrence of a layer when all steps are computed at once."""
        if self.settings.decoder == "ssru":
            return lambda layer, y: layer.recurrence(y)  # type: ignore[misc]
        mask: Tensor | None = None
        if self.positioned.bias is not None:
            future = positions.unsqueeze(0) > positions.unsqueeze(1)
            mask = self.positioned.bias(positions, positions).to(dtype).masked_fill(future, float("-inf"))
        rotation = self.positioned.rotary.angles(positions) if self.positioned.rotary else None
        return lambda layer, y: layer.attention(y, mask, causal=True, rotation=rotation)  # type: ignore[misc]

    def _look_back_in_pairs(self, segments: Segments, dtype: torch.dtype) -> Callable[[DecoderLayer, Tensor], Tensor]:
        """The same where a row holds several packed targets, which do not attend to each other."""
        mask = self.positioned.of_pairs(segments, dtype, causal=True)
        rotation = self.positioned.rotation(segments.positions)
        return lambda layer, y: layer.attention(y, mask, rotation=rotation)  # type: ignore[misc]

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> DecoderState:
        """Empty buffers, or cells of 0."""
        self.positioned.check(max_length)
        rows, layers, dim = memory.mask.shape[0] * beam_size, len(self.blocks), self.settings.dim
        if self.settings.decoder == "ssru":
            single = torch.promote_types(memory.states.dtype, torch.float32)
            position = memory.mask.new_zeros(rows, dtype=torch.long)
            return CellState(memory.states.new_zeros(rows, layers, dim, dtype=single), position)
        groups = self.settings.key_value_heads or self.settings.heads
        buffer = memory.states.new_zeros(rows, layers, 2, groups, 0, dim // self.settings.heads)
        return LockstepState(buffer, None, None, place=0, width=1, max_length=max_length)

    def step(
        self, last: Tensor, memory: Memory, state: DecoderState, *, attention: bool = False
    ) -> tuple[Float[Tensor, "R D"], Tensor | None, DecoderState]:
        """One step for R rows; writes into the state's buffer."""
        if isinstance(state, LockstepState):
            return self._step_together(last, memory, state, attention=attention)
        x = self.positioned.embed(last, state.position).unsqueeze(1)
        look_back = state.look_back(self.positioned, x.dtype)
        visible = memory.mask if self.crosses else None
        if self.settings.wait_k is not None:
            places = state.position.unflatten(0, (memory.mask.shape[0], -1))  # of the hypotheses of each source
            visible = readable(memory.mask, places, self.settings.wait_k).flatten(0, 1).unsqueeze(1)
        weights: Tensor | None = None
        for index, layer in enumerate(self._layers()):
            wanted = attention and index == self.aligning_layer
            x, found = layer(x, partial(look_back, index, layer), memory.projections[index], visible, wanted)
            weights = found.squeeze(1) if found is not None else weights
        return self.norm(x.squeeze(1)), weights, look_back.after()

    def _step_together(
        self, last: Tensor, memory: Memory, state: LockstepState, *, attention: bool
    ) -> tuple[Float[Tensor, "R D"], Tensor | None, LockstepState]:
        """One step for rows that are all at the same position."""
        x = self.positioned.embed_at(last, state.place)
        state = state.with_room().seeing(memory.mask, x.dtype)
        look_back = state.look_back(self.positioned, x.dtype)
        mask, bias = memory.mask, None if state.seen is None else state.seen.bias
        if self.settings.wait_k is not None:
            step = torch.full((len(mask), 1), state.place, device=mask.device)
            mask = readable(mask, step, self.settings.wait_k).squeeze(1)
            bias = hiding(mask, x.dtype)
        weights: Tensor | None = None
        for index, layer in enumerate(self._layers()):
            wanted = attention and index == self.aligning_layer
            x, found = layer(x, partial(look_back, index, layer), memory.projections[index], mask if wanted else bias, wanted)
            weights = found.squeeze(1) if found is not None else weights
        return self.norm(x), weights, look_back.after()

    def _read(self, memory: Memory, positions: Int[Tensor, " T"]) -> Tensor:
        """The mask of the memory (B, T, S) at each step with wait-k; in training with several paths, each source has a k of its own."""
        settings, rows = self.settings, memory.mask.shape[0]
        assert settings.wait_k is not None, "asked only of a model that waits"
        draws = settings.wait_k_paths is not None and self.norm.training
        k = drawn(settings.wait_k_paths, rows, positions.device) if draws and settings.wait_k_paths else settings.wait_k
        return readable(memory.mask, positions.expand(rows, -1), k)

    def _layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.blocks if isinstance(layer, DecoderLayer)]

    def _run(self, layer: Callable[..., Any], *arguments: Any) -> Any:
        if self.settings.checkpoint_activations and self.norm.training and torch.is_grad_enabled():
            return checkpoint(layer, *arguments, use_reentrant=False)
        return layer(*arguments)


def initialize(part: nn.Module | None, dim: int) -> None:
    """Initialize the weights of a part of a Transformer."""
    for module in () if part is None else part.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):  # times sqrt(dim) at the input, so that vectors have unit variance there
            nn.init.normal_(module.weight, std=dim**-0.5)
