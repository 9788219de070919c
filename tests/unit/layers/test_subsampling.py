"""Subsampling: lengths, padding, and what an output may depend on."""

import pytest
import torch

from antiphon.contracts.sequences import Padded
from antiphon.errors import ConfigError
from antiphon.layers.subsampling import ConvolutionalSubsampling, StackedFrames, build_subsampling, subsampled_lengths

LAYERS = [("convolution", factor) for factor in (1, 2, 4, 8)] + [("stack", factor) for factor in (1, 3, 4)]
every_layer = pytest.mark.parametrize(("kind", "factor"), LAYERS)


def made(kind, factor, channels=5):
    return build_subsampling(kind, channels, 12, factor, width=16).double()


@every_layer
def test_every_length_alone_and_beside_longer_ones(kind, factor, seed):
    layer = made(kind, factor)
    lengths = torch.arange(1, 18)
    values = torch.randn(17, 17, 5, dtype=torch.float64)  # real numbers behind the ends, too
    together = layer(Padded(values, lengths))
    assert together.lengths.tolist() == [-(-length // factor) for length in range(1, 18)]
    assert together.values.shape == (17, -(-17 // factor), 12)
    for row in range(17):
        alone = layer(Padded(values[row : row + 1, : row + 1], lengths[row : row + 1]))
        assert alone.values.shape[1] == int(alone.lengths[0]) == int(together.lengths[row])
        torch.testing.assert_close(alone.values[0], together.values[row, : alone.values.shape[1]])


@every_layer
def test_an_output_depends_on_its_group_and_nothing_behind_it(kind, factor, seed):
    layer = made(kind, factor)
    values = torch.randn(1, 4 * factor, 5, dtype=torch.float64, requires_grad=True)
    out = layer(Padded(values, torch.tensor([4 * factor]))).values
    for group in range(4):
        (gradient,) = torch.autograd.grad(out[0, group].square().sum(), values, retain_graph=True)
        reached = gradient[0].abs().amax(1) > 0
        assert bool(reached[group * factor : (group + 1) * factor].all())
        assert not bool(reached[(group + 1) * factor :].any())


def test_stacking_puts_frames_side_by_side():
    layer = StackedFrames(2, 6, 3)
    with torch.no_grad():
        layer.out.weight.copy_(torch.eye(6))
        layer.out.bias.zero_()
    frames = torch.arange(10.0).view(1, 5, 2)
    out = layer(Padded(frames, torch.tensor([4])))
    assert out.values.tolist() == [[[0, 1, 2, 3, 4, 5], [6, 7, 0, 0, 0, 0]]]
    assert out.lengths.tolist() == [2]


def test_lengths_of_tensors_of_any_shape():
    assert subsampled_lengths(torch.tensor([[1, 4], [5, 8]]), 4).tolist() == [[1, 1], [2, 2]]


def test_other_factors_are_refused():
    with pytest.raises(ConfigError, match=r"`model\.subsampling` must be one of 1, 2, 4, 8, but is 3"):
        ConvolutionalSubsampling(80, 16, 3)
    with pytest.raises(ConfigError, match=r"`model\.subsampling` must be at least 1, but is 0"):
        StackedFrames(80, 16, 0)
