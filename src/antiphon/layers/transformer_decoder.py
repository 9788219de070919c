"""The decoder of the Transformer (Vaswani et al. 2017) by itself: for any encoder whose states are as wide, or for none at all.

Unusual here: buffers begin small and grow with the hypotheses. A recording has many more frames than its text has symbols, so a buffer for
the longest hypothesis that limits allow would be mostly empty.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from antiphon.contracts.sequences import Memory, Padded
from antiphon.contracts.specs import Spec
from antiphon.layers.decoding_state import AttentionState, CellState, same_place
from antiphon.layers.growing_state import GrowingState
from antiphon.layers.transformer_config import TransformerConfig
from antiphon.layers.transformer_layers import DecoderLayer, Positioned, make_norm
from antiphon.layers.wait_k import drawn, readable

_FIRST = 8  # steps for which there is room at first

DecoderState = AttentionState | CellState | GrowingState


@final
class TransformerDecoder(nn.Module):
    """Target elements to vectors (B, T, D); weights over the memory come from the second last layer (Garg et al. 2019).

    Without `crosses` it reads nothing but the target: a language model.
    """

    def __init__(self, settings: TransformerConfig, target: Spec, *, crosses: bool = True):
        super().__init__()
        self.settings, self.crosses = settings, crosses
        self.positioned = Positioned(settings, target, bidirectional=False, attends=settings.decoder == "attention", says=True)
        self.blocks = nn.ModuleList(DecoderLayer(settings, crosses=crosses) for _ in range(settings.decoder_layers))
        self.norm = make_norm(settings) if settings.norm_position == "pre" else nn.Identity()
        self.aligning_layer = max(settings.decoder_layers - 2, 0)
        initialize(self, settings.dim)

    def project(self, memory: Memory) -> Memory:
        """Cross-attention keys and values of every layer."""
        return replace(memory, projections=tuple(layer.project(memory.states) for layer in self._layers()))

    def forward(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> tuple[Float[Tensor, "B T D"], Tensor | None]:
        """All target steps at once. Padding lies behind the real elements, where causal attention never looks."""
        length = inputs.values.shape[1]
        self.positioned.check(length)
        positions = torch.arange(length, device=inputs.values.device)
        x = self.positioned.embed(inputs.values, positions)
        look_back = self._look_back(positions, x.dtype)
        visible = memory.mask if self.settings.wait_k is None else self._read(memory, positions)
        weights: Tensor | None = None
        for index, layer in enumerate(self._layers()):

            def run(y: Tensor, layer: DecoderLayer = layer, wanted: bool = attention and index == self.aligning_layer) -> Any:
                return layer(y, partial(look_back, layer), layer.project(memory.states), visible, wanted)

            x, found = self._run(run, x)
            weights = found if found is not None else weights
        return self.norm(x), weights

    def _look_back(self, positions: Int[Tensor, " T"], dtype: torch.dtype) -> Callable[[DecoderLayer, Tensor], Tensor]:
        """How a layer looks back when all steps are there at once."""
        if self.settings.decoder == "ssru":
            return lambda layer, y: layer.recurrence(y)  # type: ignore[misc]
        mask: Tensor | None = None
        if self.positioned.bias is not None:
            future = positions.unsqueeze(0) > positions.unsqueeze(1)
            mask = self.positioned.bias(positions, positions).to(dtype).masked_fill(future, float("-inf"))
        rotation = self.positioned.rotary.angles(positions) if self.positioned.rotary else None
        return lambda layer, y: layer.attention(y, mask, causal=True, rotation=rotation)  # type: ignore[misc]

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> DecoderState:
        """Empty buffers, or cells of 0."""
        self.positioned.check(max_length)
        rows, layers, dim = memory.mask.shape[0] * beam_size, len(self.blocks), self.settings.dim
        position = memory.mask.new_zeros(rows, dtype=torch.long)
        if self.settings.decoder == "ssru":
            single = torch.promote_types(memory.states.dtype, torch.float32)
            return CellState(memory.states.new_zeros(rows, layers, dim, dtype=single), position)
        length = min(max_length, _FIRST) if _may_grow(position) else max_length
        groups = self.settings.key_value_heads or self.settings.heads
        buffer = memory.states.new_zeros(rows, layers, 2, groups, length, dim // self.settings.heads)
        return AttentionState(buffer, position, max_length)

    def step(
        self, last: Tensor, memory: Memory, state: DecoderState, *, attention: bool = False
    ) -> tuple[Float[Tensor, "R D"], Tensor | None, DecoderState]:
        """One step for R rows; writes into the state's buffer."""
        if isinstance(state, AttentionState) and _may_grow(state.position) and last.shape[0] > 0:
            state = state.with_room(int(state.position.max()))
        x = self.positioned.embed(last, state.position).unsqueeze(1)
        look_back = state.look_back(self.positioned, x.dtype)
        everything = not self.crosses or (same_place(state.position) is not None and bool(memory.mask.all()))
        visible = None if everything else memory.mask
        if self.settings.wait_k is not None:
            visible = self._read_by(memory, state.position, self.settings.wait_k)
        weights: Tensor | None = None
        for index, layer in enumerate(self._layers()):
            wanted = attention and index == self.aligning_layer
            x, found = layer(x, partial(look_back, index, layer), memory.projections[index], visible, wanted)
            weights = found.squeeze(1) if found is not None else weights
        return self.norm(x.squeeze(1)), weights, look_back.after()

    def _read(self, memory: Memory, positions: Int[Tensor, " T"]) -> Tensor:
        """What each step sees of the memory (B, T, S) when it waits; each source by another k while training, where paths are drawn."""
        settings, rows = self.settings, memory.mask.shape[0]
        assert settings.wait_k is not None, "asked only of a model that waits"
        draws = settings.wait_k_paths is not None and self.norm.training
        k = drawn(settings.wait_k_paths, rows, positions.device) if draws and settings.wait_k_paths else settings.wait_k
        return readable(memory.mask, positions.expand(rows, -1), k)

    @staticmethod
    def _read_by(memory: Memory, position: Int[Tensor, " R"], k: int) -> Tensor:
        """What a step sees of the memory, (R, 1, S), or (B, S) where all rows are at the same place."""
        place = same_place(position)
        if place is not None:
            return readable(memory.mask, position.new_full((memory.mask.shape[0], 1), place), k).squeeze(1)
        beams = position.shape[0] // memory.mask.shape[0]
        return readable(memory.mask.repeat_interleave(beams, 0), position.unsqueeze(1), k)

    def _layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.blocks if isinstance(layer, DecoderLayer)]

    def _run(self, layer: Callable[..., Any], *arguments: Any) -> Any:
        if self.settings.checkpoint_activations and self.norm.training and torch.is_grad_enabled():
            return checkpoint(layer, *arguments, use_reentrant=False)
        return layer(*arguments)


def initialize(part: nn.Module | None, dim: int) -> None:
    """The weights that a part of a Transformer begins with."""
    for module in () if part is None else part.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):  # times sqrt(dim) at the input, so that vectors have unit variance there
            nn.init.normal_(module.weight, std=dim**-0.5)


def _may_grow(position: Int[Tensor, " R"]) -> bool:
    """Whether to ask where the rows are: a GPU has to wait for the answer, and an exported step must have static shapes."""
    return position.device.type == "cpu" and not torch.compiler.is_compiling()
