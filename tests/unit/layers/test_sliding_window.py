"""Sliding windows against attention with the whole mask spelled out, forward and backward."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from antiphon.layers.attention import SelfAttention
from antiphon.layers.positions import RelativeBias
from antiphon.layers.sliding_window import sliding_window


def random_mask(rows, length):
    """Lengths at random, one row full."""
    lengths = torch.randint(1, length + 1, (rows,))
    lengths[0] = length
    return torch.arange(length) < lengths.unsqueeze(1)


def spelled_out(mask, window, global_positions, bias):
    """(B, 1 or H, S, S), as `scaled_dot_product_attention` takes it; what is padding sees itself."""
    steps = torch.arange(mask.shape[1])
    near = (steps.unsqueeze(1) - steps).abs() <= window
    marked = steps < global_positions
    visible = ((near | marked | marked.unsqueeze(1)) & mask[:, None, None, :]) | torch.eye(len(steps), dtype=torch.bool)
    return visible if bias is None else bias(steps, steps).masked_fill(~visible, float("-inf"))


@pytest.mark.parametrize("global_positions", [0, 3, 50])
@pytest.mark.parametrize("window", [1, 5, 21])
@pytest.mark.parametrize("length", [1, 32, 83])
@pytest.mark.parametrize("relative", [False, True])
def test_a_window_equals_the_whole_mask(length, window, global_positions, relative, seed):
    heads, groups = 4, 2
    mask = random_mask(3, length)
    bias = RelativeBias(heads, bidirectional=True, buckets=8, max_distance=16) if relative else None
    near = sliding_window(mask, window, global_positions, bias, torch.float32)
    parts = [torch.randn(3, count, length, 8, requires_grad=True) for count in (heads, groups, groups)]
    found = near.attend(*parts, dropout=0.0)
    expected = scaled_dot_product_attention(*parts, attn_mask=spelled_out(mask, window, global_positions, bias), enable_gqa=True)
    real = mask[:, None, :, None].expand_as(expected)
    torch.testing.assert_close(found[real], expected[real], rtol=0, atol=2e-6)
    assert bool(found.isfinite().all())
    weights = torch.randn_like(expected) * real
    learned = [*parts] if bias is None else [*parts, bias.table.weight]
    ours, theirs = (torch.autograd.grad((out * weights).sum(), learned, retain_graph=True) for out in (found, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("global_positions", [0, 2])
def test_what_is_padding_changes_nothing(global_positions, seed):
    attention = SelfAttention(8, 2, 2, head_dim=4).double().eval()
    x, lengths = torch.randn(3, 40, 8, dtype=torch.float64), torch.tensor([40, 23, 1])

    def run(states):
        mask = torch.arange(states.shape[1]) < lengths.unsqueeze(1)
        return attention(states, sliding_window(mask, 4, global_positions, None, torch.float64))[:, :40][mask[:, :40]]

    expected = run(x)
    other = torch.where((torch.arange(40) < lengths.unsqueeze(1)).unsqueeze(-1), x, torch.randn_like(x) * 100)
    wider = torch.cat([other, torch.randn(3, 27, 8, dtype=torch.float64)], dim=1)
    torch.testing.assert_close(run(other), expected)
    torch.testing.assert_close(run(wider), expected)


def test_rows_of_a_batch_see_nothing_of_each_other(seed):
    """They lie behind one another in memory."""
    attention = SelfAttention(8, 2, 1, head_dim=4).double().eval()
    x = torch.randn(3, 32, 8, dtype=torch.float64)
    mask = torch.ones(3, 32, dtype=torch.bool)
    together = attention(x, sliding_window(mask, 16, 0, None, torch.float64))
    for row in range(3):
        alone = attention(x[row : row + 1], sliding_window(mask[:1], 16, 0, None, torch.float64))
        torch.testing.assert_close(together[row : row + 1], alone)


def test_masks_grow_with_the_length_not_with_its_square():
    sizes = [
        sliding_window(torch.ones(1, length, dtype=torch.bool), 16, 1, None, torch.float32).near.numel() for length in (256, 512, 1024)
    ]
    assert sizes[2] - sizes[1] == 2 * (sizes[1] - sizes[0])
    assert sizes[2] == 1024 * (1 + 48)


def test_bf16_is_close_and_dropout_drops(seed):
    attention = SelfAttention(16, 4, 2, head_dim=4, dropout=0.5)
    x, mask = torch.randn(2, 50, 16), random_mask(2, 50)
    window = sliding_window(mask, 8, 1, None, torch.float32)
    attention.eval()
    exact = attention(x, window)
    with torch.autocast("cpu", torch.bfloat16):
        rough = attention(x, window).float()
    assert float((rough - exact)[mask].abs().max().detach()) < 0.05
    attention.train()
    assert not torch.allclose(attention(x, window)[mask], exact[mask])
