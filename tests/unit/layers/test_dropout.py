"""Dropout: the share that is kept, its scale, its gradient, and the same numbers for the same seed."""

import pytest
import torch

from antiphon.layers.dropout import Dropout, dropout


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_drops_the_asked_share_and_keeps_the_mean(probability, dtype, seed):
    found = dropout(torch.ones(500, 401, dtype=dtype), probability)
    kept = found != 0
    # Six standard deviations of a share over 200,500 elements.
    assert kept.double().mean().item() == pytest.approx(1 - probability, abs=6 * (probability * (1 - probability) / 200_500) ** 0.5)
    assert len(found[kept].unique()) == 1
    assert found[kept][0].item() == pytest.approx(1 / (1 - probability), rel=1e-2 if dtype == torch.bfloat16 else 1e-3)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 5, 7), (0, 3)])
def test_any_shape_and_neighbours_that_know_nothing_of_each_other(shape, seed):
    assert dropout(torch.ones(shape), 0.5).shape == shape
    kept = (dropout(torch.ones(40_000, 8), 0.5) != 0).double()
    between = torch.corrcoef(kept.T) - torch.eye(8)
    assert between.abs().max() < 6 / 40_000**0.5  # the elements that share a draw included


def test_the_gradient_passes_where_elements_passed(seed):
    x = torch.randn(64, 33, requires_grad=True)
    found = dropout(x.transpose(0, 1), 0.3)
    found.backward(torch.ones_like(found))
    torch.testing.assert_close(x.grad * x.detach(), found.detach().T)


def test_a_seed_repeats_it_and_evaluation_leaves_all(seed):
    x, layer = torch.randn(50, 50), Dropout(0.2)
    found = []
    for _ in range(2):
        torch.manual_seed(seed)
        found.append(layer(x))
    assert torch.equal(*found)
    assert not torch.equal(layer(x), found[0])
    assert layer.eval()(x) is x
    assert Dropout(0.0)(x) is x
    assert torch.equal(dropout(x, 1.0), torch.zeros_like(x))


def test_a_byte_for_each_element_is_kept(seed):
    sizes = []

    def kept(tensor):
        sizes.append(tensor.numel() * tensor.element_size())
        return tensor

    x = torch.randn(40, 25, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(kept, lambda tensor: tensor):
        dropout(x, 0.1)
    assert sizes == [1000]
