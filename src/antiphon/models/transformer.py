"""The Transformer encoder-decoder (Vaswani et al. 2017) with the variations that proved themselves since.

For long sources the encoder has a sliding window, or reads chunks; for fast decoding the decoder may be recurrent.

Unusual here: cross-attention keys and values are computed once per source, and beams share them. Weights over the source come from the
second last decoder layer, which aligns best in trained translators (Garg et al. 2019).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, final

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from antiphon.errors import ConfigError
from antiphon.heads.choice import build_head, take_apart
from antiphon.heads.pointer import check_pointer, said
from antiphon.interfaces import Architecture, Spec, StepwiseModel, ValueSpec
from antiphon.layers import chunks
from antiphon.layers.channelwise import ChannelIndependent
from antiphon.layers.decoding_state import AttentionState, CellState, same_place
from antiphon.layers.patches import Patches
from antiphon.layers.transformer_config import TransformerConfig, check_settings
from antiphon.layers.transformer_layers import DecoderLayer, EncoderLayer, Positioned, make_norm
from antiphon.sequences import Memory, Output, Padded


@final
class Transformer(StepwiseModel):
    """Encoder, decoder and head."""

    def __init__(self, settings: TransformerConfig, source: Spec, target: Spec):
        super().__init__()
        self.settings, self.source, self.target = settings, source, target
        self.groups = settings.key_value_heads or settings.heads
        self.patches: Patches | None = None
        elements = source
        if settings.patch_length is not None and isinstance(source, ValueSpec):
            self.patches = Patches(settings.patch_length, settings.patch_stride or settings.patch_length)
            elements = ValueSpec(source.channels * settings.patch_length)
        self.source_positioned = Positioned(settings, elements, bidirectional=True)
        self.target_positioned = Positioned(settings, target, bidirectional=False, attends=settings.decoder == "attention")
        self.encoder = nn.ModuleList(EncoderLayer(settings) for _ in range(settings.encoder_layers))
        self.decoder = nn.ModuleList(DecoderLayer(settings) for _ in range(settings.decoder_layers))
        pre = settings.norm_position == "pre"
        self.encoder_norm = make_norm(settings) if pre else nn.Identity()
        self.decoder_norm = make_norm(settings) if pre else nn.Identity()
        self._initialize()
        self.head = self._tie()
        self.copies = check_pointer(self.head, source, target, attention=True)
        self.aligning_layer = max(settings.decoder_layers - 2, 0)

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):  # times sqrt(dim) at the input, so that vectors have unit variance there
                nn.init.normal_(module.weight, std=self.settings.dim**-0.5)

    def _tie(self) -> nn.Module:
        source, target = self.source_positioned.frontend.embedding, self.target_positioned.frontend.embedding
        if self.settings.tied_embeddings == "all":
            if source is None or target is None or self.source != self.target:
                raise ConfigError(
                    "`model.tied_embeddings` must be `decoder` or `none` unless source and target share one vocabulary, but is `all`."
                    " Give both sides one vocabulary."
                )
            self.source_positioned.frontend.embedding = target
        tied: Any = target.weight if target is not None and self.settings.tied_embeddings != "none" else None
        return build_head(self.settings.head, self.target, self.settings.dim, tied)

    def encode(self, source: Padded) -> Memory:
        """Read the source, all positions at once."""
        if self.patches is not None:
            source = self.patches.cut(source)
        length = source.values.shape[1]
        self.source_positioned.check(length)
        positions = torch.arange(length, device=source.values.device)
        x, mask = self.source_positioned.embed(source.values, positions), source.mask
        chunk = None if self.settings.chunk_length is None else min(self.settings.chunk_length, length)
        if chunk is not None:
            x, mask = chunks.cut(x, mask, chunk)
        window, global_positions = self.settings.window, self.settings.global_positions
        visible = self.source_positioned.visible(mask, x.dtype, window=window, global_positions=global_positions)
        # Rotations by positions within a chunk do as well: only distances within the chunk matter.
        rotation = self.source_positioned.rotary.angles(positions[: x.shape[1]]) if self.source_positioned.rotary else None
        for layer in self.encoder:
            x = self._run(layer, x, visible, rotation)
        if chunk is not None:
            x = chunks.join(x, len(source.lengths), length)
        return Memory(self.encoder_norm(x), source.mask, copyable=source.values if self.copies else None)

    def project(self, memory: Memory) -> Memory:
        """Cross-attention keys and values of every decoder layer."""
        return replace(memory, projections=tuple(layer.cross.project(memory.states) for layer in self._decoder_layers()))

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """All target steps at once. Padding lies behind the real elements, where causal attention never looks."""
        length = inputs.values.shape[1]
        self.target_positioned.check(length)
        positions = torch.arange(length, device=inputs.values.device)
        x = self.target_positioned.embed(inputs.values, positions)
        look_back = self._look_back(positions, x.dtype)
        weights: Tensor | None = None
        for index, layer in enumerate(self._decoder_layers()):

            def run(
                y: Tensor, layer: DecoderLayer = layer, wanted: bool = (attention or self.copies) and index == self.aligning_layer
            ) -> Any:
                return layer(y, partial(look_back, layer), layer.cross.project(memory.states), memory.mask, wanted)

            x, found = self._run(run, x)
            weights = found if found is not None else weights
        return said(self.head, self.decoder_norm(x), weights, memory)

    def _look_back(self, positions: Int[Tensor, " T"], dtype: torch.dtype) -> Callable[[DecoderLayer, Tensor], Tensor]:
        """How a layer looks back when all steps are there at once."""
        if self.settings.decoder == "ssru":
            return lambda layer, y: layer.recurrence(y)  # type: ignore[misc]
        mask: Tensor | None = None
        if self.target_positioned.bias is not None:
            future = positions.unsqueeze(0) > positions.unsqueeze(1)
            mask = self.target_positioned.bias(positions, positions).to(dtype).masked_fill(future, float("-inf"))
        rotation = self.target_positioned.rotary.angles(positions) if self.target_positioned.rotary else None
        return lambda layer, y: layer.attention(y, mask, causal=True, rotation=rotation)  # type: ignore[misc]

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> AttentionState | CellState:
        """Empty buffers, or cells of 0."""
        self.target_positioned.check(max_length)
        rows = len(memory.mask) * beam_size
        position = memory.mask.new_zeros(rows, dtype=torch.long)
        if self.settings.decoder == "ssru":
            single = torch.promote_types(memory.states.dtype, torch.float32)
            return CellState(memory.states.new_zeros(rows, len(self.decoder), self.settings.dim, dtype=single), position)
        shape = (rows, len(self.decoder), 2, self.groups, max_length, self.settings.dim // self.settings.heads)
        # Zeros, since a masked position is still multiplied by its weight of 0, and 0 times an uninitialized NaN is NaN.
        return AttentionState(memory.states.new_zeros(shape), position, max_length)

    def step(
        self, last: Tensor, memory: Memory, state: AttentionState | CellState, *, attention: bool = False
    ) -> tuple[Output, AttentionState | CellState]:
        """One step for R rows; writes into the state's buffer."""
        x = self.target_positioned.embed(last, state.position).unsqueeze(1)
        look_back = state.look_back(self.target_positioned, x.dtype)
        visible = None if same_place(state.position) is not None and bool(memory.mask.all()) else memory.mask
        weights: Tensor | None = None
        for index, layer in enumerate(self._decoder_layers()):
            wanted = (attention or self.copies) and index == self.aligning_layer
            x, found = layer(x, partial(look_back, index, layer), memory.projections[index], visible, wanted)
            weights = found.squeeze(1) if found is not None else weights
        return said(self.head, self.decoder_norm(x.squeeze(1)), weights, memory), look_back.after()

    def _decoder_layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.decoder if isinstance(layer, DecoderLayer)]

    def _run(self, layer: Callable[..., Any], *arguments: Any) -> Any:
        if self.settings.checkpoint_activations and self.training and torch.is_grad_enabled():
            return checkpoint(layer, *arguments, use_reentrant=False)
        return layer(*arguments)


def build(settings: TransformerConfig, source: Spec, target: Spec) -> StepwiseModel:
    """Make the model. Raises ConfigError for sizes that do not fit each other."""
    check_settings(settings, source, target)
    if settings.channels == "independent" and isinstance(source, ValueSpec) and isinstance(target, ValueSpec):
        return ChannelIndependent(lambda one, said: Transformer(settings, one, said), take_apart, source, target)
    return Transformer(settings, source, target)


plugin = Architecture(
    name="transformer",
    summary="Transformer encoder-decoder: pre- or post-norm, four kinds of positions, grouped heads, gated feed-forward.",
    Config=TransformerConfig,
    build=build,
    presets={
        "tiny": {"dim": 128, "encoder_layers": 2, "decoder_layers": 2, "heads": 4, "feed_forward_dim": 512},
        "small": {"dim": 256, "encoder_layers": 3, "decoder_layers": 3, "heads": 4, "feed_forward_dim": 1024},
        "base": {"dim": 512, "encoder_layers": 6, "decoder_layers": 6, "heads": 8, "feed_forward_dim": 2048},
        "big": {"dim": 1024, "encoder_layers": 6, "decoder_layers": 6, "heads": 16, "feed_forward_dim": 4096, "dropout": 0.3},
    },
)
