"""Adafactor: the algorithm of the paper, with the step size that the schedule says."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from antiphon.training.optimizers import AdafactorConfig, build_optimizer, load_optimizer, optimizer_tensors
from antiphon.training.schedules import CosineConfig, learning_rate_factor


def by_the_paper(weights, gradients, rates, decay=0.0):
    """Shazeer and Stern (2018), algorithms 4 (matrices) and 5 (vectors), in float64 and with sums, as printed."""
    matrix = weights.ndim == 2
    rows, columns, squares = np.zeros(weights.shape[0]), np.zeros(weights.shape[-1]), np.zeros(weights.shape)
    for step, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        beta = 1 - step**-0.8
        square = gradient**2 + 1e-30
        if matrix:
            rows = beta * rows + (1 - beta) * square.sum(axis=1)
            columns = beta * columns + (1 - beta) * square.sum(axis=0)
            squares = np.outer(rows, columns) / rows.sum()
        else:
            squares = beta * squares + (1 - beta) * square
        update = gradient / np.sqrt(squares)
        update = update / max(1.0, math.sqrt((update**2).mean()))
        size = max(1e-3, math.sqrt((weights**2).mean()))
        weights = weights * (1 - rate * decay) - rate * size * update
    return weights


def trained(settings, weights, gradients, factors):
    """The weights after the updates of the optimizer that a recipe names."""
    model = nn.Module()
    model.weight = nn.Parameter(torch.tensor(weights, dtype=torch.float32))
    optimizer = build_optimizer(settings, model)
    for gradient, factor in zip(gradients, factors, strict=True):
        optimizer.param_groups[0]["lr"] = settings.learning_rate * factor
        model.weight.grad = torch.tensor(gradient, dtype=torch.float32)
        optimizer.step()
    return model.weight.detach().numpy()


@pytest.mark.parametrize("shape", [(4, 3), (5,)], ids=["matrix", "vector"])
@pytest.mark.parametrize("scale", [1.0, 1e-6], ids=["gradients", "small gradients"])
@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_it_takes_the_step_that_the_schedule_says(shape, scale, rate):
    random = np.random.default_rng(1)
    weights, steps = random.normal(size=shape), 60
    gradients = random.normal(size=(steps, *shape)) * scale
    factors = [learning_rate_factor(CosineConfig(warmup_steps=10, final=0.5), step, step / steps) for step in range(steps)]
    settings = AdafactorConfig(learning_rate=rate, weight_decay=0.1)
    expected = by_the_paper(weights, gradients, [rate * factor for factor in factors], decay=0.1 if len(shape) == 2 else 0.0)
    np.testing.assert_allclose(trained(settings, weights, gradients, factors), expected, rtol=1e-4, atol=1e-6)


def test_a_constant_rate_stays_constant():
    weights = np.full((2, 2), 5.0)
    found = trained(AdafactorConfig(learning_rate=0.1), weights, np.ones((400, 2, 2)), [1.0] * 400)
    np.testing.assert_allclose(found, by_the_paper(weights, np.ones((400, 2, 2)), [0.1] * 400), rtol=1e-3, atol=1e-6)
    torch_found = nn.Parameter(torch.full((2, 2), 5.0))
    optimizer = torch.optim.Adafactor([torch_found], lr=0.1)
    for _ in range(400):
        torch_found.grad = torch.ones(2, 2)
        optimizer.step()
    assert abs(float(torch_found.detach()[0, 0]) - found[0, 0]) > 0.02, "torch cuts the rate at 1 / sqrt(step)"


def test_rows_without_any_gradient_stay_where_they_are():
    weights = np.ones((3, 2))
    gradients = np.zeros((2, 3, 2))
    gradients[:, 0] = 1e-4
    found = trained(AdafactorConfig(), weights, gradients, [1.0, 1.0])
    assert np.isfinite(found).all()
    assert (found[1:] == 1).all()
    assert (found[0] < 1).all()


def test_its_state_is_kept_and_restored():
    model, again = nn.Linear(3, 2), nn.Linear(3, 2)
    again.load_state_dict(model.state_dict())
    first, second = build_optimizer(AdafactorConfig(), model), build_optimizer(AdafactorConfig(), again)
    names, others = ({id(one): name for name, one in each.named_parameters()} for each in (model, again))
    for step in range(4):
        if step == 2:
            again.load_state_dict(model.state_dict())
            load_optimizer(second, others, optimizer_tensors(first, names))
        for each, optimizer in ((model, first), (again, second))[: 1 if step < 2 else 2]:
            optimizer.zero_grad()
            (each(torch.ones(1, 3)) - 1).square().sum().backward()
            optimizer.step()
    assert torch.equal(model.weight, again.weight)
    assert torch.equal(model.bias, again.bias)
