"""Moving averages and means of weights."""

import pytest
import torch
from torch import nn

from antiphon.training.average import MovingAverage, mean_weights


def test_the_moving_average_follows_its_formula(seed):
    model = nn.Linear(2, 2)
    average = MovingAverage(model, 0.9)
    expected = model.weight.detach().clone()
    for step in range(1, 120):
        with torch.no_grad():
            model.weight.add_(torch.randn(2, 2))
        average.update(model, step, torch.tensor(0.0))
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.weight.detach()
    torch.testing.assert_close(average.tensors["weight"], expected, rtol=1e-5, atol=1e-5)


def test_the_moving_average_stays_where_an_update_was_skipped(seed):
    model = nn.Linear(2, 2)
    average = MovingAverage(model, 0.9)
    before = average.tensors["weight"].clone()
    with torch.no_grad():
        model.weight.add_(1.0)
    average.update(model, 1, torch.tensor(1.0))
    assert torch.equal(average.tensors["weight"], before)
    average.update(model, 1, torch.tensor(0.0))
    assert not torch.equal(average.tensors["weight"], before)


def test_swapping_exchanges_and_swapping_twice_changes_nothing(seed):
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    model[1].weight = nn.Parameter(model[1].weight.detach().clone())
    average = MovingAverage(model, 0.5)
    before = {name: tensor.clone() for name, tensor in average.tensors.items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    trained = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    average.swap(model)
    assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())
    assert all(torch.equal(tensor, trained[name]) for name, tensor in average.tensors.items())
    average.swap(model)
    assert all(torch.equal(parameter, trained[name]) for name, parameter in model.named_parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in average.tensors.items())


def test_tied_parameters_are_averaged_and_swapped_once():
    model = nn.ModuleDict({"embedding": nn.Embedding(3, 2), "head": nn.Linear(2, 3, bias=False)})
    model["head"].weight = model["embedding"].weight
    average = MovingAverage(model, 0.5)
    with torch.no_grad():
        model["head"].weight.zero_()
    average.swap(model)
    assert model["head"].weight is model["embedding"].weight
    assert model["head"].weight.any()


def test_the_mean_of_weights():
    checkpoints = [{"w": torch.full((2,), float(number)), "count": torch.tensor(number)} for number in (1, 2, 6)]
    mean = mean_weights(checkpoints)
    assert mean["w"].tolist() == [3.0, 3.0]
    assert mean["w"].dtype == torch.float32
    assert int(mean["count"]) == 6, "whole numbers are those of the last"
    half = mean_weights([{"w": torch.tensor([1.0], dtype=torch.bfloat16)}, {"w": torch.tensor([2.0], dtype=torch.bfloat16)}])
    assert half["w"].dtype == torch.bfloat16
    assert float(half["w"]) == pytest.approx(1.5)
