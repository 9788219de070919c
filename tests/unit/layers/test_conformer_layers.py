"""Conformer blocks against those of transformers, batch normalization against torch's, and the settings that do not fit."""

from dataclasses import replace

import pytest
import torch

from antiphon.contracts.sequences import Padded
from antiphon.errors import ConfigError
from antiphon.layers.conformer_layers import ConformerBlock, ConformerEncoder, ConformerShape
from antiphon.layers.convolution import ConvolutionModule, MaskedBatchNorm

SHAPE = ConformerShape(dim=16, layers=2, heads=4, feed_forward_dim=24, kernel_size=5, norm="batch", dropout=0.0)


def test_a_block_is_that_of_transformers(seed):
    wav2vec2 = pytest.importorskip("transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer")
    from transformers import Wav2Vec2ConformerConfig

    settings = Wav2Vec2ConformerConfig(
        hidden_size=16,
        num_attention_heads=4,
        intermediate_size=24,
        conv_depthwise_kernel_size=5,
        hidden_act="swish",
        position_embeddings_type=None,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        conformer_conv_dropout=0.0,
    )
    settings._attn_implementation = "eager"
    theirs, ours = wav2vec2.Wav2Vec2ConformerEncoderLayer(settings), ConformerBlock(SHAPE)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    theirs.conv_module.batch_norm.running_mean.normal_()
    theirs.conv_module.batch_norm.running_var.uniform_(0.5, 2)
    copied(theirs, ours)
    x = torch.randn(3, 9, 16)
    mask = torch.ones(3, 9, dtype=torch.bool)
    for training in (False, True):
        said = theirs.train(training)(x)
        expected = said[0] if isinstance(said, tuple) else said
        found, _ = ours.train(training)(x, mask, mask[:, None, None], None)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def copied(theirs, ours):
    """Their weights into ours; their convolution module has no biases."""
    pairs = [
        (theirs.ffn1.intermediate_dense, ours.first.expand),
        (theirs.ffn1.output_dense, ours.first.contract),
        (theirs.ffn2.intermediate_dense, ours.feed_forward.expand),
        (theirs.ffn2.output_dense, ours.feed_forward.contract),
        (theirs.ffn1_layer_norm, ours.first_norm),
        (theirs.ffn2_layer_norm, ours.feed_forward_norm),
        (theirs.self_attn_layer_norm, ours.attention_norm),
        (theirs.self_attn.linear_out, ours.attention.out),
        (theirs.conv_module.layer_norm, ours.convolution_norm),
        (theirs.conv_module.batch_norm, ours.convolution.norm),
        (theirs.final_layer_norm, ours.norm),
    ]
    for one, other in pairs:
        other.weight.copy_(one.weight)
        other.bias.copy_(one.bias)
    parts = [getattr(theirs.self_attn, f"linear_{name}") for name in "qkv"]
    ours.attention.query_key_value.weight.copy_(torch.cat([part.weight for part in parts]))
    ours.attention.query_key_value.bias.copy_(torch.cat([part.bias for part in parts]))
    convolution = theirs.conv_module
    for one, other in ((convolution.pointwise_conv1, ours.convolution.expand), (convolution.pointwise_conv2, ours.convolution.contract)):
        other.weight.copy_(one.weight.squeeze(-1))
        other.bias.zero_()
    ours.convolution.depthwise.weight.copy_(convolution.depthwise_conv.weight)
    ours.convolution.depthwise.bias.zero_()
    ours.convolution.norm.running_mean.copy_(convolution.batch_norm.running_mean)
    ours.convolution.norm.running_variance.copy_(convolution.batch_norm.running_var)


def test_batch_normalization_is_that_of_torch_over_real_frames(seed):
    ours, theirs = MaskedBatchNorm(6), torch.nn.BatchNorm1d(6)
    lengths = torch.tensor([7, 3, 5])
    mask = torch.arange(7) < lengths.unsqueeze(1)
    for _ in range(3):
        x = 3 * torch.randn(3, 7, 6) + 2
        torch.testing.assert_close(ours(x, mask)[mask], theirs(x[mask]))
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_variance, theirs.running_var)
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(x, mask)[mask], theirs(x[mask]))


def test_a_single_frame_in_training_is_no_nan():
    norm = MaskedBatchNorm(4)
    out = norm(torch.randn(1, 1, 4), torch.ones(1, 1, dtype=torch.bool))
    assert bool(out.isfinite().all())
    assert bool(norm.running_variance.isfinite().all())


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kernel", [1, 5])
def test_a_convolution_sees_its_neighbours(kernel, causal, seed):
    module = ConvolutionModule(4, kernel, "layer", causal=causal).double()
    x = torch.randn(1, 11, 4, dtype=torch.float64, requires_grad=True)
    out, _ = module(x, torch.ones(1, 11, dtype=torch.bool))
    (gradient,) = torch.autograd.grad((out[0, 5] ** 2).sum(), x)
    seen = (gradient[0].abs().amax(1) > 0).nonzero().flatten().tolist()
    assert seen == (list(range(5 - kernel + 1, 6)) if causal else list(range(5 - kernel // 2, 6 + kernel // 2)))


@pytest.mark.parametrize("positions", ["rotary", "relative"])
def test_what_is_said_moves_with_the_recording(positions, seed):
    """Positions are relative: with silence in front, whose states attention must not see, the states stay the same."""
    encoder = ConformerEncoder(replace(SHAPE, positions=positions, subsampling=1, norm="layer", kernel_size=1), 3).double().eval()
    x = torch.randn(1, 6, 3, dtype=torch.float64)
    shifted = torch.cat([x, x], dim=1)
    states, _ = encoder(Padded(x, torch.tensor([6])))
    frames = encoder.subsampling(Padded(shifted, torch.tensor([12])))
    places = torch.arange(12)
    visible = torch.zeros(1, 1, 12, 12, dtype=torch.bool)
    visible[..., :6, :6], visible[..., 6:, 6:] = True, True
    seen = visible if encoder.bias is None else encoder.bias(places, places).to(x.dtype).masked_fill(~visible, -float("inf"))
    y = frames.values
    for block in encoder.blocks:
        y, _ = block(y, frames.mask, seen, None if encoder.rotary is None else encoder.rotary.angles(places))
    torch.testing.assert_close(y[:, 6:], states.values, rtol=1e-5, atol=1e-5)  # angles are in single precision


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 3}, r"`model\.heads` must divide `model\.dim` \(16\), but is 3"),
        ({"heads": 16}, r"must be even for rotary positions, but is 1"),
        ({"kernel_size": 4}, r"`model\.convolution_kernel` must be odd and at least 1, but is 4"),
        ({"chunk": 0}, r"`model\.chunk` must be at least 1, but is 0"),
        ({"inner": (2,)}, r"`model\.intermediate_ctc` must be rising numbers of blocks from 1 to 1, before the last, but is \[2\]"),
        ({"layers": 0}, r"`model\.layers` must be at least 1, but is 0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        ConformerEncoder(replace(SHAPE, **changes), 80)
