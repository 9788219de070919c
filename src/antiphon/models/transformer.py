"""The Transformer encoder-decoder (Vaswani et al. 2017) with the variations that proved themselves since.

Unusual here: the decoder's buffers for all layers are one tensor, (R, L, 2, G, T, K), so that re-ordering beams is one copy, of about
the filled part only. Cross-attention keys and values are computed once per source, and beams share them. Weights over the source come from
the second last decoder layer, which aligns best in trained translators (Garg et al. 2019).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from antiphon.configuration import config, plugin_field
from antiphon.errors import ConfigError
from antiphon.heads.choice import build_head, take_apart
from antiphon.interfaces import Architecture, Spec, StepwiseModel, ValueSpec
from antiphon.layers.attention import CrossAttention, KeysValues, Rotation, SelfAttention
from antiphon.layers.channelwise import ChannelIndependent, check_channels
from antiphon.layers.feed_forward import Activation, FeedForward
from antiphon.layers.frontends import Frontend
from antiphon.layers.patches import Patches
from antiphon.layers.positions import RelativeBias, Rotary, sinusoids
from antiphon.sequences import Memory, Output, Padded

Positions = Literal["sinusoidal", "learned", "rotary", "relative"]


@config
class TransformerConfig:
    """Sizes and variations of the Transformer."""

    name: Literal["transformer"] = "transformer"
    """The name of this architecture."""
    dim: int = 256
    """Width of the vectors between layers."""
    encoder_layers: int = 3
    """Depth of the encoder."""
    decoder_layers: int = 3
    """Depth of the decoder; a shallow one decodes fast."""
    heads: int = 4
    """Attention heads; must divide `dim`."""
    key_value_heads: int | None = None
    """Heads for keys and values, which groups of query heads share; 1 is multi-query attention, None is as many as `heads`."""
    feed_forward_dim: int = 1024
    """Width inside the feed-forward layers of the encoder."""
    decoder_feed_forward_dim: int | None = None
    """Width inside the feed-forward layers of the decoder; None is as in the encoder."""
    activation: Activation = "relu"
    """Activation of the feed-forward layers."""
    gated: bool = False
    """Whether feed-forward layers have a gate (with silu: SwiGLU)."""
    norm: Literal["layer", "rms"] = "layer"
    """LayerNorm or RMSNorm."""
    norm_position: Literal["pre", "post"] = "pre"
    """Normalize before each sub-layer (stable) or after it, as in the original (needs warm-up)."""
    positions: Positions = "sinusoidal"
    """How positions enter: added (sinusoidal, learned), by rotation (rotary), or as attention biases (relative)."""
    max_positions: int = 1024
    """Longest sequence of learned positions."""
    dropout: float = 0.1
    """Dropout on embeddings and on the output of every sub-layer."""
    attention_dropout: float = 0.0
    """Dropout on attention weights."""
    activation_dropout: float = 0.0
    """Dropout inside feed-forward layers."""
    bias: bool = True
    """Whether linear layers have biases."""
    tied_embeddings: Literal["none", "decoder", "all"] = "decoder"
    """Share the target embedding with the output layer (decoder), and with the source embedding too (all; needs a joint vocabulary)."""
    patch_length: int | None = None
    """Steps of a source of values that are read as one element (a patch); None is each step by itself."""
    patch_stride: int | None = None
    """Steps from one patch to the next; None is `patch_length`, fewer let patches overlap."""
    channels: Literal["mixing", "independent"] = "mixing"
    """Whether the channels of a target of values are read and said together, or each by itself with the same weights."""
    checkpoint_activations: bool = False
    """Recompute each layer in the backward pass: less memory for more time."""
    head: plugin_field("heads") | None = None  # type: ignore[valid-type]
    """The output layer; None is the natural one for the target."""


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


def _norm(settings: TransformerConfig) -> nn.Module:
    return nn.LayerNorm(settings.dim) if settings.norm == "layer" else nn.RMSNorm(settings.dim)


@final
class SubLayer(nn.Module):
    """Normalization and the residual connection around attention or a feed-forward layer."""

    def __init__(self, settings: TransformerConfig):
        super().__init__()
        self.norm = _norm(settings)
        self.pre = settings.norm_position == "pre"
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, x: Float[Tensor, "... D"], inner: Callable[[Tensor], Tensor]) -> Float[Tensor, "... D"]:
        """x + inner(norm(x)), or norm(x + inner(x))."""
        if self.pre:
            return x + self.dropout(inner(self.norm(x)))  # type: ignore[no-any-return]
        return self.norm(x + self.dropout(inner(x)))  # type: ignore[no-any-return]


def _self_attention(settings: TransformerConfig) -> SelfAttention:
    return SelfAttention(
        settings.dim,
        settings.heads,
        settings.key_value_heads or settings.heads,
        head_dim=settings.dim // settings.heads,
        dropout=settings.attention_dropout,
        bias=settings.bias,
    )


def _feed_forward(settings: TransformerConfig, hidden_dim: int) -> FeedForward:
    return FeedForward(
        settings.dim, hidden_dim, settings.activation, gated=settings.gated, dropout=settings.activation_dropout, bias=settings.bias
    )


@final
class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward."""

    def __init__(self, settings: TransformerConfig):
        super().__init__()
        self.attention, self.attention_residual = _self_attention(settings), SubLayer(settings)
        self.feed_forward, self.feed_forward_residual = _feed_forward(settings, settings.feed_forward_dim), SubLayer(settings)

    def forward(self, x: Float[Tensor, "B S D"], mask: Tensor | None, rotation: Rotation | None) -> Float[Tensor, "B S D"]:
        """One layer over the whole source."""
        x = self.attention_residual(x, lambda y: self.attention(y, mask, rotation=rotation))
        return self.feed_forward_residual(x, self.feed_forward)  # type: ignore[no-any-return]


@final
class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the memory, then feed-forward."""

    def __init__(self, settings: TransformerConfig):
        super().__init__()
        hidden_dim = settings.decoder_feed_forward_dim or settings.feed_forward_dim
        heads, groups = settings.heads, settings.key_value_heads or settings.heads
        self.attention, self.attention_residual = _self_attention(settings), SubLayer(settings)
        self.cross = CrossAttention(
            settings.dim,
            settings.dim,
            heads,
            groups,
            head_dim=settings.dim // heads,
            dropout=settings.attention_dropout,
            bias=settings.bias,
        )
        self.cross_residual = SubLayer(settings)
        self.feed_forward, self.feed_forward_residual = _feed_forward(settings, hidden_dim), SubLayer(settings)

    def forward(
        self,
        x: Float[Tensor, "N T D"],
        attend_self: Callable[[Tensor], Tensor],
        memory: KeysValues,
        memory_mask: Tensor | None,
        weights: bool,
    ) -> tuple[Float[Tensor, "N T D"], Tensor | None]:
        """One layer; `attend_self` is the self-attention over the sequence, or over one step and its buffer."""
        attention: list[Tensor | None] = []

        def attend_memory(y: Tensor) -> Tensor:
            mixed, found = self.cross(y, memory, memory_mask, weights=weights)
            attention.append(found)
            return mixed  # type: ignore[no-any-return]

        x = self.attention_residual(x, attend_self)
        x = self.cross_residual(x, attend_memory)
        return self.feed_forward_residual(x, self.feed_forward), attention[0]


@final
class Positioned(nn.Module):
    """Elements with their positions: a frontend, added positions, and what attention layers need to know of positions."""

    def __init__(self, settings: TransformerConfig, spec: Spec, *, bidirectional: bool):
        super().__init__()
        self.kind = settings.positions
        self.frontend = Frontend(spec, settings.dim, scale=settings.dim**0.5)
        self.dropout = nn.Dropout(settings.dropout)
        self.norm = _norm(settings) if settings.norm_position == "post" and settings.positions == "learned" else nn.Identity()
        self.table = nn.Embedding(settings.max_positions, settings.dim) if self.kind == "learned" else None
        self.rotary = Rotary(settings.dim // settings.heads) if self.kind == "rotary" else None
        self.bias = RelativeBias(settings.heads, bidirectional=bidirectional) if self.kind == "relative" else None

    def embed(self, elements: Tensor, positions: Int[Tensor, "..."]) -> Float[Tensor, "... D"]:
        """Vectors for elements at positions; `positions` is (T,) for a sequence and (R,) for a step."""
        x = self.frontend(elements)
        if self.kind == "sinusoidal":
            x = x + sinusoids(positions, x.shape[-1]).to(x.dtype)
        elif self.table is not None:
            x = x + self.table(positions)
        return self.dropout(self.norm(x))  # type: ignore[no-any-return]

    def check(self, length: int) -> None:
        """Raises ConfigError when a sequence has more steps than learned positions."""
        if self.table is not None and length > self.table.num_embeddings:
            raise ConfigError(
                f"`model.max_positions` must be at least the length of the longest sequence ({length}), but is {self.table.num_embeddings}."
                " Raise it, limit the length, or use `model.positions: rotary`."
            )


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
        self.encoder_norm = _norm(settings) if pre else nn.Identity()
        self.decoder_norm = _norm(settings) if pre else nn.Identity()
        self._initialize()
        self.head = self._tie()
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
        return Memory(self.encoder_norm(x), source.mask)

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
        return Output(self.decoder_norm(x), self.head, weights)

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

            wanted = attention and index == self.aligning_layer
            x, found = layer(x, attend, memory.projections[index], visible, wanted)
            weights = found.squeeze(1) if found is not None else weights
        return Output(self.decoder_norm(x.squeeze(1)), self.head, weights), replace(state, position=position + 1)

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
    groups = settings.key_value_heads or settings.heads
    if settings.heads < 1 or settings.dim % settings.heads:
        raise ConfigError(f"`model.heads` must divide `model.dim` ({settings.dim}), but is {settings.heads}.")
    if groups < 1 or settings.heads % groups:
        raise ConfigError(f"`model.key_value_heads` must divide `model.heads` ({settings.heads}), but is {groups}.")
    _check_values(settings, source, target)
    if settings.positions == "rotary" and settings.dim // settings.heads % 2:
        raise ConfigError(f"`model.dim` / `model.heads` must be even for rotary positions, but is {settings.dim // settings.heads}.")
    for field in ("dim", "encoder_layers", "decoder_layers", "feed_forward_dim", "max_positions"):
        if getattr(settings, field) < 1:
            raise ConfigError(f"`model.{field}` must be at least 1, but is {getattr(settings, field)}.")
    if settings.channels == "independent" and isinstance(source, ValueSpec) and isinstance(target, ValueSpec):
        return ChannelIndependent(lambda one, said: Transformer(settings, one, said), take_apart, source, target)
    return Transformer(settings, source, target)


def _check_values(settings: TransformerConfig, source: Spec, target: Spec) -> None:
    """Raise ConfigError for settings of real values that make no sense, or where there are none."""
    length, stride = settings.patch_length, settings.patch_stride
    if length is not None and not isinstance(source, ValueSpec):
        raise ConfigError("`model.patch_length` must be left out when the source is made of symbols: only values have patches.")
    if length is not None and length < 1:
        raise ConfigError(f"`model.patch_length` must be at least 1, but is {length}.")
    if stride is not None and (length is None or not 1 <= stride <= length):
        raise ConfigError(f"`model.patch_stride` must be from 1 to `model.patch_length` ({length}), but is {stride}.")
    if settings.channels == "independent":
        check_channels(source, target)


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
