"""The settings of the Transformer, and checks that they go together."""

from typing import Annotated, Literal

from pydantic import Field

from antiphon.contracts.configuration import Count, Fraction, config, plugin_field
from antiphon.contracts.specs import Spec, TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.layers.channelwise import ChannelInputs, check_channels
from antiphon.layers.feed_forward import Activation
from antiphon.layers.subsampling import Subsampling, check_frames

Positions = Literal["sinusoidal", "learned", "rotary", "relative"]


@config
class TransformerConfig:
    """Sizes and variants of the Transformer."""

    name: Literal["transformer"] = "transformer"
    """The name of this architecture."""
    dim: Count = 256
    """Width of the vectors between layers."""
    encoder_layers: Count = 3
    """Depth of the encoder."""
    decoder_layers: Count = 3
    """Depth of the decoder; a shallow one decodes fast."""
    heads: Count = 4
    """Attention heads; must divide `dim`."""
    alignment_heads: Count | None = None
    """Heads of one decoder layer whose mean is the attention that is returned, that a pointer copies by, and that is trained on alignments
    (`training.loss.guided_alignment`, for which 1 leaves the others free); None means all."""
    alignment_layer: Count | None = None
    """Which layer of the decoder that is, counted from 1; None means the second last, which aligns best without guidance (Garg et al.
    2019). Marian's models are trained to align in their last layer (imported ones have this set)."""
    decoder: Literal["attention", "ssru"] = "attention"
    """How the decoder looks back: by self-attention, or by a simple recurrent unit (SSRU), which decodes fast."""
    key_value_heads: Count | None = None
    """Heads for keys and values, which groups of query heads share; 1 is multi-query attention, None means as many as `heads`."""
    feed_forward_dim: Count = 1024
    """Width inside the feed-forward layers of the encoder."""
    decoder_feed_forward_dim: Count | None = None
    """Width inside the feed-forward layers of the decoder; None means as in the encoder."""
    activation: Activation = "relu"
    """Activation of the feed-forward layers."""
    gated: bool = False
    """Whether feed-forward layers have a gate (with silu: SwiGLU)."""
    norm: Literal["layer", "rms"] = "layer"
    """LayerNorm or RMSNorm."""
    norm_epsilon: Annotated[float, Field(gt=0)] | None = None
    """The epsilon added to the variance; None means 1e-5 for LayerNorm, and the smallest step above 1 for RMSNorm."""
    norm_position: Literal["pre", "post"] = "pre"
    """Normalize before each sub-layer (stable) or after it, as in the original (needs warm-up)."""
    positions: Positions = "sinusoidal"
    """How positions are encoded: added (sinusoidal, learned), by rotation (rotary), or as attention biases (relative)."""
    scale_embeddings: bool = True
    """Whether embeddings are multiplied by the square root of `dim`, as in the original; some published models leave that out."""
    start_embedding: Literal["learned", "zeros"] = "learned"
    """The decoder's input before the first symbol: the embedding of the start symbol, or zeros, as in Marian's decoder. A model that is to
    be exported for Marian or Bergamot must be trained with zeros (imported ones are)."""
    max_positions: Count = 1024
    """Longest sequence of learned positions."""
    window: Count | None = None
    """For long sources: how many states to each side a state of the encoder attends to; None means the whole source."""
    global_positions: Annotated[int, Field(ge=0)] = 0
    """With `window`: this many first states attend to all others, and all others to them."""
    chunk_length: Count | None = None
    """For long sources: the encoder reads chunks of this many states, which do not attend to each other; the decoder attends to all of
    them."""
    wait_k: Count | None = None
    """For simultaneous translation (wait-k): output t attends to the first t + k - 1 symbols of the source, and the encoder never to later
    symbols, so that words can be output while others are still being read. null reads the whole source first."""
    wait_k_paths: tuple[Count, Count] | None = None
    """With `wait_k`: the smallest and the largest k, one of which is drawn for each source in training (multi-path), so that one model can
    be used with all of them (`--set model.wait_k=5`). null always trains with `wait_k`."""
    dropout: Fraction = 0.1
    """Dropout on embeddings and on the output of every sub-layer."""
    attention_dropout: Fraction = 0.0
    """Dropout on attention weights."""
    activation_dropout: Fraction = 0.0
    """Dropout inside feed-forward layers."""
    bias: bool = True
    """Whether linear layers have biases."""
    tied_embeddings: Literal["none", "decoder", "all"] = "decoder"
    """Share the target embedding with the output layer (decoder), and with the source embedding too (all; needs a joint vocabulary)."""
    patch_length: Count | None = None
    """Steps of a source of values that make one element (a patch); None uses single steps."""
    patch_stride: Count | None = None
    """Steps from one patch to the next; None means `patch_length`, with fewer patches overlap."""
    subsampling: Literal[1, 2, 4, 8] = 1
    """Frames of a source of values for one state of the encoder, as recordings need it; 1 means no subsampling."""
    subsampling_kind: Subsampling = "convolution"
    """With `subsampling`: strided convolutions over time and frequency, or concatenated frames (stack)."""
    subsampling_width: Count = 64
    """With `subsampling`: the number of channels of each convolution."""
    ctc: bool = False
    """For a source of values and a target of symbols: whether the encoder also predicts the target (CTC), in training and for joint
    decoding."""
    channels: Literal["mixing", "independent"] = "mixing"
    """Whether the channels of a target of values are read and predicted together, or each separately with the same weights."""
    channel_inputs: ChannelInputs = "own"
    """With `channels: independent`: whether a channel reads only its own marks of observed values and its own size, or (all) those of every
    channel, as in runs of versions up to 0.1."""
    checkpoint_activations: bool = False
    """Recompute each layer in the backward pass: less memory for more time."""
    head: plugin_field("heads") | None = None  # type: ignore[valid-type]
    """The output layer; None means the default for the target."""


def aligning_layer(settings: TransformerConfig) -> int:
    """The decoder layer, counted from 0, whose attention is returned."""
    return max(settings.decoder_layers - 2, 0) if settings.alignment_layer is None else settings.alignment_layer - 1


def check_settings(settings: TransformerConfig, source: Spec, target: Spec) -> None:
    """Raise ConfigError for sizes that do not go together."""
    groups = settings.key_value_heads or settings.heads
    if settings.dim % settings.heads:
        raise ConfigError(f"`model.heads` must divide `model.dim` ({settings.dim}), but is {settings.heads}.")
    if settings.alignment_heads is not None and settings.alignment_heads > settings.heads:
        raise ConfigError(f"`model.alignment_heads` must be at most `model.heads` ({settings.heads}), but is {settings.alignment_heads}.")
    chosen, last = settings.alignment_layer, settings.decoder_layers
    if chosen is not None and chosen > last:
        raise ConfigError(f"`model.alignment_layer` must be at most `model.decoder_layers` ({last}), but is {chosen}.")
    if settings.heads % groups:
        raise ConfigError(f"`model.key_value_heads` must divide `model.heads` ({settings.heads}), but is {groups}.")
    if settings.start_embedding == "zeros" and not isinstance(target, TokenSpec):
        raise ConfigError("`model.start_embedding` must be left out when the target is made of values: only symbols have embeddings.")
    _check_values(settings, source, target)
    _check_long_sources(settings)
    _check_wait_k(settings, source)
    if settings.positions == "rotary" and settings.dim // settings.heads % 2:
        raise ConfigError(f"`model.dim` / `model.heads` must be even for rotary positions, but is {settings.dim // settings.heads}.")


def _check_long_sources(settings: TransformerConfig) -> None:
    if settings.window is not None and settings.chunk_length is not None:
        raise ConfigError(
            "`model.window` must be left out when there is a `model.chunk_length`: a source is read through a sliding window or in chunks."
        )
    if settings.global_positions and settings.window is None:
        raise ConfigError(
            f"`model.global_positions` must be 0 without a `model.window`, but is {settings.global_positions}: without one, every state"
            " attends to everything."
        )


def _check_wait_k(settings: TransformerConfig, source: Spec) -> None:
    paths = settings.wait_k_paths
    if paths is not None and (settings.wait_k is None or paths[0] > paths[1]):
        raise ConfigError(
            "`model.wait_k_paths` must be a smallest and a largest k with a `model.wait_k`, such as [1, 9],"
            f" but is {list(paths)} with `wait_k` {'null' if settings.wait_k is None else settings.wait_k}."
        )
    if settings.wait_k is None:
        return
    if isinstance(source, ValueSpec):
        raise ConfigError("`model.wait_k` must be left out when the source is made of values: it counts symbols.")
    if settings.window is not None or settings.chunk_length is not None:
        raise ConfigError("`model.window` and `model.chunk_length` must be left out with `model.wait_k`, whose encoder never looks ahead.")


def _check_values(settings: TransformerConfig, source: Spec, target: Spec) -> None:
    """Raise ConfigError for settings of real values that do not go together, or that have no effect on symbols."""
    length, stride = settings.patch_length, settings.patch_stride
    if length is not None and not isinstance(source, ValueSpec):
        raise ConfigError("`model.patch_length` must be left out when the source is made of symbols: only values have patches.")
    if stride is not None and (length is None or stride > length):
        raise ConfigError(f"`model.patch_stride` must be from 1 to `model.patch_length` ({length}), but is {stride}.")
    if settings.channels == "independent":
        check_channels(source, target)
        if settings.subsampling > 1:
            raise ConfigError(f"`model.subsampling` must be 1 with `model.channels: independent`, but is {settings.subsampling}.")
    elif settings.channel_inputs != "own":
        raise ConfigError(
            f"`model.channel_inputs` has no effect without `model.channels: independent`, but is {settings.channel_inputs}. Leave it out."
        )
    if settings.subsampling > 1 and length is not None:
        raise ConfigError(
            f"`model.patch_length` must be left out with `model.subsampling: {settings.subsampling}`: both shorten the source."
        )
    check_frames(source, target, subsampling=settings.subsampling, ctc=settings.ctc)
