"""The Conformer (Gulati et al. 2020) for speech recognition: maps frames of speech to symbols, with the Transformer's decoder and optional
CTC.

    frames (B, S, C) -> subsampling -> Conformer blocks -> memory (B, S / 4, D) -> Transformer decoder -> head
                                                              `-> CTC head -> frames

With `ctc` the encoder learns to say the target by itself, too (Watanabe et al. 2017): it aligns sooner, and a search may ask both. Weights
of attention and frames are on the memory's scale: one state for `subsampling` frames of the source.
"""

from typing import Any, Literal, final

from torch import Tensor

from antiphon.contracts.configuration import Count, Fraction, config, plugin_field
from antiphon.contracts.model import Architecture, StepwiseModel
from antiphon.contracts.sequences import Frames, Memory, Output, Padded
from antiphon.contracts.specs import Spec, TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.heads.categorical import Categorical, CategoricalConfig
from antiphon.heads.choice import build_head
from antiphon.heads.pointer import check_pointer
from antiphon.layers.conformer_layers import ConformerEncoder, ConformerShape, FramePositions
from antiphon.layers.convolution import ConvolutionNorm
from antiphon.layers.subsampling import Subsampling
from antiphon.layers.transformer_config import TransformerConfig
from antiphon.layers.transformer_decoder import DecoderState, TransformerDecoder


@config
class ConformerConfig:
    """Sizes and variants of the Conformer."""

    name: Literal["conformer"] = "conformer"
    """The name of this architecture."""
    dim: Count = 256
    """Width of the vectors between layers."""
    encoder_layers: Count = 12
    """Conformer blocks of the encoder."""
    decoder_layers: Count = 3
    """Transformer layers of the decoder; a shallow one decodes fast. A model without decoder is `encoder_only`."""
    decoder: Literal["attention", "ssru"] = "attention"
    """How the decoder looks back: by self-attention, or by a simple recurrent unit (SSRU), which decodes fast."""
    heads: Count = 4
    """Attention heads; must divide `dim`."""
    feed_forward_dim: Count = 1024
    """Width inside the feed-forward layers of the encoder; a Conformer block has two of them."""
    decoder_feed_forward_dim: Count | None = None
    """Width inside the feed-forward layers of the decoder; None means twice that of the encoder, since a layer has only one of them."""
    convolution_kernel: Count = 15
    """Kernel size of the convolutions, in states; must be odd."""
    convolution_norm: ConvolutionNorm = "layer"
    """What normalizes within the convolution module: `layer`, the same for any batch, or `batch`, as in the paper."""
    positions: FramePositions = "rotary"
    """How positions are encoded in attention: by rotation (rotary) or as biases (relative)."""
    subsampling: Literal[1, 2, 4, 8] = 4
    """Frames of the source for one state of the encoder. More is faster, and leaves CTC fewer states to align a target with."""
    subsampling_kind: Subsampling = "convolution"
    """Strided convolutions over time and frequency, or concatenated frames (stack)."""
    subsampling_width: Count = 64
    """Channels of each subsampling convolution."""
    ctc: bool = False
    """Whether the encoder also predicts the target (CTC), in training and for joint decoding."""
    intermediate_ctc: tuple[Count, ...] = ()
    """Numbers of inner blocks, from 1, that are also trained by CTC, with the same output layer (Lee and Watanabe 2021)."""
    dropout: Fraction = 0.1
    """Dropout on embeddings, inside feed-forward layers and on the output of every sub-layer."""
    attention_dropout: Fraction = 0.0
    """Dropout on attention weights."""
    tied_embeddings: Literal["none", "decoder"] = "decoder"
    """Share the target embedding with the output layer."""
    checkpoint_activations: bool = False
    """Recompute each layer in the backward pass: less memory for more time."""
    head: plugin_field("heads") | None = None  # type: ignore[valid-type]
    """The output layer of the decoder; None means the default for the target."""


@final
class Conformer(StepwiseModel):
    """Encoder, decoder, head, and the head for CTC."""

    def __init__(self, settings: ConformerConfig, source: ValueSpec, target: TokenSpec):
        super().__init__()
        self.settings, self.source, self.target = settings, source, target
        self.encoder = ConformerEncoder(_shape(settings), source.width)
        self.decoder = TransformerDecoder(_decoder(settings), target)
        embedding = self.decoder.positioned.frontend.embedding
        tied: Any = embedding.weight if embedding is not None and settings.tied_embeddings == "decoder" else None
        self.head = build_head(settings.head, target, settings.dim, tied)
        check_pointer(self.head, source, target, attention=True)  # there is nothing to copy from frames
        self.frame_head: Categorical | None = frame_head(target, settings.dim) if settings.ctc else None

    @property
    def stride(self) -> int:
        """Frames of the source for one state of the memory."""
        return self.settings.subsampling

    @property
    def gives_attention(self) -> bool:
        """Always true."""
        return True

    def encode(self, source: Padded) -> Memory:
        """Encode the frames; the memory has one state for `subsampling` of them."""
        states, inner = self.encoder(source)
        return Memory(states.values, states.mask, inner=inner)

    def frames(self, memory: Memory) -> Frames | None:
        """The CTC head's output for each state; None without `ctc`."""
        return None if self.frame_head is None else Frames(memory.states, memory.mask, self.frame_head, memory.inner)

    def project(self, memory: Memory) -> Memory:
        """Cross-attention keys and values of every decoder layer."""
        return self.decoder.project(memory)

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """All target steps at once, and the frames."""
        features, weights = self.decoder(inputs, memory, attention=attention)
        return Output(features, self.head, weights, self.frames(memory))

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> DecoderState:
        """Empty buffers."""
        return self.decoder.init_state(memory, beam_size, max_length)

    def step(self, last: Tensor, memory: Memory, state: DecoderState, *, attention: bool = False) -> tuple[Output, DecoderState]:
        """One step for R rows; writes into the state's buffer."""
        features, weights, state = self.decoder.step(last, memory, state, attention=attention)
        return Output(features, self.head, weights), state


def frame_head(target: TokenSpec, dim: int) -> Categorical:
    """Logits over the target's symbols and the blank, which is its padding symbol."""
    head = build_head(CategoricalConfig(bias=True), target, dim)
    assert isinstance(head, Categorical), "the head that was asked for"
    return head


def check_specs(name: str, source: Spec, target: Spec) -> tuple[ValueSpec, TokenSpec]:
    """The specs of a speech model's source and target. Raises ConfigError when the source has no frames or the target no symbols."""
    if not isinstance(source, ValueSpec):
        raise ConfigError(
            f"`model.name` must not be `{name}` when the source is made of symbols: it reads frames of values. Use `transformer` or `lstm`."
        )
    if not isinstance(target, TokenSpec):
        raise ConfigError(
            f"`model.name` must not be `{name}` when the target is real-valued: it writes symbols. Use `transformer` or `lstm`."
        )
    return source, target


def _shape(settings: ConformerConfig) -> ConformerShape:
    return ConformerShape(
        dim=settings.dim,
        layers=settings.encoder_layers,
        heads=settings.heads,
        feed_forward_dim=settings.feed_forward_dim,
        kernel_size=settings.convolution_kernel,
        norm=settings.convolution_norm,
        positions=settings.positions,
        dropout=settings.dropout,
        attention_dropout=settings.attention_dropout,
        subsampling=settings.subsampling,
        subsampling_kind=settings.subsampling_kind,
        subsampling_width=settings.subsampling_width,
        inner=settings.intermediate_ctc,
        checkpoint_activations=settings.checkpoint_activations,
    )


def _decoder(settings: ConformerConfig) -> TransformerConfig:
    """The settings of the Transformer whose decoder is used."""
    return TransformerConfig(
        dim=settings.dim,
        decoder_layers=settings.decoder_layers,
        decoder=settings.decoder,
        heads=settings.heads,
        feed_forward_dim=settings.decoder_feed_forward_dim or 2 * settings.feed_forward_dim,
        activation="silu",
        positions=settings.positions,
        dropout=settings.dropout,
        attention_dropout=settings.attention_dropout,
        activation_dropout=settings.dropout,
        checkpoint_activations=settings.checkpoint_activations,
    )


def build(settings: ConformerConfig, source: Spec, target: Spec) -> Conformer:
    """Make the model. Raises ConfigError for sizes that do not go together, and when source or target is of the wrong kind."""
    if settings.intermediate_ctc and not settings.ctc:
        raise ConfigError("`model.intermediate_ctc` has no effect without `model.ctc`. Set it to true, or leave the other out.")
    return Conformer(settings, *check_specs("conformer", source, target))


def defaults(settings: ConformerConfig) -> dict[str, Any]:
    """With CTC, the joint loss of CTC and cross-entropy."""
    return {"training": {"loss": {"name": "joint_ctc"}}} if settings.ctc else {}


plugin = Architecture(
    name="conformer",
    summary="Conformer encoder for frames of speech with a Transformer decoder and optional CTC.",
    Config=ConformerConfig,
    build=build,
    defaults=defaults,
    presets={
        "tiny": {"dim": 96, "encoder_layers": 4, "decoder_layers": 2, "heads": 4, "feed_forward_dim": 192, "ctc": True},
        "small": {"dim": 144, "encoder_layers": 12, "decoder_layers": 3, "heads": 4, "feed_forward_dim": 576, "ctc": True},
        "base": {"dim": 256, "encoder_layers": 12, "decoder_layers": 6, "heads": 4, "feed_forward_dim": 1024, "ctc": True},
    },
)
