"""Attention by single products, where they are faster: what the fused kernel gives, gradients included."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from antiphon.layers import scaled_dot_product
from antiphon.layers.scaled_dot_product import attend


def masks(batch: int, steps: int) -> dict[str, torch.Tensor | None]:
    visible = torch.arange(steps) < torch.randint(1, steps + 1, (batch,))[:, None, None, None]
    return {"none": None, "boolean": visible, "bias": torch.randn(1, 2, steps, steps).masked_fill(~visible, float("-inf"))}


@pytest.mark.parametrize("kind", ["none", "boolean", "bias", "causal"])
def test_as_the_fused_kernel_in_single_precision(kind, seed):
    causal = kind == "causal"
    mask = None if causal else masks(3, 9)[kind]
    exact = [torch.randn(3, 2, 9, 8, requires_grad=True) for _ in range(3)]
    half = [x.detach().bfloat16().requires_grad_() for x in exact]
    expected = scaled_dot_product_attention(*exact, attn_mask=mask, is_causal=causal)
    found = attend(*half, None if mask is None else mask if mask.dtype == torch.bool else mask.bfloat16(), causal=causal)
    assert found.dtype == torch.bfloat16
    upstream = torch.randn_like(expected)
    expected.backward(upstream)
    found.backward(upstream.bfloat16())
    torch.testing.assert_close(found.float(), expected, atol=0.05, rtol=0.05)
    for one, other in zip(half, exact, strict=True):
        torch.testing.assert_close(one.grad.float(), other.grad, atol=0.1, rtol=0.1)


def test_only_learning_in_half_precision_goes_the_other_way(monkeypatch, seed):
    taken = []

    def fused(*arguments, **settings):
        taken.append(True)
        return scaled_dot_product_attention(*arguments, **settings)

    monkeypatch.setattr(scaled_dot_product, "scaled_dot_product_attention", fused)
    x = torch.randn(1, 4, 6, 8)
    attend(x.requires_grad_(), x, x, None)
    half = x.detach().bfloat16()
    attend(half, half, half, None)
    attend(half.requires_grad_(), half[:, :2], half[:, :2], None)
    attend(half, half, half, None, dropout=0.1)
    long = torch.randn(1, 1, 200, 8, dtype=torch.bfloat16, requires_grad=True)
    attend(long, long, long, None)
    assert len(taken) == 5
    attend(half, half, half, None)
    assert len(taken) == 5


@pytest.mark.parametrize("shape", [(3, 2, 9, 9), (1, 2, 9, 9), (2, 9, 9)], ids=str)
def test_learned_biases_in_single_precision(shape, seed):
    """As torch's way in double precision, whatever the biases are shared by; some hide keys."""
    inputs = [torch.randn(3, 2, 9, 8, requires_grad=True) for _ in range(3)]
    hidden = torch.rand(shape) < 0.2
    hidden[..., 0] = False
    bias = torch.randn(shape).masked_fill(hidden, torch.finfo(torch.float32).min).requires_grad_()
    exact = [x.detach().double().requires_grad_() for x in (*inputs, bias)]
    upstream = torch.randn(3, 2, 9, 8)
    found = attend(*inputs, bias)
    assert type(found.grad_fn).__name__ == "_ProductsBackward"
    found.backward(upstream)
    scaled_dot_product_attention(*exact[:3], attn_mask=exact[3]).backward(upstream.double())
    for one, other in zip((*inputs, bias), exact, strict=True):
        torch.testing.assert_close(one.grad.double(), other.grad, rtol=1e-4, atol=1e-5)
