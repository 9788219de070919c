"""Heads: what they compute, what they share, what they refuse."""

import pytest
import torch

from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.heads import categorical, point
from antiphon.heads.categorical import Categorical, CategoricalConfig
from antiphon.heads.choice import build_head
from antiphon.heads.point import PointConfig

SYMBOLS, VALUES = TokenSpec(size=7, pad=0, unknown=1, start=2, end=3), ValueSpec(channels=2)


@pytest.mark.parametrize("bias", [False, True])
def test_logits_of_sequences_and_steps(bias, seed):
    head = categorical.build(CategoricalConfig(bias=bias), SYMBOLS, 4, None)
    features = torch.randn(2, 3, 4)
    expected = features @ head.weight.T + (head.bias if bias else 0)
    torch.testing.assert_close(head(features), expected)
    torch.testing.assert_close(head(features[:, 1]), expected[:, 1])


def test_a_tied_head_is_the_embedding():
    embedding = torch.nn.Embedding(7, 4)
    head = categorical.build(CategoricalConfig(), SYMBOLS, 4, embedding.weight)
    assert head.weight is embedding.weight
    with pytest.raises(ConfigError, match=r"as wide as what the head reads \(6\), but are 4 wide"):
        categorical.build(CategoricalConfig(), SYMBOLS, 6, embedding.weight)


def test_the_natural_head():
    assert isinstance(build_head(None, SYMBOLS, 4), Categorical)
    assert build_head(None, VALUES, 4)(torch.zeros(2, 3, 4)).shape == (2, 3, 2)


def test_heads_refuse_targets_that_they_cannot_say():
    with pytest.raises(ConfigError, match="must not be `categorical` when the target is real-valued"):
        categorical.build(CategoricalConfig(), VALUES, 4, None)
    with pytest.raises(ConfigError, match="when the target is made of symbols, but is `point`"):
        point.build(PointConfig(), SYMBOLS, 4, None)
