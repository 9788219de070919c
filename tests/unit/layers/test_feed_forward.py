"""Feed-forward layers and frontends against their formulas."""

import pytest
import torch
from torch.nn import functional

from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.layers.feed_forward import FeedForward
from antiphon.layers.frontends import Frontend


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu"])
@pytest.mark.parametrize("gated", [False, True])
def test_feed_forward(activation, gated, seed):
    layer, x = FeedForward(4, 6, activation, gated=gated, dropout=0.0), torch.randn(2, 3, 4)
    hidden = x @ layer.expand.weight.T + layer.expand.bias
    turn = getattr(functional, activation)
    hidden = turn(hidden[..., :6]) * hidden[..., 6:] if gated else turn(hidden)
    torch.testing.assert_close(layer(x), hidden @ layer.contract.weight.T + layer.contract.bias)


def test_frontends_serve_sequences_and_steps(seed):
    symbols = Frontend(TokenSpec(size=5, pad=0, unknown=1, start=2, end=3), 4, scale=2.0)
    ids = torch.tensor([[1, 4], [2, 0]])
    torch.testing.assert_close(symbols(ids), 2.0 * symbols.embedding.weight[ids])
    torch.testing.assert_close(symbols(ids)[:, 1], symbols(ids[:, 1]))
    values, x = Frontend(ValueSpec(channels=3), 4), torch.randn(2, 5, 3)
    torch.testing.assert_close(values(x)[:, 1], values(x[:, 1]))
    bare = Frontend(ValueSpec(channels=3), 4, project_values=False)
    assert bare(x) is x
    assert (bare.dim, values.dim) == (3, 4)
