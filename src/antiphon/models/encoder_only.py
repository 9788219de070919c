"""An encoder-only model with an output for each state, which CTC turns into the target sequence (Graves et al. 2006).

    frames (B, S, C) -> subsampling -> encoder: conformer, transformer or lstm -> head -> (B, S / 4, V), of which one symbol is the blank

Unusual here: there is no decoder, so `decode` reads no inputs and its output has a row for each state of the memory, not for each element
of the target. The loss is `ctc` and the search `ctc`, unless a recipe says otherwise.
"""

from typing import Annotated, Any, Literal, final

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from antiphon.contracts.configuration import Choice, Count, Fraction, config
from antiphon.contracts.model import Architecture, Seq2SeqModel
from antiphon.contracts.sequences import Frames, Memory, Output, Padded
from antiphon.contracts.specs import Spec, TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.layers.conformer_layers import ConformerEncoder, ConformerShape, FramePositions
from antiphon.layers.convolution import ConvolutionNorm
from antiphon.layers.dropout import Dropout
from antiphon.layers.frame_stream import FrameStream
from antiphon.layers.recurrent import Cell, RecurrentStack, RecurrentState
from antiphon.layers.subsampling import Subsampling, build_subsampling, subsampled_behind
from antiphon.models.conformer import check_specs, frame_head


@config
class ConformerEncoderConfig:
    """A Conformer encoder."""

    name: Literal["conformer"] = "conformer"
    """The kind of encoder."""
    dim: Count = 256
    """Width of the vectors between layers."""
    layers: Count = 12
    """Conformer blocks."""
    heads: Count = 4
    """Attention heads; must divide `dim`."""
    feed_forward_dim: Count = 1024
    """Width inside the feed-forward layers, of which a block has two."""
    convolution_kernel: Count = 15
    """Kernel size of the convolutions, in states; must be odd."""
    convolution_norm: ConvolutionNorm = "layer"
    """What normalizes within the convolution module: `layer`, the same for any batch, or `batch`, as in the paper."""
    positions: FramePositions = "rotary"
    """How positions are encoded in attention: by rotation (rotary) or as biases (relative)."""
    dropout: Fraction = 0.1
    """Dropout inside feed-forward layers and on the output of every sub-layer."""
    attention_dropout: Fraction = 0.0
    """Dropout on attention weights."""


@config
class TransformerEncoderConfig:
    """A Transformer encoder with a norm before each sub-layer and after each block."""

    name: Literal["transformer"] = "transformer"
    """The kind of encoder."""
    dim: Count = 256
    """Width of the vectors between layers."""
    layers: Count = 12
    """Blocks of self-attention and feed-forward."""
    heads: Count = 4
    """Attention heads; must divide `dim`."""
    feed_forward_dim: Count = 2048
    """Width inside the feed-forward layers."""
    positions: FramePositions = "rotary"
    """How positions are encoded in attention: by rotation (rotary) or as biases (relative)."""
    dropout: Fraction = 0.1
    """Dropout inside feed-forward layers and on the output of every sub-layer."""
    attention_dropout: Fraction = 0.0
    """Dropout on attention weights."""


@config
class RecurrentEncoderConfig:
    """A stack of LSTM or GRU layers."""

    name: Literal["lstm"] = "lstm"
    """The kind of encoder."""
    dim: Count = 320
    """Width of the vectors between layers; both directions together."""
    layers: Count = 4
    """Depth of the stack."""
    cell: Cell = "lstm"
    """LSTM or GRU."""
    bidirectional: bool = True
    """Whether the recording is read in both directions; must be false for `chunk`."""
    dropout: Fraction = 0.2
    """Dropout between layers and on their output."""


EncoderConfig = Annotated[ConformerEncoderConfig | TransformerEncoderConfig | RecurrentEncoderConfig, Choice("conformer")]


@config
class EncoderOnlyConfig:
    """An encoder for CTC."""

    name: Literal["encoder_only"] = "encoder_only"
    """The name of this architecture."""
    encoder: EncoderConfig = ConformerEncoderConfig()
    """The kind of encoder: conformer, transformer or lstm, with its sizes."""
    subsampling: Literal[1, 2, 4, 8] = 4
    """Frames of the source for one state of the encoder. More is faster, and leaves fewer states to align a target with."""
    subsampling_kind: Subsampling = "convolution"
    """Strided convolutions over time and frequency, or concatenated frames (stack)."""
    subsampling_width: Count = 64
    """Maps of each subsampling convolution."""
    chunk: Count | None = None
    """For live recognition: a state depends on no frame after its chunk of this many states; convolutions and recurrent layers only use the
    past. Latency is `chunk * subsampling` frames (16 * 4 frames of 10 ms are 0.64 s). None uses the whole recording."""
    left_chunks: Annotated[int, Field(ge=0)] | None = None
    """With `chunk`: the number of earlier chunks that a state attends to in each layer, in training and in a stream, whose cost and memory
    then do not grow with its length; 0 means only its own chunk. None attends to all earlier ones. Without effect on an `lstm`."""
    intermediate_ctc: tuple[Count, ...] = ()
    """Numbers of inner blocks, from 1, that are also trained by CTC, with the same output layer (Lee and Watanabe 2021)."""


@final
class RecurrentEncoder(nn.Module):
    """Subsampling and recurrent layers, (B, S, C) -> (B, S', D)."""

    def __init__(self, settings: EncoderOnlyConfig, encoder: RecurrentEncoderConfig, channels: int):
        super().__init__()
        self.subsampling = build_subsampling(
            settings.subsampling_kind, channels, encoder.dim, settings.subsampling, width=settings.subsampling_width
        )
        self.stack = RecurrentStack(
            encoder.dim,
            encoder.dim,
            encoder.layers,
            cell=encoder.cell,
            bidirectional=encoder.bidirectional,
            dropout=encoder.dropout,
            variational=False,
        )
        self.dropout = Dropout(encoder.dropout)

    def forward(self, source: Padded) -> tuple[Padded, tuple[Float[Tensor, "B S D"], ...]]:
        """The states with their lengths."""
        frames = self.subsampling(source)
        states, _ = self.stack(frames.values, frames.lengths, counts=frames.counts)
        return Padded(self.dropout(states), frames.lengths), ()

    def follow(
        self, source: Padded, past: tuple[Float[Tensor, "B P C"], RecurrentState] | None = None
    ) -> tuple[Padded, tuple[Float[Tensor, "B F C"], RecurrentState]]:
        """Like `ConformerEncoder.follow`; the past is the last group of frames and the state of each layer."""
        assert not self.stack.bidirectional, "who reads backwards waits for the end"
        frames, kept = subsampled_behind(self.subsampling, source, None if past is None else past[0])
        states, state = self.stack(frames.values, None, None if past is None else past[1])
        return Padded(self.dropout(states), frames.lengths), (kept, state)


@final
class EncoderOnly(Seq2SeqModel):
    """Encoder and head."""

    def __init__(self, settings: EncoderOnlyConfig, source: ValueSpec, target: TokenSpec):
        super().__init__()
        self.settings, self.source, self.target = settings, source, target
        encoder, self.channels = settings.encoder, source.width
        self.encoder: RecurrentEncoder | ConformerEncoder
        if isinstance(encoder, RecurrentEncoderConfig):
            self.encoder = RecurrentEncoder(settings, encoder, source.width)
        else:
            self.encoder = ConformerEncoder(_shape(settings, encoder), source.width)
        self.head: nn.Module = frame_head(target, encoder.dim)

    @property
    def stride(self) -> int:
        """Frames of the source for one state of the memory."""
        return self.settings.subsampling

    @property
    def latency(self) -> int | None:
        """The greatest number of later frames that the output for a frame depends on; None when it depends on all of them."""
        return None if self.settings.chunk is None else self.settings.chunk * self.settings.subsampling - 1

    def follow(self) -> "FollowedRecording":
        """Start following a recording. Raises ConfigError for an encoder that needs all of it."""
        chunk, channels = self.settings.chunk, self.channels
        if chunk is None:
            raise ConfigError(
                "A stream needs `model.chunk`, but this model was trained without it: it looks at all of a recording at once."
            )
        assert not self.training, "a model that is being trained follows no recording"
        return FollowedRecording(FrameStream(self.encoder, channels, chunk), self.head)

    def encode(self, source: Padded) -> Memory:
        """Encode the frames; the memory has one state for `subsampling` of them."""
        states, inner = self.encoder(source)
        return Memory(states.values, states.mask, inner=inner)

    def frames(self, memory: Memory) -> Frames:
        """The head's output for each state."""
        return Frames(memory.states, memory.mask, self.head, memory.inner)

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """The outputs for the frames, whatever the inputs: logits (B, S', V), one row for each state of the memory."""
        frames = self.frames(memory)
        return Output(frames.features, frames.head, frames=frames)


@final
class FollowedRecording:
    """One recording in progress: takes frames, returns logits of the completed states."""

    def __init__(self, states: FrameStream, head: nn.Module):
        self.states, self.head = states, head

    @torch.inference_mode()
    def feed(self, frames: Float[Tensor, "S C"]) -> Float[Tensor, "S2 V"]:
        """The logits of the states that these frames complete."""
        return self.head(self.states.feed(frames))  # type: ignore[no-any-return]

    @torch.inference_mode()
    def finish(self) -> Float[Tensor, "S2 V"]:
        """The logits of the remaining states."""
        return self.head(self.states.finish())  # type: ignore[no-any-return]


def _shape(settings: EncoderOnlyConfig, encoder: ConformerEncoderConfig | TransformerEncoderConfig) -> ConformerShape:
    return ConformerShape(
        dim=encoder.dim,
        layers=encoder.layers,
        heads=encoder.heads,
        feed_forward_dim=encoder.feed_forward_dim,
        kernel_size=encoder.convolution_kernel if isinstance(encoder, ConformerEncoderConfig) else None,
        norm=encoder.convolution_norm if isinstance(encoder, ConformerEncoderConfig) else "layer",
        positions=encoder.positions,
        dropout=encoder.dropout,
        attention_dropout=encoder.attention_dropout,
        subsampling=settings.subsampling,
        subsampling_kind=settings.subsampling_kind,
        subsampling_width=settings.subsampling_width,
        chunk=settings.chunk,
        left_chunks=settings.left_chunks,
        inner=settings.intermediate_ctc,
    )


def check_encoder(settings: EncoderOnlyConfig) -> None:
    """Raise ConfigError for encoder sizes that do not go together."""
    encoder = settings.encoder
    if isinstance(encoder, RecurrentEncoderConfig):
        if encoder.bidirectional and encoder.dim % 2:
            raise ConfigError(f"`model.encoder.dim` must be even for two directions, but is {encoder.dim}.")
        if encoder.bidirectional and settings.chunk is not None:
            raise ConfigError(
                "`model.encoder.bidirectional` must be false with `model.chunk`: an encoder that reads backwards must wait for the end."
            )
        if settings.left_chunks is not None:
            raise ConfigError("`model.left_chunks` has no effect on an `lstm` encoder, whose past is one state. Leave it out.")
        if settings.intermediate_ctc:
            raise ConfigError("`model.intermediate_ctc` has no effect on an `lstm` encoder. Leave it out.")


def build(settings: EncoderOnlyConfig, source: Spec, target: Spec) -> EncoderOnly:
    """Make the model. Raises ConfigError for sizes that do not go together, and when source or target is of the wrong kind."""
    check_encoder(settings)
    return EncoderOnly(settings, *check_specs("encoder_only", source, target))


def defaults(settings: EncoderOnlyConfig) -> dict[str, Any]:
    """The loss and the search of CTC, as there is no decoder."""
    return {"training": {"loss": {"name": "ctc"}}, "search": {"name": "ctc"}}


plugin = Architecture(
    name="encoder_only",
    summary="A Conformer, Transformer or LSTM encoder for CTC, without decoder; frames of speech to symbols.",
    Config=EncoderOnlyConfig,
    build=build,
    stepwise=False,
    defaults=defaults,
    presets={
        "tiny": {"encoder": {"name": "conformer", "dim": 96, "layers": 4, "feed_forward_dim": 192}},
        "small": {"encoder": {"name": "conformer", "dim": 144, "layers": 12, "feed_forward_dim": 576}},
        "base": {"encoder": {"name": "conformer", "dim": 256, "layers": 12, "feed_forward_dim": 1024}},
    },
)
