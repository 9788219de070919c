"""The Transformer encoder-decoder (Vaswani et al. 2017) with variants that later work has found useful.

For long sources the encoder has a sliding window, or reads chunks; for recordings it subsamples frames and may learn CTC, too; for fast
decoding the decoder may be recurrent.

Unusual here: cross-attention keys and values are computed once per source, and beams share them. Weights over the source come from the
second last decoder layer, which aligns best in trained translators (Garg et al. 2019). The decoder is that of
`layers/transformer_decoder.py`, with its parts registered one by one, under the names that they have in checkpoints.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from antiphon.contracts.model import Architecture, StepwiseModel
from antiphon.contracts.packing import Segments
from antiphon.contracts.sequences import Frames, Memory, Output, Padded
from antiphon.contracts.specs import Spec, TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.heads.categorical import Categorical
from antiphon.heads.choice import build_head, take_apart
from antiphon.heads.pointer import check_pointer, said
from antiphon.layers import chunks
from antiphon.layers.channelwise import ChannelIndependent
from antiphon.layers.patches import Patches
from antiphon.layers.subsampling import ConvolutionalSubsampling, StackedFrames, build_subsampling
from antiphon.layers.transformer_config import TransformerConfig, check_settings
from antiphon.layers.transformer_decoder import DecoderState, TransformerDecoder, initialize
from antiphon.layers.transformer_layers import EncoderLayer, Positioned, make_norm
from antiphon.models.conformer import frame_head


@final
class Transformer(StepwiseModel):
    """Encoder, decoder, head, and the head for CTC."""

    def __init__(self, settings: TransformerConfig, source: Spec, target: Spec):
        super().__init__()
        self.settings, self.source, self.target = settings, source, target
        self.patches: Patches | None = None
        self.subsampling: ConvolutionalSubsampling | StackedFrames | None = None
        elements = source
        if settings.patch_length is not None and isinstance(source, ValueSpec):
            self.patches = Patches(settings.patch_length, settings.patch_stride or settings.patch_length)
            elements = ValueSpec(source.channels * settings.patch_length)
        elif settings.subsampling > 1 and isinstance(source, ValueSpec):
            self.subsampling = build_subsampling(
                settings.subsampling_kind, source.width, settings.dim, settings.subsampling, width=settings.subsampling_width
            )
            elements = ValueSpec(settings.dim)
        self.source_positioned = Positioned(settings, elements, bidirectional=True, project_values=self.subsampling is None)
        self.encoder = nn.ModuleList(EncoderLayer(settings) for _ in range(settings.encoder_layers))
        self.encoder_norm = make_norm(settings) if settings.norm_position == "pre" else nn.Identity()
        for part in (self.subsampling, self.source_positioned, self.encoder):
            initialize(part, settings.dim)
        decoder = TransformerDecoder(settings, target)
        self.target_positioned, self.decoder, self.decoder_norm = decoder.positioned, decoder.blocks, decoder.norm
        self._decoders = (decoder,)  # in a tuple, since its parts are registered already
        self.head = self._tie()
        self._copies = check_pointer(self.head, source, target, attention=True)
        ctc = settings.ctc and isinstance(target, TokenSpec)
        self.frame_head: Categorical | None = frame_head(target, settings.dim) if ctc and isinstance(target, TokenSpec) else None

    @property
    def stride(self) -> int:
        """Elements of the source for one state of the memory."""
        return 1 if self.subsampling is None else self.settings.subsampling

    @property
    def longest_source(self) -> int | None:
        """The number of learned positions, in elements of the source, if it has any."""
        states = self.source_positioned.longest
        if states is None:
            return None
        return states * self.stride if self.patches is None else self.patches.longest(states)

    @property
    def longest_target(self) -> int | None:
        """The number of learned positions, if it has any."""
        return self._decoder.positioned.longest

    @property
    def gives_attention(self) -> bool:
        """Always true."""
        return True

    @property
    def copies(self) -> bool:
        """True with the head `pointer`."""
        return self._copies

    def _tie(self) -> nn.Module:
        source, target = self.source_positioned.frontend.embedding, self.target_positioned.frontend.embedding
        if self.settings.tied_embeddings == "all":
            if source is None or target is None or not (isinstance(self.source, TokenSpec) and self.source.has_symbols_of(self.target)):
                raise ConfigError(
                    "`model.tied_embeddings` must be `decoder` or `none` unless source and target share one vocabulary, but is `all`."
                    " Give both sides one vocabulary."
                )
            self.source_positioned.frontend.embedding = target
        tied: Any = target.weight if target is not None and self.settings.tied_embeddings != "none" else None
        return build_head(self.settings.head, self.target, self.settings.dim, tied)

    def encode(self, source: Padded) -> Memory:
        """Encode the source, all positions at once."""
        if self.patches is not None:
            source = self.patches.cut(source)
        if self.subsampling is not None:
            source = self.subsampling(source)
        if source.segments is not None:
            return self._encode_pairs(source, source.segments)
        length = source.values.shape[1]
        self.source_positioned.check(length)
        positions = torch.arange(length, device=source.values.device)
        x, mask = self.source_positioned.embed(source.values, positions, source.factors), source.mask
        chunk = self.settings.chunk_length
        if chunk is not None and not torch.compiler.is_exporting():
            chunk = min(chunk, length)
        if chunk is not None:
            x, mask = chunks.cut(x, mask, chunk)
        window, global_positions = self.settings.window, self.settings.global_positions
        ahead = self.settings.wait_k is None
        visible = self.source_positioned.visible(mask, x.dtype, window=window, global_positions=global_positions, ahead=ahead)
        # Rotations by positions within a chunk do as well: only distances within the chunk matter.
        places = positions if chunk is None else torch.arange(chunk, device=positions.device)
        rotation = self.source_positioned.rotary.angles(places) if self.source_positioned.rotary else None
        for layer in self.encoder:
            x = self._run(layer, x, visible, rotation)
        if chunk is not None:
            x = chunks.join(x, source.lengths.shape[0], length)
        return Memory(self.encoder_norm(x), source.mask, copyable=source.values if self.copies else None)

    def _encode_pairs(self, source: Padded, segments: Segments) -> Memory:
        """Encode rows that hold several packed sources each, which do not attend to each other."""
        x = self.source_positioned.embed(source.values, segments.positions, source.factors)
        visible = self.source_positioned.of_pairs(segments, x.dtype)
        rotation = self.source_positioned.rotation(segments.positions)
        for layer in self.encoder:
            x = self._run(layer, x, visible, rotation)
        return Memory(self.encoder_norm(x), source.mask, segments=segments)

    @property
    def packs(self) -> bool:
        """True if attention covers whole sequences of unshortened elements, and there is no output for the states."""
        settings = self.settings
        apart = settings.window is None and settings.chunk_length is None and settings.wait_k is None and settings.decoder == "attention"
        return apart and self.patches is None and self.subsampling is None and self.frame_head is None and not self.copies

    def frames(self, memory: Memory) -> Frames | None:
        """The CTC head's output for each state; None without `ctc`."""
        return None if self.frame_head is None else Frames(memory.states, memory.mask, self.frame_head)

    @property
    def wait_k(self) -> int | None:
        """The number of source symbols that the first output waits for."""
        return self.settings.wait_k

    def project(self, memory: Memory) -> Memory:
        """Cross-attention keys and values of every decoder layer."""
        return self._decoder.project(memory)

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """All target steps at once, and the frames."""
        features, weights = self._decoder(inputs, memory, attention=attention or self.copies)
        output = said(self.head, features, weights, memory)
        return output if self.frame_head is None else replace(output, frames=self.frames(memory))

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> DecoderState:
        """Empty buffers, or cells of 0."""
        return self._decoder.init_state(memory, beam_size, max_length)

    def step(self, last: Tensor, memory: Memory, state: DecoderState, *, attention: bool = False) -> tuple[Output, DecoderState]:
        """One step for R rows; writes into the state's buffer."""
        features, weights, state = self._decoder.step(last, memory, state, attention=attention or self.copies)
        return said(self.head, features, weights, memory), state

    @property
    def _decoder(self) -> TransformerDecoder:
        return self._decoders[0]

    def _run(self, layer: Callable[..., Any], *arguments: Any) -> Any:
        if self.settings.checkpoint_activations and self.training and torch.is_grad_enabled():
            return checkpoint(layer, *arguments, use_reentrant=False)
        return layer(*arguments)


def build(settings: TransformerConfig, source: Spec, target: Spec) -> StepwiseModel:
    """Make the model. Raises ConfigError for sizes that do not go together."""
    check_settings(settings, source, target)
    if settings.channels == "independent" and isinstance(source, ValueSpec) and isinstance(target, ValueSpec):
        return ChannelIndependent(
            lambda one, said: Transformer(settings, one, said), take_apart, source, target, inputs=settings.channel_inputs
        )
    return Transformer(settings, source, target)


def upgrade(revision: int, weights: dict[str, Tensor], settings: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Upgrade from revision 1, in which a separate channel read the marks and sizes of all channels."""
    if revision < 2 and settings.get("channels") == "independent":
        settings = {**settings, "channel_inputs": "all"}
    return weights, settings


def defaults(settings: TransformerConfig) -> dict[str, Any]:
    """With CTC, the joint loss of CTC and cross-entropy."""
    return {"training": {"loss": {"name": "joint_ctc"}}} if settings.ctc else {}


plugin = Architecture(
    name="transformer",
    summary="Transformer encoder-decoder: pre- or post-norm, four kinds of positions, grouped heads, gated feed-forward.",
    Config=TransformerConfig,
    build=build,
    revision=2,
    upgrade=upgrade,
    defaults=defaults,
    presets={
        "tiny": {"dim": 128, "encoder_layers": 2, "decoder_layers": 2, "heads": 4, "feed_forward_dim": 512},
        "small": {"dim": 256, "encoder_layers": 3, "decoder_layers": 3, "heads": 4, "feed_forward_dim": 1024},
        "base": {"dim": 512, "encoder_layers": 6, "decoder_layers": 6, "heads": 8, "feed_forward_dim": 2048},
        "big": {"dim": 1024, "encoder_layers": 6, "decoder_layers": 6, "heads": 16, "feed_forward_dim": 4096, "dropout": 0.3},
    },
)
