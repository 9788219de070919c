"""Whisper (Radford et al. 2022): maps frames of speech to symbols, by two convolutions followed by a pre-norm Transformer.

    frames (B, S, C) -> convolutions -> + sinusoids -> encoder layers -> memory (B, S / 2, D) -> Transformer decoder -> head

Unusual here, and as published: positions of the source are sinusoids, those of the target are learned; embeddings are not multiplied by
the square root of their width; the output layer is the embedding. Published models read 30 seconds at a time, silence behind a shorter
recording included (`task.features.padded_seconds: 30`); a model of one's own need not.
"""

from collections.abc import Callable
from typing import Any, Literal, final

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from antiphon.contracts.configuration import Count, Fraction, config, plugin_field
from antiphon.contracts.model import Architecture, StepwiseModel
from antiphon.contracts.sequences import Memory, Output, Padded
from antiphon.contracts.specs import Spec, TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.heads.choice import build_head
from antiphon.layers.dropout import Dropout
from antiphon.layers.positions import sinusoids
from antiphon.layers.temporal_convolutions import STRIDE, TemporalConvolutions
from antiphon.layers.transformer_config import TransformerConfig
from antiphon.layers.transformer_decoder import DecoderState, TransformerDecoder
from antiphon.layers.transformer_layers import EncoderLayer, make_norm


@config
class WhisperConfig:
    """Sizes of Whisper."""

    name: Literal["whisper"] = "whisper"
    """The name of this architecture."""
    dim: Count = 384
    """Width of the vectors between layers."""
    encoder_layers: Count = 4
    """Depth of the encoder."""
    decoder_layers: Count = 4
    """Depth of the decoder."""
    heads: Count = 6
    """Attention heads; must divide `dim`."""
    feed_forward_dim: Count | None = None
    """Width inside the feed-forward layers; None is four times `dim`."""
    max_positions: Count = 448
    """The longest target, including its forced beginning and the end: its positions are learned."""
    dropout: Fraction = 0.0
    """Dropout on embeddings and on the output of every sub-layer; published models have none."""
    attention_dropout: Fraction = 0.0
    """Dropout on attention weights."""
    checkpoint_activations: bool = False
    """Recompute each layer in the backward pass: less memory for more time."""
    head: plugin_field("heads") | None = None  # type: ignore[valid-type]
    """The output layer; None means the default for the target."""


@final
class Whisper(StepwiseModel):
    """Convolutions, encoder, decoder and head."""

    def __init__(self, settings: WhisperConfig, source: ValueSpec, target: TokenSpec):
        super().__init__()
        self.settings, self.source, self.target = settings, source, target
        layers = _layers(settings)
        self.frontend = TemporalConvolutions(source.width, settings.dim)
        self.dropout = Dropout(settings.dropout)
        self.encoder = nn.ModuleList(EncoderLayer(layers) for _ in range(settings.encoder_layers))
        self.encoder_norm = make_norm(layers)
        for module in self.encoder.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        self.decoder = TransformerDecoder(layers, target)
        embedding = self.decoder.positioned.frontend.embedding
        tied: Any = None if embedding is None else embedding.weight
        self.head = build_head(settings.head, target, settings.dim, tied)

    @property
    def stride(self) -> int:
        """Frames of the source for one state of the memory."""
        return STRIDE

    @property
    def longest_target(self) -> int | None:
        """The number of learned positions of the decoder; the encoder's positions are computed."""
        return self.decoder.positioned.longest

    @property
    def gives_attention(self) -> bool:
        """Always true."""
        return True

    def encode(self, source: Padded) -> Memory:
        """Encode the frames; the memory has one state for two of them."""
        found: Padded = self.frontend(source)
        positions = torch.arange(found.values.shape[1], device=found.values.device)
        x = self.dropout(found.values + sinusoids(positions, self.settings.dim).to(found.values.dtype))
        for layer in self.encoder:
            x = self._run(layer, x, found.mask[:, None, None, :], None)
        return Memory(self.encoder_norm(x), found.mask)

    def project(self, memory: Memory) -> Memory:
        """Cross-attention keys and values of every decoder layer."""
        return self.decoder.project(memory)

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """All target steps at once."""
        features, weights = self.decoder(inputs, memory, attention=attention)
        return Output(features, self.head, weights)

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> DecoderState:
        """Empty buffers."""
        return self.decoder.init_state(memory, beam_size, max_length)

    def step(self, last: Tensor, memory: Memory, state: DecoderState, *, attention: bool = False) -> tuple[Output, DecoderState]:
        """One step for R rows; writes into the state's buffer."""
        features, weights, state = self.decoder.step(last, memory, state, attention=attention)
        return Output(features, self.head, weights), state

    def _run(self, layer: Callable[..., Any], *arguments: Any) -> Any:
        if self.settings.checkpoint_activations and self.training and torch.is_grad_enabled():
            return checkpoint(layer, *arguments, use_reentrant=False)
        return layer(*arguments)


def _layers(settings: WhisperConfig) -> TransformerConfig:
    """The settings of the Transformer whose layers are used."""
    return TransformerConfig(
        dim=settings.dim,
        encoder_layers=settings.encoder_layers,
        decoder_layers=settings.decoder_layers,
        heads=settings.heads,
        feed_forward_dim=settings.feed_forward_dim or 4 * settings.dim,
        activation="gelu",
        positions="learned",
        scale_embeddings=False,
        max_positions=settings.max_positions,
        dropout=settings.dropout,
        attention_dropout=settings.attention_dropout,
        checkpoint_activations=settings.checkpoint_activations,
    )


def build(settings: WhisperConfig, source: Spec, target: Spec) -> Whisper:
    """Make the model. Raises ConfigError for sizes that do not go together, and when source or target is of the wrong kind."""
    if not isinstance(source, ValueSpec) or not isinstance(target, TokenSpec):
        raise ConfigError(
            "`model.name` must not be `whisper` unless the source is frames of values and the target symbols. Use `transformer`."
        )
    if settings.dim % settings.heads:
        raise ConfigError(f"`model.heads` must divide `model.dim` ({settings.dim}), but is {settings.heads}.")
    return Whisper(settings, source, target)


plugin = Architecture(
    name="whisper",
    summary="Whisper: a Transformer for speech after two convolutions; also for published weights.",
    Config=WhisperConfig,
    build=build,
    presets={
        "tiny": {"dim": 384, "encoder_layers": 4, "decoder_layers": 4, "heads": 6},
        "base": {"dim": 512, "encoder_layers": 6, "decoder_layers": 6, "heads": 8},
        "small": {"dim": 768, "encoder_layers": 12, "decoder_layers": 12, "heads": 12},
        "medium": {"dim": 1024, "encoder_layers": 24, "decoder_layers": 24, "heads": 16},
    },
)
