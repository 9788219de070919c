"""The Transformer encoder-decoder (Vaswani et al. 2017) with the variations that proved themselves since.

Unusual here: the decoder's buffers for all layers are one tensor, (R, L, 2, G, T, K), so that re-ordering beams is one copy, of about
the filled part only. Cross-attention keys and values are computed once per source, and beams share them. Weights over the source come from
the second last decoder layer, which aligns best in trained translators (Garg et al. 2019).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from antiphon.errors import ConfigError
from antiphon.heads.choice import build_head, take_apart
from antiphon.heads.pointer import check_pointer, said
from antiphon.interfaces import Architecture, Spec, StepwiseModel, ValueSpec
from antiphon.layers.attention import KeysValues
from antiphon.layers.channelwise import ChannelIndependent
from antiphon.layers.patches import Patches
from antiphon.layers.transformer_config import TransformerConfig, check_settings
from antiphon.layers.transformer_layers import DecoderLayer, EncoderLayer, Positioned, make_norm
from antiphon.sequences import Memory, Output, Padded

_ROOM = 8  # steps for which a re-ordered buffer leaves room, so that most re-orderings are one copy


@dataclass(frozen=True)
class TransformerState:
    """What the decoder carries between steps. `buffer` holds the keys and values of all steps so far, and room for some of the rest."""

    buffer: Float[Tensor, "R L 2 G T K"]
    position: Int[Tensor, " R"]
    max_length: int

    def select_rows(self, index: Int[Tensor, " N"]) -> "TransformerState":
        """As `sequences.select_rows`; where that is known, copies little more than the steps that are filled."""
        place = _same_place(self.position)
        buffer = self.buffer if place is None else self.with_room(place).buffer[..., : place + _ROOM, :]
        return TransformerState(buffer.index_select(0, index), self.position.index_select(0, index), self.max_length)

    def with_room(self, place: int) -> "TransformerState":
        """The state with a buffer that has room for the step at `place`, and for some more when it has to grow."""
        length = self.buffer.shape[4]
        if place < length:
            return self
        buffer = self.buffer.new_zeros(*self.buffer.shape[:4], min(place + _ROOM, self.max_length), self.buffer.shape[5])
        buffer[..., :length, :] = self.buffer
        return replace(self, buffer=buffer)


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
        self.target_positioned = Positioned(settings, target, bidirectional=False)
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
        x = self.source_positioned.embed(source.values, positions)
        visible = source.mask[:, None, None, :]
        mask: Tensor | None = visible
        if self.source_positioned.bias is not None:
            mask = self.source_positioned.bias(positions, positions).to(x.dtype).masked_fill(~visible, float("-inf"))
        rotation = self.source_positioned.rotary.angles(positions) if self.source_positioned.rotary else None
        for layer in self.encoder:
            x = self._run(layer, x, mask, rotation)
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
        mask: Tensor | None = None
        if self.target_positioned.bias is not None:
            future = positions.unsqueeze(0) > positions.unsqueeze(1)
            mask = self.target_positioned.bias(positions, positions).to(x.dtype).masked_fill(future, float("-inf"))
        rotation = self.target_positioned.rotary.angles(positions) if self.target_positioned.rotary else None
        weights: Tensor | None = None
        for index, layer in enumerate(self._decoder_layers()):

            def run(
                y: Tensor, layer: DecoderLayer = layer, wanted: bool = (attention or self.copies) and index == self.aligning_layer
            ) -> Any:
                return layer(
                    y,
                    lambda z: layer.attention(z, mask, causal=True, rotation=rotation),
                    layer.cross.project(memory.states),
                    memory.mask,
                    wanted,
                )

            x, found = self._run(run, x)
            weights = found if found is not None else weights
        return said(self.head, self.decoder_norm(x), weights, memory)

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> TransformerState:
        """Empty buffers."""
        self.target_positioned.check(max_length)
        rows = len(memory.mask) * beam_size
        shape = (rows, len(self.decoder), 2, self.groups, max_length, self.settings.dim // self.settings.heads)
        # Zeros, since a masked position is still multiplied by its weight of 0, and 0 times an uninitialized NaN is NaN.
        return TransformerState(memory.states.new_zeros(shape), memory.mask.new_zeros(rows, dtype=torch.long), max_length)

    def step(self, last: Tensor, memory: Memory, state: TransformerState, *, attention: bool = False) -> tuple[Output, TransformerState]:
        """One step for R rows; writes into the state's buffer."""
        positioned, position = self.target_positioned, state.position
        place = _same_place(position)
        state = state if place is None else state.with_room(place)
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
        for index, layer in enumerate(self._decoder_layers()):

            def attend(y: Tensor, layer: DecoderLayer = layer, index: int = index) -> Tensor:
                filled = KeysValues(buffer[:, index, 0], buffer[:, index, 1])
                where = position if place is None else place
                return layer.attention.step(y.squeeze(1), filled, where, mask, rotation).unsqueeze(1)  # type: ignore[arg-type]

            wanted = (attention or self.copies) and index == self.aligning_layer
            x, found = layer(x, attend, memory.projections[index], visible, wanted)
            weights = found.squeeze(1) if found is not None else weights
        return said(self.head, self.decoder_norm(x.squeeze(1)), weights, memory), replace(state, position=position + 1)

    def _decoder_layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.decoder if isinstance(layer, DecoderLayer)]

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
