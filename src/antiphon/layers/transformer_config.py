"""The settings of the Transformer, and which of them go together."""

from typing import Annotated, Literal

from pydantic import Field

from antiphon.contracts.configuration import Count, Fraction, config, plugin_field
from antiphon.contracts.specs import Spec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.layers.channelwise import check_channels
from antiphon.layers.feed_forward import Activation
from antiphon.layers.subsampling import Subsampling, check_frames

Positions = Literal["sinusoidal", "learned", "rotary", "relative"]


@config
class TransformerConfig:
    """Sizes and variations of the Transformer."""

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
    """Heads of the second last decoder layer whose mean is the attention that is shown, that a pointer copies by, and that learns from
    alignments (`training.loss.guided_alignment`, for which 1 leaves the others free); None is all."""
    decoder: Literal["attention", "ssru"] = "attention"
    """How the decoder looks back: by self-attention, or by a simple recurrent unit (SSRU), which decodes fast."""
    key_value_heads: Count | None = None
    """Heads for keys and values, which groups of query heads share; 1 is multi-query attention, None is as many as `heads`."""
    feed_forward_dim: Count = 1024
    """Width inside the feed-forward layers of the encoder."""
    decoder_feed_forward_dim: Count | None = None
    """Width inside the feed-forward layers of the decoder; None is as in the encoder."""
    activation: Activation = "relu"
    """Activation of the feed-forward layers."""
    gated: bool = False
    """Whether feed-forward layers have a gate (with silu: SwiGLU)."""
    norm: Literal["layer", "rms"] = "layer"
    """LayerNorm or RMSNorm."""
    norm_epsilon: Annotated[float, Field(gt=0)] | None = None
    """What normalization adds to the variance; None is 1e-5 for LayerNorm, and the smallest step above 1 for RMSNorm."""
    norm_position: Literal["pre", "post"] = "pre"
    """Normalize before each sub-layer (stable) or after it, as in the original (needs warm-up)."""
    positions: Positions = "sinusoidal"
    """How positions enter: added (sinusoidal, learned), by rotation (rotary), or as attention biases (relative)."""
    scale_embeddings: bool = True
    """Whether embeddings are multiplied by the square root of `dim`, as in the original; some published models leave that out."""
    max_positions: Count = 1024
    """Longest sequence of learned positions."""
    window: Count | None = None
    """For long sources: how many states to each side a state of the encoder attends to; None is all of the source."""
    global_positions: Annotated[int, Field(ge=0)] = 0
    """With `window`: the first so many states attend to all others, and all others to them."""
    chunk_length: Count | None = None
    """For long sources: the encoder reads pieces of so many states, which do not see each other; the decoder attends to all of them."""
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
    """Steps of a source of values that are read as one element (a patch); None is each step by itself."""
    patch_stride: Count | None = None
    """Steps from one patch to the next; None is `patch_length`, fewer let patches overlap."""
    subsampling: Literal[1, 2, 4, 8] = 1
    """Frames of a source of values for one state of the encoder, as recordings need it; 1 is each frame by itself."""
    subsampling_kind: Subsampling = "convolution"
    """With `subsampling`: strided convolutions over time and frequency, or frames side by side (stack)."""
    subsampling_width: Count = 64
    """With `subsampling`: maps of each convolution."""
    ctc: bool = False
    """For a source of values and a target of symbols: whether the encoder also says the target by itself (CTC), in training and for joint
    decoding."""
    channels: Literal["mixing", "independent"] = "mixing"
    """Whether the channels of a target of values are read and said together, or each by itself with the same weights."""
    checkpoint_activations: bool = False
    """Recompute each layer in the backward pass: less memory for more time."""
    head: plugin_field("heads") | None = None  # type: ignore[valid-type]
    """The output layer; None is the natural one for the target."""


def check_settings(settings: TransformerConfig, source: Spec, target: Spec) -> None:
    """Raise ConfigError for sizes that do not fit each other."""
    groups = settings.key_value_heads or settings.heads
    if settings.dim % settings.heads:
        raise ConfigError(f"`model.heads` must divide `model.dim` ({settings.dim}), but is {settings.heads}.")
    if settings.alignment_heads is not None and settings.alignment_heads > settings.heads:
        raise ConfigError(f"`model.alignment_heads` must be at most `model.heads` ({settings.heads}), but is {settings.alignment_heads}.")
    if settings.heads % groups:
        raise ConfigError(f"`model.key_value_heads` must divide `model.heads` ({settings.heads}), but is {groups}.")
    _check_values(settings, source, target)
    _check_long_sources(settings)
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


def _check_values(settings: TransformerConfig, source: Spec, target: Spec) -> None:
    """Raise ConfigError for settings of real values that make no sense, or where there are none."""
    length, stride = settings.patch_length, settings.patch_stride
    if length is not None and not isinstance(source, ValueSpec):
        raise ConfigError("`model.patch_length` must be left out when the source is made of symbols: only values have patches.")
    if stride is not None and (length is None or stride > length):
        raise ConfigError(f"`model.patch_stride` must be from 1 to `model.patch_length` ({length}), but is {stride}.")
    if settings.channels == "independent":
        check_channels(source, target)
        if settings.subsampling > 1:
            raise ConfigError(f"`model.subsampling` must be 1 with `model.channels: independent`, but is {settings.subsampling}.")
    if settings.subsampling > 1 and length is not None:
        raise ConfigError(
            f"`model.patch_length` must be left out with `model.subsampling: {settings.subsampling}`: both shorten the source."
        )
    check_frames(source, target, subsampling=settings.subsampling, ctc=settings.ctc)
