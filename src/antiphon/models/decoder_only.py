"""A decoder-only model, which is a language model: it gives the probability of a text, symbol by symbol (Bengio et al. 2003).

    start, symbols (B, T) -> the decoder of the Transformer without attention to a memory, or a stack of LSTM layers -> head

Unusual here: it goes through the same encode, decode, step and searches as every other architecture, with a memory that has no numbers in
it. So it reads nothing of a source, and refuses one that says anything: its sources are what the task `language_modeling` makes, one and
the same symbol.
"""

from typing import Annotated, Any, Literal, final

from jaxtyping import Float
from torch import Tensor, nn

from antiphon.contracts.configuration import Choice, Count, Fraction, config, plugin_field
from antiphon.contracts.model import Architecture, StepwiseModel
from antiphon.contracts.sequences import Memory, Output, Padded
from antiphon.contracts.specs import Spec, TokenSpec
from antiphon.errors import ConfigError
from antiphon.heads.choice import build_head
from antiphon.heads.pointer import Pointer
from antiphon.layers.feed_forward import Activation
from antiphon.layers.frontends import Frontend
from antiphon.layers.recurrent import Cell, RecurrentStack, RecurrentState, drop
from antiphon.layers.transformer_config import Positions, TransformerConfig, check_settings
from antiphon.layers.transformer_decoder import DecoderState, TransformerDecoder


@config
class TransformerLayersConfig:
    """Transformer layers of causal self-attention."""

    name: Literal["transformer"] = "transformer"
    """The kind of decoder."""
    dim: Count = 256
    """Width of the vectors between layers."""
    layers: Count = 4
    """Depth."""
    heads: Count = 4
    """Attention heads; must divide `dim`."""
    feed_forward_dim: Count = 1024
    """Width inside the feed-forward layers."""
    activation: Activation = "gelu"
    """Activation of the feed-forward layers."""
    gated: bool = False
    """Whether feed-forward layers have a gate (with silu: SwiGLU)."""
    norm: Literal["layer", "rms"] = "layer"
    """LayerNorm or RMSNorm, before each sub-layer."""
    positions: Positions = "rotary"
    """How positions are encoded: added (sinusoidal, learned), by rotation (rotary), or as attention biases (relative)."""
    max_positions: Count = 1024
    """Longest sequence of learned positions."""
    dropout: Fraction = 0.1
    """Dropout on embeddings, inside feed-forward layers and on the output of every sub-layer."""
    attention_dropout: Fraction = 0.0
    """Dropout on attention weights."""
    checkpoint_activations: bool = False
    """Recompute each layer in the backward pass: less memory for more time."""


@config
class RecurrentLayersConfig:
    """A stack of LSTM or GRU layers."""

    name: Literal["lstm"] = "lstm"
    """The kind of decoder."""
    dim: Count = 512
    """Width of the vectors between layers, and of the embeddings."""
    layers: Count = 2
    """Depth."""
    cell: Cell = "lstm"
    """LSTM or GRU."""
    dropout: Fraction = 0.3
    """Dropout on embeddings, between layers, and before the head."""
    variational_dropout: bool = False
    """One dropout mask per sequence instead of one per step."""


LayersConfig = Annotated[TransformerLayersConfig | RecurrentLayersConfig, Choice("transformer")]


@config
class DecoderOnlyConfig:
    """A language model."""

    name: Literal["decoder_only"] = "decoder_only"
    """The name of this architecture."""
    decoder: LayersConfig = TransformerLayersConfig()
    """The kind of decoder: transformer or lstm, with its sizes."""
    tied_embeddings: Literal["none", "decoder"] = "decoder"
    """Share the embedding with the output layer."""
    head: plugin_field("heads") | None = None  # type: ignore[valid-type]
    """The output layer; None means the default for symbols."""


@final
class RecurrentDecoder(nn.Module):
    """Symbols to vectors (B, T, D) by recurrent layers."""

    def __init__(self, settings: RecurrentLayersConfig, target: TokenSpec):
        super().__init__()
        self.settings = settings
        self.frontend = Frontend(target, settings.dim, scale=settings.dim**0.5)
        assert self.frontend.embedding is not None, "symbols have an embedding"
        # Small as weights of the output layer, of unit variance as inputs.
        nn.init.normal_(self.frontend.embedding.weight, std=settings.dim**-0.5)
        self.stack = RecurrentStack(
            settings.dim,
            settings.dim,
            settings.layers,
            cell=settings.cell,
            bidirectional=False,
            dropout=settings.dropout,
            variational=settings.variational_dropout,
        )

    def forward(self, inputs: Padded, memory: Memory) -> tuple[Float[Tensor, "B T D"], None]:
        """All steps at once. Padding comes after the real elements, so that it does not influence them."""
        hidden, _ = self.stack(self._drop(self.frontend(inputs.values)))
        return self._drop(hidden), None

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> RecurrentState:
        """States of 0."""
        zeros = memory.states.new_zeros(memory.mask.shape[0] * beam_size, self.settings.layers, self.settings.dim)
        return RecurrentState(zeros, zeros if self.settings.cell == "lstm" else None)

    def step(self, last: Tensor, memory: Memory, state: RecurrentState) -> tuple[Float[Tensor, "R D"], None, RecurrentState]:
        """One step for R rows."""
        x = self._drop(self.frontend(last).unsqueeze(1)).squeeze(1)
        hidden, state = self.stack.step(x, state)
        return self._drop(hidden.unsqueeze(1)).squeeze(1), None, state

    def _drop(self, x: Float[Tensor, "N T D"]) -> Float[Tensor, "N T D"]:
        return drop(x, self.settings.dropout, variational=self.settings.variational_dropout, training=self.training)


@final
class DecoderOnly(StepwiseModel):
    """Decoder and head."""

    def __init__(self, settings: DecoderOnlyConfig, source: TokenSpec, target: TokenSpec):
        super().__init__()
        self.settings, self.source, self.target = settings, source, target
        self.decoder: TransformerDecoder | RecurrentDecoder
        if isinstance(settings.decoder, RecurrentLayersConfig):
            self.decoder = RecurrentDecoder(settings.decoder, target)
            embedding = self.decoder.frontend.embedding
        else:
            self.decoder = TransformerDecoder(_transformer(settings.decoder), target, crosses=False)
            embedding = self.decoder.positioned.frontend.embedding
        tied: Any = embedding.weight if embedding is not None and settings.tied_embeddings == "decoder" else None
        self.head = build_head(settings.head, target, settings.decoder.dim, tied)
        if isinstance(self.head, Pointer):
            raise ConfigError("`model.head.name` must not be `pointer` for a language model: there is nothing to copy from.")

    @property
    def longest_target(self) -> int | None:
        """The number of learned positions, if it has any."""
        return self.decoder.positioned.longest if isinstance(self.decoder, TransformerDecoder) else None

    def encode(self, source: Padded) -> Memory:
        """An empty memory with a row for each source."""
        weight = next(self.parameters())
        return Memory(weight.new_zeros(*source.values.shape, 0), source.mask)

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """All steps at once."""
        features, _ = self.decoder(inputs, memory)
        return Output(features, self.head)

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> DecoderState | RecurrentState:
        """Empty buffers, or states of 0."""
        return self.decoder.init_state(memory, beam_size, max_length)

    def project(self, memory: Memory) -> Memory:
        """Empty projections for every layer."""
        return self.decoder.project(memory) if isinstance(self.decoder, TransformerDecoder) else memory

    def step(self, last: Tensor, memory: Memory, state: Any, *, attention: bool = False) -> tuple[Output, Any]:
        """One step for R rows."""
        features, _, state = self.decoder.step(last, memory, state)
        return Output(features, self.head), state


def build(settings: DecoderOnlyConfig, source: Spec, target: Spec) -> DecoderOnly:
    """Make the model. Raises ConfigError for sizes that do not go together, for a source that is not empty, and for a target of values."""
    if not isinstance(target, TokenSpec):
        raise ConfigError("`model.name` must not be `decoder_only` when the target is real-valued: it writes symbols.")
    if not isinstance(source, TokenSpec) or not source.says_nothing:
        raise ConfigError(
            "`model.name` must not be `decoder_only` for a task with a source, which it would not read. Use"
            " `task: {name: language_modeling}`, or another architecture."
        )
    decoder = settings.decoder
    if isinstance(decoder, TransformerLayersConfig):
        try:
            check_settings(_transformer(decoder), source, target)
        except ConfigError as error:
            raise ConfigError(str(error).replace("`model.", "`model.decoder.")) from error
    return DecoderOnly(settings, source, target)


def _transformer(settings: TransformerLayersConfig) -> TransformerConfig:
    """The settings of the Transformer whose decoder is used."""
    return TransformerConfig(
        dim=settings.dim,
        decoder_layers=settings.layers,
        heads=settings.heads,
        feed_forward_dim=settings.feed_forward_dim,
        activation=settings.activation,
        gated=settings.gated,
        norm=settings.norm,
        positions=settings.positions,
        max_positions=settings.max_positions,
        dropout=settings.dropout,
        attention_dropout=settings.attention_dropout,
        activation_dropout=settings.dropout,
        checkpoint_activations=settings.checkpoint_activations,
    )


plugin = Architecture(
    name="decoder_only",
    summary="A Transformer or LSTM decoder without source: language models, also for shallow fusion.",
    Config=DecoderOnlyConfig,
    build=build,
    presets={
        "tiny": {"decoder": {"name": "transformer", "dim": 128, "layers": 2, "feed_forward_dim": 512}},
        "small": {"decoder": {"name": "transformer", "dim": 256, "layers": 4, "feed_forward_dim": 1024}},
        "base": {"decoder": {"name": "transformer", "dim": 512, "layers": 6, "heads": 8, "feed_forward_dim": 2048}},
    },
)
