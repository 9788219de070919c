"""Our Transformer as a CTranslate2 specification: which of our modules becomes which of its variables.

Unusual here: tables of sinusoids are written as weights, since CTranslate2's own begin at position 1; and queries and keys are turned by
halves, as ours are (`rotary_interleave` off).
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from antiphon.layers.attention import CrossAttention, SelfAttention
from antiphon.layers.feed_forward import FeedForward
from antiphon.layers.positions import sinusoids
from antiphon.layers.transformer_config import TransformerConfig, aligning_layer
from antiphon.layers.transformer_layers import DecoderLayer, EncoderLayer, Positioned
from antiphon.models.transformer import Transformer


def transformer_spec(model: Transformer, positions: int) -> Any:
    """The specification with all weights; tables of sinusoids have `positions` rows."""
    from ctranslate2.specs import transformer_spec as specs

    settings = model.settings
    encoder = specs.TransformerEncoderSpec(settings.encoder_layers, settings.heads, **_common(settings))
    if settings.positions == "rotary":
        del encoder.position_encodings  # the decoder's specification leaves it out by itself
    decoder = specs.TransformerDecoderSpec(
        settings.decoder_layers,
        settings.heads,
        alignment_layer=aligning_layer(settings),
        alignment_heads=settings.alignment_heads or settings.heads,
        **_common(settings),
    )
    _positioned(encoder, encoder.embeddings[0], model.source_positioned, positions)
    _positioned(decoder, decoder.embeddings, model.target_positioned, positions)
    for spec, layer in zip(encoder.layer, model.encoder, strict=True):
        encoder_layer(spec, layer)
    decoder_layers(decoder, model.decoder)
    if settings.norm_position == "pre":
        norm(encoder.layer_norm, model.encoder_norm)
        norm(decoder.layer_norm, model.decoder_norm)
    linear(decoder.projection, model.head)
    return specs.TransformerSpec(encoder, decoder)


def epsilon(settings: TransformerConfig) -> float:
    """The epsilon that normalization adds to the variance."""
    if settings.norm_epsilon is not None:
        return settings.norm_epsilon
    return torch.finfo(torch.float32).eps if settings.norm == "rms" else 1e-5


def encoder_layer(spec: Any, layer: nn.Module) -> None:
    """One layer of an encoder, ours or Whisper's."""
    assert isinstance(layer, EncoderLayer), "an encoder has nothing else"
    norm(spec.self_attention.layer_norm, layer.attention_residual.norm)
    _self_attention(spec.self_attention, layer.attention)
    norm(spec.ffn.layer_norm, layer.feed_forward_residual.norm)
    _feed_forward(spec.ffn, layer.feed_forward)


def decoder_layers(spec: Any, layers: nn.ModuleList) -> None:
    """All layers of a decoder with self-attention and cross-attention."""
    for own, layer in zip(spec.layer, layers, strict=True):
        assert isinstance(layer, DecoderLayer), "a decoder has nothing else"
        assert layer.attention is not None, "asked only of decoders that attend"
        assert layer.cross is not None, "asked only of decoders that attend to a memory"
        assert layer.cross_residual is not None
        norm(own.self_attention.layer_norm, layer.attention_residual.norm)
        _self_attention(own.self_attention, layer.attention)
        norm(own.attention.layer_norm, layer.cross_residual.norm)
        _cross_attention(own.attention, layer.cross)
        norm(own.ffn.layer_norm, layer.feed_forward_residual.norm)
        _feed_forward(own.ffn, layer.feed_forward)


def linear(spec: Any, layer: Any) -> None:
    """A linear layer, or a head that consists of one."""
    _linear(spec, layer.weight, layer.bias)


def norm(spec: Any, layer: Any) -> None:
    """LayerNorm or RMSNorm."""
    spec.gamma = array(layer.weight)
    if isinstance(layer, nn.LayerNorm):
        spec.beta = array(layer.bias)


def array(tensor: Tensor) -> np.ndarray:
    """A copy of a weight as an array in single precision: CTranslate2 rounds to 8 bits in place."""
    return np.array(tensor.detach().float().cpu().numpy(), order="C")


def table(positions: int, dim: int) -> np.ndarray:
    """Sinusoids for the given number of positions."""
    return array(sinusoids(torch.arange(positions), dim))


def _common(settings: TransformerConfig) -> dict[str, Any]:
    from ctranslate2.specs.common_spec import Activation

    groups = settings.key_value_heads or settings.heads
    activations = {"relu": Activation.RELU, "gelu": Activation.GELU, "silu": Activation.SWISH}
    return {
        "pre_norm": settings.norm_position == "pre",
        "activation": activations[settings.activation],
        "layernorm_embedding": settings.norm_position == "post" and settings.positions == "learned",
        "ffn_glu": settings.gated,
        "rms_norm": settings.norm == "rms",
        "num_heads_kv": None if groups == settings.heads else groups,
        "head_dim": None if groups == settings.heads else settings.dim // settings.heads,
        "rotary_dim": 0 if settings.positions == "rotary" else None,
        "rotary_interleave": False,
    }


def _positioned(spec: Any, embeddings: Any, part: Positioned, positions: int) -> None:
    """Embeddings of symbols, and what is added for positions."""
    assert part.frontend.embedding is not None, "asked only of symbols"
    rows = part.frontend.embedding.weight.detach()
    if part.frontend.zero_start and part.frontend.symbols is not None:
        rows = rows.index_fill(0, torch.tensor([part.frontend.symbols.start], device=rows.device), 0.0)
    embeddings.weight = array(rows)
    spec.scale_embeddings = part.frontend.scale != 1.0
    if part.table is not None:
        spec.position_encodings.encodings = array(part.table.weight)
    elif part.kind == "sinusoidal":
        spec.position_encodings.encodings = table(positions, part.frontend.dim)
    if isinstance(part.norm, nn.LayerNorm | nn.RMSNorm):
        norm(spec.layernorm_embedding, part.norm)


def _self_attention(spec: Any, attention: SelfAttention) -> None:
    linear(spec.linear[0], attention.query_key_value)
    linear(spec.linear[1], attention.out)


def _cross_attention(spec: Any, attention: CrossAttention) -> None:
    linear(spec.linear[0], attention.query)
    linear(spec.linear[1], attention.key_value)
    linear(spec.linear[2], attention.out)


def _feed_forward(spec: Any, part: FeedForward) -> None:
    """Two linear layers; the first of a gated one has two halves, of which only one passes through the activation."""
    if part.gated:
        halves = part.expand.weight.chunk(2)
        biases = (None, None) if part.expand.bias is None else part.expand.bias.chunk(2)
        _linear(spec.linear_0, halves[0], biases[0])
        _linear(spec.linear_0_noact, halves[1], biases[1])
    else:
        linear(spec.linear_0, part.expand)
    linear(spec.linear_1, part.contract)


def _linear(spec: Any, weight: Tensor, bias: Tensor | None) -> None:
    spec.weight = array(weight)
    if bias is not None:
        spec.bias = array(bias)
