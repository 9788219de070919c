"""The transducer (RNN-T, Graves 2012): an encoder, a predictor that reads the symbols written so far, and a joiner that combines both.

    frames (B, S, C) -> subsampling -> encoder -> (B, S / 4, D) --.
                                                                   joiner -> logits (B, S / 4, U, V), of which one symbol is the blank
    start and symbols (B, U) -> predictor ------------------------'

At each state the model says symbols, none or several, until it says the blank: so unlike CTC it knows what it has said, and unlike
attention it never needs the whole source. The encoder is that of `encoder_only`, in chunks where recordings are followed while they are
made, and may learn CTC, too. A source of symbols is embedded, and not subsampled.

Unusual here: the logits of all pairs are made only if somebody asks for the output's `values`; the loss makes them in chunks.
"""

from typing import Annotated, Any, Literal, final

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from antiphon.contracts.configuration import Choice, Count, Fraction, config
from antiphon.contracts.model import Architecture, Seq2SeqModel
from antiphon.contracts.sequences import Frames, Memory, Output, Padded
from antiphon.contracts.specs import Spec, TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.layers.frontends import Frontend
from antiphon.layers.subsampling import Subsampling
from antiphon.layers.transducer import Joiner, Lattice, Predictor, RecurrentPredictor, StatelessPredictor
from antiphon.models.encoder_only import (
    ConformerEncoderConfig,
    EncoderConfig,
    EncoderOnly,
    EncoderOnlyConfig,
    FollowedRecording,
    check_encoder,
)


@config
class StatelessPredictorConfig:
    """A predictor that only reads the last symbols (Ghodsi et al. 2020); small, fast, and as good where the audio holds most of the
    information."""

    name: Literal["stateless"] = "stateless"
    """The kind of predictor."""
    dim: Count = 256
    """Width of embeddings and vectors."""
    context: Count = 2
    """The number of symbols that it uses."""
    dropout: Fraction = 0.1
    """Dropout on embeddings."""


@config
class RecurrentPredictorConfig:
    """An LSTM over all symbols written so far, as in the original transducer."""

    name: Literal["lstm"] = "lstm"
    """The kind of predictor."""
    dim: Count = 256
    """Width of embeddings and layers."""
    layers: Count = 1
    """Depth of the stack."""
    dropout: Fraction = 0.2
    """Dropout on embeddings, between layers and on their output."""


PredictorConfig = Annotated[StatelessPredictorConfig | RecurrentPredictorConfig, Choice("stateless")]


@config
class TransducerConfig:
    """Sizes and variants of the transducer."""

    name: Literal["transducer"] = "transducer"
    """The name of this architecture."""
    encoder: EncoderConfig = ConformerEncoderConfig()
    """The kind of encoder: conformer, transformer or lstm, with its sizes."""
    subsampling: Literal[1, 2, 4, 8] | None = None
    """Frames of the source for one state of the encoder; None means 4 for a source of values, and 1 for symbols."""
    subsampling_kind: Subsampling = "convolution"
    """Strided convolutions over time and frequency, or concatenated frames (stack)."""
    subsampling_width: Count = 64
    """Channels of each subsampling convolution."""
    chunk: Count | None = None
    """For live recognition: a state depends on no frame after its chunk of this many states; convolutions and recurrent layers only use the
    past. Latency is `chunk * subsampling` frames (16 * 4 frames of 10 ms are 0.64 s). None uses the whole recording."""
    left_chunks: Annotated[int, Field(ge=0)] | None = None
    """With `chunk`: the number of earlier chunks that a state attends to in each layer, in training and in a stream, whose cost and memory
    then do not grow with its length; 0 means only its own chunk. None attends to all earlier ones. Without effect on an `lstm`."""
    predictor: PredictorConfig = StatelessPredictorConfig()
    """The part that reads the symbols written so far: stateless or lstm, with its sizes."""
    joiner_dim: Count = 256
    """Width of the joiner's input vectors."""
    ctc: bool = False
    """Whether the encoder also predicts the target (CTC), in training, and for `search: ctc`."""
    intermediate_ctc: tuple[Count, ...] = ()
    """With `ctc`: numbers of inner blocks, from 1, that are also trained by CTC, with the same output layer (Lee and Watanabe 2021)."""


@final
class Transducer(Seq2SeqModel):
    """Encoder, predictor and joiner."""

    def __init__(self, settings: TransducerConfig, source: Spec, target: TokenSpec):
        super().__init__()
        self.settings, self.source, self.target, self.start = settings, source, target, target.start
        dim = settings.encoder.dim
        self.source_frontend = Frontend(source, dim) if isinstance(source, TokenSpec) else None
        read = source if isinstance(source, ValueSpec) else ValueSpec(channels=dim)
        self.encoder = EncoderOnly(_encoder(settings, source), read, target)
        if not settings.ctc:
            self.encoder.head = nn.Identity()
        self.predictor: Predictor = _predictor(settings.predictor, target)
        self.joiner = Joiner(dim, self.predictor.dim, settings.joiner_dim, target.size)

    @property
    def stride(self) -> int:
        """Elements of the source for one state of the memory."""
        return self.encoder.stride

    @property
    def latency(self) -> int | None:
        """The greatest number of later frames that the output for a frame depends on; None when it depends on all of them."""
        return self.encoder.latency

    def follow(self) -> FollowedRecording:
        """Start following a recording; states come out as from `heard`. Raises ConfigError for an encoder that needs all of it."""
        return FollowedRecording(self.encoder.follow().states, self.joiner.from_encoder)

    def encode(self, source: Padded) -> Memory:
        """Encode the source; the memory has one state for `subsampling` of its elements."""
        read = source if self.source_frontend is None else Padded(self.source_frontend(source.values), source.lengths)
        return self.encoder.encode(read)

    def frames(self, memory: Memory) -> Frames | None:
        """The CTC head's output for each state; None without `ctc`."""
        return self.encoder.frames(memory) if self.settings.ctc else None

    def heard(self, memory: Memory) -> Float[Tensor, "B S J"]:
        """The encoder's contribution to the joiner."""
        side: Tensor = self.joiner.from_encoder(memory.states)
        return side

    def begin(self, rows: int) -> tuple[Float[Tensor, "R J"], Tensor]:
        """The predictor's contribution to the joiner after the start symbol, for R rows, and the predictor's state."""
        starts = torch.full((rows,), self.start, dtype=torch.int64, device=self.joiner.weight.device)
        return self.advance(starts, self.predictor.begin(rows))

    def advance(self, symbols: Int[Tensor, " R"], state: Tensor) -> tuple[Float[Tensor, "R J"], Tensor]:
        """The predictor's contribution after one more symbol for each row, and its new state; does not change the given state."""
        vectors, after = self.predictor.step(symbols, state)
        side: Tensor = self.joiner.from_predictor(vectors)
        return side, after

    def join(self, heard: Float[Tensor, "... J"], predicted: Float[Tensor, "... J"]) -> Float[Tensor, "... V"]:
        """Logits for pairs of encoder and predictor vectors, which are broadcast against each other."""
        logits: Tensor = self.joiner(heard, predicted)
        return logits

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """The joiner over all states and all inputs: `values` are logits (B, S', U, V)."""
        lattice = Lattice(self.joiner, self.heard(memory), memory.mask)
        return Output(self.joiner.from_predictor(self.predictor(inputs.values)), lattice, frames=self.frames(memory))


def _encoder(settings: TransducerConfig, source: Spec) -> EncoderOnlyConfig:
    """The encoder alone."""
    return EncoderOnlyConfig(
        encoder=settings.encoder,
        subsampling=settings.subsampling or (4 if isinstance(source, ValueSpec) else 1),
        subsampling_kind=settings.subsampling_kind,
        subsampling_width=settings.subsampling_width,
        chunk=settings.chunk,
        left_chunks=settings.left_chunks,
        intermediate_ctc=settings.intermediate_ctc,
    )


def _predictor(settings: StatelessPredictorConfig | RecurrentPredictorConfig, target: TokenSpec) -> Predictor:
    if isinstance(settings, RecurrentPredictorConfig):
        return RecurrentPredictor(target, settings.dim, layers=settings.layers, dropout=settings.dropout)
    return StatelessPredictor(target, settings.dim, context=settings.context, dropout=settings.dropout)


def build(settings: TransducerConfig, source: Spec, target: Spec) -> Transducer:
    """Make the model. Raises ConfigError for sizes that do not go together, and when the target is of the wrong kind."""
    if not isinstance(target, TokenSpec):
        raise ConfigError("`model.name` must not be `transducer` when the target is real-valued: it writes symbols. Use `transformer`.")
    if isinstance(source, TokenSpec) and (settings.subsampling or 1) > 1:
        raise ConfigError(
            f"`model.subsampling` must be 1 when the source is made of symbols, but is {settings.subsampling}: it is for frames of values."
        )
    if isinstance(source, TokenSpec) and settings.ctc:
        raise ConfigError("`model.ctc` must be false unless the source is made of values, which CTC aligns.")
    if settings.intermediate_ctc and not settings.ctc:
        raise ConfigError("`model.intermediate_ctc` has no effect without `model.ctc`. Set it to true, or leave the other out.")
    check_encoder(_encoder(settings, source))
    return Transducer(settings, source, target)


def defaults(settings: TransducerConfig) -> dict[str, Any]:
    """The loss and the search of transducers."""
    return {"training": {"loss": {"name": "transducer"}}, "search": {"name": "transducer"}}


_TINY = {"name": "conformer", "dim": 96, "layers": 4, "feed_forward_dim": 192}
_BASE = {"name": "conformer", "dim": 256, "layers": 12, "feed_forward_dim": 1024}

plugin = Architecture(
    name="transducer",
    summary="A transducer (RNN-T): Conformer, Transformer or LSTM encoder, predictor and joiner; can transcribe live speech.",
    Config=TransducerConfig,
    build=build,
    stepwise=False,
    defaults=defaults,
    presets={
        "tiny": {"encoder": _TINY, "predictor": {"name": "stateless", "dim": 96}, "joiner_dim": 96, "ctc": True},
        "base": {"encoder": _BASE, "predictor": {"name": "stateless", "dim": 256}, "joiner_dim": 256, "ctc": True},
    },
)
