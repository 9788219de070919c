"""Halvings of frames, row by row: what plain convolutions over the whole batch give, gradients included, and less of it kept."""

import pytest
import torch
from torch import nn

from antiphon.layers import halving
from antiphon.layers.halving import halved

LENGTHS = (37, 22, 1, 9)


def convolutions(count, width=6):
    return nn.ModuleList(nn.Conv2d(1 if place == 0 else width, width, kernel_size=3, stride=2, padding=1) for place in range(count))


def results(layers, x, lengths, upstream):
    """Maps up to each row's end, and the gradients of everything."""
    x = x.clone().requires_grad_()
    layers.zero_grad()
    maps, left = halved(x, layers, lengths)
    (maps * upstream).sum().backward()
    real = (torch.arange(maps.shape[2]) < left.unsqueeze(1))[:, None, :, None]
    return left, [maps.detach() * real, x.grad, *(parameter.grad.clone() for parameter in layers.parameters())]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("frames", [37, 40])
def test_rows_one_by_one_are_the_batch_at_once(count, frames, seed, monkeypatch):
    layers, lengths = convolutions(count), torch.tensor(LENGTHS)
    x = torch.randn(len(LENGTHS), 1, frames, 11)
    maps, left = halved(x, layers, lengths)
    upstream = torch.randn_like(maps) * (torch.arange(maps.shape[2]) < left.unsqueeze(1))[:, None, :, None]
    ours, found = results(layers, x, lengths, upstream)
    monkeypatch.setattr(halving, "_suits", lambda *_: False)
    theirs, expected = results(layers, x, lengths, upstream)
    assert ours.tolist() == theirs.tolist() == [-(-length // 2**count) for length in LENGTHS]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_what_lies_behind_a_row_changes_nothing(seed):
    layers, lengths = convolutions(2), torch.tensor(LENGTHS)
    x = torch.randn(len(LENGTHS), 1, 37, 11)
    louder = torch.where((torch.arange(37) < lengths.unsqueeze(1))[:, None, :, None], x, 1e3)
    upstream = torch.ones(1)
    (_, one), (_, other) = (results(layers, source, lengths, upstream) for source in (x, louder))
    assert torch.equal(one[0], other[0])


def test_the_largest_maps_are_not_kept(seed):
    """Those of the first layer, and no copy of the frames: in all half of what the frames take times the width is enough."""
    sizes = []

    def kept(tensor):
        sizes.append(tensor.numel())
        return tensor

    layers, x = convolutions(2, width=16), torch.randn(2, 1, 64, 32)
    with torch.autograd.graph.saved_tensors_hooks(kept, lambda tensor: tensor):
        halved(x, layers, torch.tensor([64, 64]))
    first = 2 * 16 * 32 * 16
    weights = sum(parameter.numel() for parameter in layers.parameters())
    assert sum(sizes) <= x.numel() + first // 4 + weights + 2, f"kept: {sizes}"
