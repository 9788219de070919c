"""The SSRU against its formula written down step by step."""

import pytest
import torch

from antiphon.layers.ssru import SSRU, _Recurrence


def by_formula(layer, x):
    """h (B, T, D), one step after another."""
    weight_gate, weight = layer.gate_candidate.weight.chunk(2)
    bias = 0 if layer.gate_bias is None else layer.gate_bias
    cell, outputs = torch.zeros_like(x[:, 0]), []
    for step in range(x.shape[1]):
        gate = torch.sigmoid(x[:, step] @ weight_gate.T + bias)
        cell = gate * cell + (1 - gate) * (x[:, step] @ weight.T)
        outputs.append(cell.clamp_min(0))
    return torch.stack(outputs, dim=1)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_all_steps_at_once_are_the_formula(steps, bias, seed):
    layer = SSRU(6, bias=bias).double()
    if layer.gate_bias is not None:
        torch.nn.init.normal_(layer.gate_bias)
    x = torch.randn(3, steps, 6, dtype=torch.float64, requires_grad=True)
    found, expected = layer(x), by_formula(layer, x)
    torch.testing.assert_close(found, expected)
    learned = [x, *layer.parameters()]
    ours, theirs = (torch.autograd.grad((out * out.detach().cos()).sum(), learned) for out in (found, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_steps_give_what_all_at_once_gives(seed):
    layer = SSRU(6).double()
    x, cell = torch.randn(3, 7, 6, dtype=torch.float64), torch.zeros(3, 6, dtype=torch.float64)
    expected = layer(x)
    for step in range(7):
        found, cell = layer.step(x[:, step], cell)
        torch.testing.assert_close(found, expected[:, step])


def test_the_gradient_of_the_recurrence(seed):
    gates = torch.rand(5, 2, 3, dtype=torch.float64, requires_grad=True)
    candidates = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(_Recurrence.apply, (gates, candidates))


def test_long_sequences_stay_exact_in_single_precision(seed):
    layer = SSRU(8)
    torch.nn.init.constant_(layer.gate_bias, 6.0)  # gates near 1: the cell remembers for hundreds of steps
    x = torch.randn(2, 2000, 8)
    exact = by_formula(layer.double(), x.double())
    torch.testing.assert_close(layer.float()(x).double(), exact, rtol=1e-4, atol=1e-5)


def test_bf16_sums_in_single_precision(seed):
    layer = SSRU(8)
    torch.nn.init.constant_(layer.gate_bias, 5.0)
    x = torch.randn(2, 500, 8)
    exact = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        rough = layer(x)
        _, cell = layer.step(x[:, 0], torch.zeros(2, 8))
    assert rough.dtype == torch.float32
    assert cell.dtype == torch.float32
    assert float((rough - exact).abs().max().detach()) < 0.03
