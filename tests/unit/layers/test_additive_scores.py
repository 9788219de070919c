"""Scores of additive attention in blocks, against the formula written out, and what they keep for the gradients."""

import pytest
import torch
from torch.autograd import gradcheck

from antiphon.layers import additive_scores as module
from antiphon.layers.additive_scores import additive_scores
from antiphon.layers.alignment import Alignment


def inputs(rows, steps, places, width, seen, dtype=torch.float64):
    shapes = [(rows, steps, width), (rows, places, width), (width,)]
    shapes += [(rows, steps, places, seen), (width, seen)] if seen else []
    return [torch.randn(shape, dtype=dtype).requires_grad_() for shape in shapes]


def written_out(queries, keys, energy, seen=None, seen_weight=None):
    inner = queries[:, :, None] + keys[:, None] + (0 if seen is None else seen @ seen_weight.T)
    return inner.tanh() @ energy


@pytest.mark.parametrize("seen", [0, 1, 3])
@pytest.mark.parametrize("block", [1, 7, 2 * 5 * 4, 3 * 3 * 5 * 4, 1 << 18])  # up to two queries; three rows; all
def test_every_size_of_block_gives_the_values_and_gradients_of_the_formula(seen, block, monkeypatch, seed):
    monkeypatch.setattr(module, "_BLOCK", block)
    given = inputs(4, 3, 5, 4, seen)
    found, expected = additive_scores(*given), written_out(*given)
    torch.testing.assert_close(found, expected)
    upstream = torch.randn_like(found)
    for one, other in zip(torch.autograd.grad(found, given, upstream), torch.autograd.grad(expected, given, upstream), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("seen", [0, 2])
def test_gradients_are_those_of_small_differences(seen, monkeypatch, seed):
    monkeypatch.setattr(module, "_BLOCK", 24)
    assert gradcheck(additive_scores, inputs(2, 3, 4, 3, seen))


def test_no_rows_no_steps_and_no_places(seed):
    for shape in [(0, 3, 4), (2, 0, 4), (2, 3, 0)]:
        given = inputs(*shape, 5, 1)
        found = additive_scores(*given)
        assert found.shape == shape
        found.sum().backward()


def kept(run):
    """Numbers that autograd keeps for the gradients of what `run` computes."""
    sizes = {}

    def keep(tensor):
        sizes[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    return sum(sizes.values())


@pytest.mark.parametrize(("scoring", "coverage"), [("additive", False), ("additive", True), ("location", False)])
def test_attention_keeps_nothing_of_the_size_of_pairs_times_width(scoring, coverage, seed):
    dim, rows, places = 64, 4, 30
    steps = 1 if coverage or scoring == "location" else 20
    layer = Alignment(scoring, dim, coverage=coverage, filters=2, kernel_size=3)
    states, queries = torch.randn(rows, places, dim), torch.randn(rows, steps, dim)
    earlier = torch.rand(rows, places) if steps == 1 else None
    mask = torch.ones(rows, places, dtype=torch.bool)
    keys = layer.project(states)
    everything = sum(parameter.numel() for parameter in layer.parameters()) + 3 * queries.numel() + 2 * states.numel()
    pairs = rows * steps * places
    assert kept(lambda: layer(queries, keys, mask, earlier)) <= everything + 8 * pairs < everything + pairs * dim
