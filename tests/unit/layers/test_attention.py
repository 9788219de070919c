"""Attention against `torch.nn.MultiheadAttention` with the same weights, and against keys that are repeated."""

import pytest
import torch
from torch import nn

from antiphon.layers.attention import CrossAttention, SelfAttention

DIM, HEADS, HEAD_DIM = 12, 3, 4


def reference_of(layer):
    """torch's layer with the weights of ours, whose projections lie side by side in one matrix (query, key, value)."""
    torchs = nn.MultiheadAttention(DIM, HEADS, batch_first=True).double()
    with torch.no_grad():
        if isinstance(layer, SelfAttention):
            torchs.in_proj_weight.copy_(layer.query_key_value.weight)
            torchs.in_proj_bias.copy_(layer.query_key_value.bias)
        else:
            torchs.in_proj_weight.copy_(torch.cat([layer.query.weight, layer.key_value.weight]))
            torchs.in_proj_bias.copy_(torch.cat([layer.query.bias, layer.key_value.bias]))
        torchs.out_proj.load_state_dict(layer.out.state_dict())
    return torchs


@pytest.mark.parametrize("causal", [False, True])
def test_self_attention_equals_torchs(causal, seed):
    layer, x = SelfAttention(DIM, HEADS, HEADS, head_dim=HEAD_DIM).double(), torch.randn(2, 5, DIM, dtype=torch.float64)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    hidden = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
    if causal:
        found = layer(x, None, causal=True)
        expected, _ = reference_of(layer)(x, x, x, attn_mask=hidden, need_weights=False)
    else:
        found = layer(x, mask[:, None, None, :])
        expected, _ = reference_of(layer)(x, x, x, key_padding_mask=~mask, need_weights=False)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("wanted", [False, True])
def test_cross_attention_equals_torchs(wanted, seed):
    layer = CrossAttention(DIM, DIM, HEADS, HEADS, head_dim=HEAD_DIM).double()
    x, states = torch.randn(2, 4, DIM, dtype=torch.float64), torch.randn(2, 6, DIM, dtype=torch.float64)
    mask = torch.tensor([[True] * 6, [True] * 2 + [False] * 4])
    found, weights = layer(x, layer.project(states), mask, weights=wanted)
    expected, expected_weights = reference_of(layer)(x, states, states, key_padding_mask=~mask)
    torch.testing.assert_close(found, expected)
    if wanted:
        torch.testing.assert_close(weights, expected_weights)
    else:
        assert weights is None


def test_hypotheses_share_the_keys_of_their_source(seed):
    layer = CrossAttention(DIM, 7, 4, 2, head_dim=HEAD_DIM).double()
    x, states, mask = (
        torch.randn(6, 1, DIM, dtype=torch.float64),
        torch.randn(2, 5, 7, dtype=torch.float64),
        torch.ones(2, 5, dtype=torch.bool),
    )
    mask[1, 3:] = False
    found, weights = layer(x, layer.project(states), mask, weights=True)
    rows = torch.tensor([0, 0, 0, 1, 1, 1])
    expected, expected_weights = layer(x, layer.project(states[rows]), mask[rows], weights=True)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(weights, expected_weights)
    torch.testing.assert_close(layer(x, layer.project(states), mask)[0], found)


def repeat_groups(layer, groups):
    """The weights of an ordinary attention whose key and value heads are those of the grouped one, repeated."""
    heads = layer.heads
    query, key, value = layer.query_key_value.weight.split([heads * HEAD_DIM, groups * HEAD_DIM, groups * HEAD_DIM])
    biases = layer.query_key_value.bias.split([heads * HEAD_DIM, groups * HEAD_DIM, groups * HEAD_DIM])
    times = heads // groups

    def spread(part):
        return part.unflatten(0, (groups, HEAD_DIM)).repeat_interleave(times, 0).flatten(0, 1)

    full = SelfAttention(DIM, heads, heads, head_dim=HEAD_DIM).double()
    with torch.no_grad():
        full.query_key_value.weight.copy_(torch.cat([query, spread(key), spread(value)]))
        full.query_key_value.bias.copy_(torch.cat([biases[0], spread(biases[1]), spread(biases[2])]))
        full.out.load_state_dict(layer.out.state_dict())
    return full


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("kind", ["causal", "mask", "bias", "bias per head"])
def test_grouped_heads_equal_repeated_keys(groups, kind, seed):
    layer = SelfAttention(DIM, 4, groups, head_dim=HEAD_DIM).double()
    with torch.no_grad():
        layer.query_key_value.bias.normal_()
    x = torch.randn(2, 5, DIM, dtype=torch.float64)
    mask = {
        "causal": None,
        "mask": torch.tensor([[True] * 5, [True] * 4 + [False]])[:, None, None, :],
        "bias": torch.randn(2, 1, 1, 5, dtype=torch.float64),
        "bias per head": torch.randn(4, 5, 5, dtype=torch.float64),
    }[kind]
    full = repeat_groups(layer, groups)
    torch.testing.assert_close(layer(x, mask, causal=kind == "causal"), full(x, mask, causal=kind == "causal"))


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_keys_and_values_lie_in_a_row_where_every_step_reads_them(groups, seed):
    layer, states = CrossAttention(DIM, 7, 4, groups, head_dim=HEAD_DIM), torch.randn(2, 5, 7)
    learned = layer.project(states)
    with torch.no_grad():
        decoded = layer.project(states)
    for one, other in zip(learned, decoded, strict=True):
        assert other.is_contiguous()
        torch.testing.assert_close(one.detach(), other)


@torch.no_grad()
def test_weights_that_are_read_lose_nothing_and_their_mixture_as_much_as_any(seed):
    """The layer that a pointer reads learns with the dropout of the others; what it may copy is never dropped."""
    rows = 4000
    layer = CrossAttention(DIM, DIM, HEADS, HEADS, head_dim=HEAD_DIM, dropout=0.4).double()
    x, states = torch.randn(1, 2, DIM, dtype=torch.float64), torch.randn(1, 5, DIM, dtype=torch.float64)
    memory = layer.project(states.expand(rows, -1, -1))
    expected, expected_weights = layer.eval()(x, layer.project(states), None, weights=True)
    spreads = []
    for wanted in (True, False):
        mixed, weights = layer.train()(x.expand(rows, -1, -1), memory, None, weights=wanted)
        spreads.append(mixed.std(0))
        assert bool(((mixed.mean(0) - expected[0]).abs() < 6 * mixed.std(0) / rows**0.5).all())
        if weights is not None:
            torch.testing.assert_close(weights, expected_weights.expand(rows, -1, -1))
    assert bool((spreads[0] > 0).all())
    torch.testing.assert_close(spreads[0], spreads[1], rtol=0.1, atol=0.0)
