"""The recurrent encoder-decoder: the encoder's last state starts the decoder (Sutskever et al. 2014), with or without attention.

With `subsampling` and location-aware attention it listens, attends and spells (Chan et al. 2016; Chorowski et al. 2015).

Unusual here: without input feeding, all decoder steps run in one call and attention looks at them all at once, so attention costs
little. The cells may be GRUs (Cho et al. 2014). Without attention the only way from source to target is the state that is passed on.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from antiphon.contracts.configuration import Count, Fraction, config, plugin_field
from antiphon.contracts.model import Architecture, StepwiseModel
from antiphon.contracts.sequences import Frames, Memory, Output, Padded
from antiphon.contracts.specs import Spec, TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.heads.categorical import Categorical
from antiphon.heads.choice import build_head
from antiphon.heads.pointer import check_pointer, said
from antiphon.layers.alignment import Alignment, Scoring
from antiphon.layers.frontends import Frontend
from antiphon.layers.linear import Linear
from antiphon.layers.recurrent import Cell, RecurrentStack, RecurrentState, drop
from antiphon.layers.subsampling import ConvolutionalSubsampling, StackedFrames, Subsampling, build_subsampling, check_frames
from antiphon.models.conformer import frame_head


@config
class LSTMConfig:
    """Sizes and variants of the recurrent encoder-decoder."""

    name: Literal["lstm"] = "lstm"
    """The name of this architecture."""
    cell: Cell = "lstm"
    """LSTM or GRU cells."""
    dim: Count = 256
    """Width of the encoder's output (both directions together) and of the decoder."""
    embedding_dim: Count | None = None
    """Width of the embeddings; None is `dim`."""
    encoder_layers: Count = 1
    """Depth of the encoder."""
    decoder_layers: Count = 1
    """Depth of the decoder."""
    bidirectional: bool = True
    """Whether the encoder reads in both directions, each with half of `dim`."""
    bridge: Literal["copy", "dense", "zero"] = "dense"
    """How the encoder's last state initializes the decoder: unchanged (the top layers; the lowest is repeated for a deeper decoder),
    through a learned layer, or not at all."""
    attention: Literal["none"] | Scoring = "general"
    """Attention of the decoder to the source: none, or dot, general, additive, location or multi_head attention. `location` also uses the
    attention of the previous step (Chorowski et al. 2015), for speech; it decodes step by step in training, too."""
    attention_heads: Count = 4
    """Heads of multi_head attention; must divide `dim`."""
    location_filters: Count = 10
    """For `attention: location`: the number of convolutions over the weights of the previous step."""
    location_kernel: Count = 31
    """For `attention: location`: kernel size of these convolutions, in states; must be odd."""
    subsampling: Literal[1, 2, 4, 8] = 1
    """For a source of values: frames for one state of the encoder; 1 means no subsampling. Recordings have a hundred frames a second."""
    subsampling_kind: Subsampling = "convolution"
    """With `subsampling`: strided convolutions over time and frequency, or concatenated frames (stack)."""
    subsampling_width: Count = 64
    """With `subsampling`: the number of channels of each convolution."""
    ctc: bool = False
    """For a source of values and a target of symbols: whether the encoder also predicts the target (CTC), in training and for joint
    decoding."""
    coverage: bool = False
    """Let attention use the sum of earlier attention at each place (See et al. 2017), against repetition. Decodes step by step in training,
    too; combine it with `coverage` of the loss."""
    input_feeding: bool = False
    """Feed the last attentional vector to the next step (Luong et al. 2015): sometimes better, always slower."""
    dropout: Fraction = 0.2
    """Dropout on embeddings, between layers, and before the head."""
    variational_dropout: bool = False
    """One dropout mask per sequence instead of one per step."""
    tied_embeddings: Literal["none", "decoder", "all"] = "none"
    """Share the target embedding with the output layer (decoder), and with the source embedding too (all; needs a joint vocabulary)."""
    head: plugin_field("heads") | None = None  # type: ignore[valid-type]
    """The output layer; None means the default for the target."""


@dataclass(frozen=True)
class LSTMState:
    """The decoder's state between steps; `fed` is the last attentional vector, with input feeding; `earlier` holds the earlier attention
    weights that attention uses: the sum of all of them (coverage), or the last ones (location)."""

    recurrent: RecurrentState
    fed: Float[Tensor, "R D"] | None = None
    earlier: Float[Tensor, "R S"] | None = None


@final
class Bridge(nn.Module):
    """Maps the encoder's last state (B, L_encoder, D) to the decoder's first (B, L_decoder, D)."""

    def __init__(self, settings: LSTMConfig):
        super().__init__()
        self.kind, self.layers, self.has_cell = settings.bridge, settings.decoder_layers, settings.cell == "lstm"
        self.hidden = self.cell = None
        if self.kind == "dense":
            self.hidden = Linear(settings.dim, settings.decoder_layers * settings.dim)
            self.cell = Linear(settings.dim, settings.decoder_layers * settings.dim) if self.has_cell else None

    def forward(self, final_state: RecurrentState) -> RecurrentState:
        """The decoder's first state."""
        return RecurrentState(
            self._turn(final_state.hidden, self.hidden), None if final_state.cell is None else self._turn(final_state.cell, self.cell)
        )

    def _turn(self, states: Float[Tensor, "B layers D"], dense: nn.Linear | None) -> Float[Tensor, "B L D"]:
        if dense is not None:
            turned: Tensor = torch.tanh(dense(states[:, -1]))
            return turned.view(states.shape[0], self.layers, -1)
        missing = max(self.layers - states.shape[1], 0)
        kept = torch.cat([states[:, :1].expand(-1, missing, -1), states[:, -self.layers :]], dim=1)
        return kept if self.kind == "copy" else torch.zeros_like(kept)


@final
class LSTM(StepwiseModel):
    """Encoder, bridge, decoder, attention and head."""

    def __init__(self, settings: LSTMConfig, source: Spec, target: Spec):
        super().__init__()
        self.settings, self.source, self.target = settings, source, target
        dim, embedding_dim = settings.dim, settings.embedding_dim or settings.dim
        self.source_frontend = Frontend(source, embedding_dim, scale=embedding_dim**0.5, project_values=False)
        self.target_frontend = Frontend(target, embedding_dim, scale=embedding_dim**0.5, project_values=False)
        self.subsampling: ConvolutionalSubsampling | StackedFrames | None = None
        if settings.subsampling > 1 and isinstance(source, ValueSpec):
            self.subsampling = build_subsampling(
                settings.subsampling_kind, source.width, dim, settings.subsampling, width=settings.subsampling_width
            )
        read_dim = self.source_frontend.dim if self.subsampling is None else dim
        self.encoder = self._stack(read_dim, settings.encoder_layers, bidirectional=settings.bidirectional)
        fed_dim = dim if settings.input_feeding else 0
        self.decoder = self._stack(self.target_frontend.dim + fed_dim, settings.decoder_layers, bidirectional=False)
        self.bridge = Bridge(settings)
        self.alignment: Alignment | None = None
        self.combine: nn.Linear | None = None
        if settings.attention != "none":
            self.alignment = Alignment(
                settings.attention,
                dim,
                heads=settings.attention_heads,
                coverage=settings.coverage,
                filters=settings.location_filters,
                kernel_size=settings.location_kernel,
            )
            self.combine = Linear(2 * dim, dim, bias=False)
        self.head = self._tie()
        self._copies = check_pointer(self.head, source, target, attention=self.alignment is not None)
        self.frame_head: Categorical | None = None
        if settings.ctc and isinstance(target, TokenSpec):
            self.frame_head = frame_head(target, dim)

    @property
    def stride(self) -> int:
        """Elements of the source for one state of the memory."""
        return 1 if self.subsampling is None else self.settings.subsampling

    @property
    def gives_attention(self) -> bool:
        """True if it has attention."""
        return self.alignment is not None

    @property
    def copies(self) -> bool:
        """True with the head `pointer`."""
        return self._copies

    def _stack(self, input_dim: int, layers: int, *, bidirectional: bool) -> RecurrentStack:
        settings = self.settings
        return RecurrentStack(
            input_dim,
            settings.dim,
            layers,
            cell=settings.cell,
            bidirectional=bidirectional,
            dropout=settings.dropout,
            variational=settings.variational_dropout,
        )

    def _tie(self) -> nn.Module:
        source, target = self.source_frontend.embedding, self.target_frontend.embedding
        for embedding in (source, target):
            if embedding is not None:
                # Small as weights of the output layer, of unit variance as inputs: with small inputs learning starts slowly.
                nn.init.normal_(embedding.weight, std=embedding.embedding_dim**-0.5)
        if self.settings.tied_embeddings == "all":
            if source is None or target is None or not (isinstance(self.source, TokenSpec) and self.source.has_symbols_of(self.target)):
                raise ConfigError(
                    "`model.tied_embeddings` must be `decoder` or `none` unless source and target share one vocabulary, but is `all`."
                    " Give both sides one vocabulary."
                )
            self.source_frontend.embedding = target
        tied: Any = target.weight if target is not None and self.settings.tied_embeddings != "none" else None
        return build_head(self.settings.head, self.target, self.settings.dim, tied)

    def encode(self, source: Padded) -> Memory:
        """Encode the source step by step."""
        read = (
            Padded(self.source_frontend(source.values, source.factors), source.lengths, counts=source.counts)
            if self.subsampling is None
            else self.subsampling(source)
        )
        states, final_state = self.encoder(self._drop(read.values), read.lengths, counts=read.counts)
        return Memory(states, read.mask, final=final_state, copyable=source.values if self.copies else None)

    def frames(self, memory: Memory) -> Frames | None:
        """The CTC head's output for each state; None without `ctc`."""
        return None if self.frame_head is None else Frames(memory.states, memory.mask, self.frame_head)

    def project(self, memory: Memory) -> Memory:
        """The keys of attention."""
        return memory if self.alignment is None else replace(memory, projections=self.alignment.project(memory.states))

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """All target steps: at once, or in a loop if a step needs the attention of the previous one."""
        if self.settings.input_feeding or self._sees_weights:
            output = self._decode_in_turn(inputs, self.project(memory))
        else:
            x = self._drop(self.target_frontend(inputs.values))
            hidden, _ = self.decoder(x, None, self.bridge(memory.final))
            keys = None if self.alignment is None else self.alignment.project(memory.states)
            features, weights = self._attend(hidden, keys, memory)
            output = said(self.head, self._drop(features), weights, memory)
        return output if self.frame_head is None else replace(output, frames=self.frames(memory))

    @property
    def _sees_weights(self) -> bool:
        return self.settings.coverage or self.settings.attention == "location"

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> LSTMState:
        """The bridged state, once per hypothesis."""
        first: RecurrentState = self.bridge(memory.final)
        hidden = first.hidden.repeat_interleave(beam_size, dim=0)
        cell = None if first.cell is None else first.cell.repeat_interleave(beam_size, dim=0)
        fed = hidden.new_zeros(hidden.shape[0], self.settings.dim) if self.settings.input_feeding else None
        earlier = None
        if self._sees_weights:  # nothing was covered yet; where the step before the first looked, nobody knows: everywhere alike
            real = memory.mask.to(hidden.dtype) / memory.mask.sum(1, keepdim=True)
            earlier = (torch.zeros_like(real) if self.settings.coverage else real).repeat_interleave(beam_size, dim=0)
        return LSTMState(RecurrentState(hidden, cell), fed, earlier)

    def step(self, last: Tensor, memory: Memory, state: LSTMState, *, attention: bool = False) -> tuple[Output, LSTMState]:
        """One step for R rows."""
        x = self._drop(self.target_frontend(last).unsqueeze(1)).squeeze(1)
        return self._step(x, memory, state)

    def _step(self, x: Float[Tensor, "R D"], memory: Memory, state: LSTMState) -> tuple[Output, LSTMState]:
        if state.fed is not None:
            x = torch.cat([x, state.fed], dim=-1)
        hidden, recurrent = self.decoder.step(x, state.recurrent)
        features, weights = self._attend(hidden.unsqueeze(1), memory.projections, memory, state.earlier)
        now = None if weights is None else weights.squeeze(1)
        fed = None if state.fed is None else features.squeeze(1)
        earlier = None if state.earlier is None or now is None else state.earlier + now if self.settings.coverage else now
        return said(self.head, self._drop(features).squeeze(1), now, memory), LSTMState(recurrent, fed, earlier)

    def _decode_in_turn(self, inputs: Padded, memory: Memory) -> Output:
        x = self._drop(self.target_frontend(inputs.values))
        state = self.init_state(memory, 1, x.shape[1])
        outputs = []
        for element in x.unbind(1):  # unlike columns one by one, whose gradients would each be as large as all of them
            output, state = self._step(element, memory, state)
            outputs.append(output)
        weights = [output.attention for output in outputs if output.attention is not None]
        features = torch.stack([output.features for output in outputs], dim=1)
        return said(self.head, features, torch.stack(weights, dim=1) if weights else None, memory)

    def _attend(
        self, hidden: Float[Tensor, "N T D"], keys: object, memory: Memory, earlier: Float[Tensor, "N S"] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        if self.alignment is None or self.combine is None:
            return hidden, None
        context, weights = self.alignment(hidden, keys, memory.mask, earlier)
        return torch.tanh(self.combine(torch.cat([context, hidden], dim=-1))), weights

    def _drop(self, x: Float[Tensor, "N T D"]) -> Float[Tensor, "N T D"]:
        return drop(x, self.settings.dropout, variational=self.settings.variational_dropout, training=self.training)


def build(settings: LSTMConfig, source: Spec, target: Spec) -> LSTM:
    """Make the model. Raises ConfigError for sizes that do not go together and for settings without effect."""
    if settings.bidirectional and settings.dim % 2:
        raise ConfigError(f"`model.dim` must be even for a bidirectional encoder, but is {settings.dim}.")
    if settings.attention == "multi_head" and settings.dim % settings.attention_heads:
        raise ConfigError(f"`model.attention_heads` must divide `model.dim` ({settings.dim}), but is {settings.attention_heads}.")
    if settings.input_feeding and settings.attention == "none":
        raise ConfigError("`model.input_feeding` has no effect without attention. Set `model.attention`, or leave it out.")
    if (settings.input_feeding or settings.coverage or settings.attention == "location") and settings.variational_dropout:
        raise ConfigError(
            "`model.variational_dropout` must be false with `input_feeding`, `coverage` or `attention: location`, which go step by step:"
            " masks are for sequences."
        )
    if settings.attention == "location" and settings.location_kernel % 2 == 0:
        raise ConfigError(f"`model.location_kernel` must be odd, but is {settings.location_kernel}.")
    check_frames(source, target, subsampling=settings.subsampling, ctc=settings.ctc)
    if settings.coverage and settings.attention in ("none", "multi_head", "location"):
        raise ConfigError(f"`model.coverage` needs `model.attention` to be dot, general or additive, but it is {settings.attention}.")
    if settings.bridge == "zero" and settings.attention == "none":
        raise ConfigError("`model.bridge` must not be `zero` without attention: the decoder would know nothing of the source.")
    if settings.embedding_dim is not None and isinstance(source, ValueSpec) and isinstance(target, ValueSpec):
        raise ConfigError("`model.embedding_dim` has no effect on real-valued sequences. Leave it out.")
    return LSTM(settings, source, target)


def defaults(settings: LSTMConfig) -> dict[str, Any]:
    """With CTC, the joint loss of CTC and cross-entropy."""
    return {"training": {"loss": {"name": "joint_ctc"}}} if settings.ctc else {}


plugin = Architecture(
    name="lstm",
    summary="LSTM or GRU encoder-decoder: state passing, with or without attention; with subsampling, Listen, Attend and Spell.",
    Config=LSTMConfig,
    build=build,
    defaults=defaults,
    presets={
        "tiny": {"dim": 128},
        "small": {"dim": 256, "encoder_layers": 2, "decoder_layers": 2},
        "base": {"dim": 512, "encoder_layers": 2, "decoder_layers": 2, "input_feeding": True, "dropout": 0.3},
        "big": {"dim": 1024, "encoder_layers": 4, "decoder_layers": 4, "input_feeding": True, "dropout": 0.3},
    },
)
