"""Attention scores of recurrent decoders, written out one query and one source state at a time."""

import pytest
import torch

from antiphon.layers.alignment import Alignment


def score(layer, query, state):
    """The formulas of Luong et al. 2015 (dot, general) and Bahdanau et al. 2015 (additive)."""
    if layer.scoring == "dot":
        return query @ state
    if layer.scoring == "general":
        return query @ layer.key.weight @ state
    return layer.energy.weight[0] @ torch.tanh(layer.query(query) + layer.key.weight @ state)


@pytest.mark.parametrize("scoring", ["dot", "general", "additive"])
def test_weights_and_contexts_follow_the_formulas(scoring, seed):
    layer = Alignment(scoring, 4).double()
    queries, states = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 5, 4, dtype=torch.float64)
    lengths = (5, 2)
    mask = torch.arange(5) < torch.tensor(lengths).unsqueeze(1)
    contexts, weights = layer(queries, layer.project(states), mask)
    for row, length in enumerate(lengths):
        for step in range(3):
            expected = torch.stack([score(layer, queries[row, step], states[row, place]) for place in range(length)]).softmax(0)
            torch.testing.assert_close(weights[row, step, :length], expected)
            torch.testing.assert_close(contexts[row, step], expected @ states[row, :length])
    assert not weights[1, :, 2:].any()


@pytest.mark.parametrize("scoring", ["dot", "general", "additive", "multi_head"])
def test_hypotheses_share_the_keys_of_their_source(scoring, seed):
    layer = Alignment(scoring, 4, heads=2).double()
    queries, states = torch.randn(6, 1, 4, dtype=torch.float64), torch.randn(2, 5, 4, dtype=torch.float64)
    mask, rows = torch.ones(2, 5, dtype=torch.bool), torch.tensor([0, 0, 0, 1, 1, 1])
    found = layer(queries, layer.project(states), mask)
    expected = layer(queries, layer.project(states[rows]), mask[rows])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
