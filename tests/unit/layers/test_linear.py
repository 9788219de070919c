"""Linear layers against torch's own: values, gradients, and packed weights that must never be stale."""

import copy

import pytest
import torch
from torch import nn

from antiphon.layers import linear
from antiphon.layers.linear import Linear, Product, pack_weights, product


@pytest.fixture(autouse=True, params=["onednn", "mkl"])
def library(request, monkeypatch):
    """Which library multiplies; the processor decides otherwise."""
    if request.param == "onednn" and not torch.backends.mkldnn.is_available():
        pytest.skip("this build of torch has no oneDNN")
    monkeypatch.setattr(linear, "_prefers_onednn", lambda: request.param == "onednn")
    return request.param


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 3, 7), (0, 7)])
@pytest.mark.parametrize("bias", [True, False])
def test_same_values_and_gradients_as_torch(shape, bias, seed):
    own = Linear(7, 5, bias=bias)
    reference = nn.Linear(7, 5, bias=bias)
    reference.load_state_dict(own.state_dict())
    x, y = (torch.randn(shape).requires_grad_() for _ in range(2))
    y.data = x.detach().clone()
    found, expected = own(x), reference(y)
    close(found, expected)
    upstream = torch.randn_like(found)
    found.backward(upstream)
    expected.backward(upstream)
    close(x.grad, y.grad)
    for one, other in zip(own.parameters(), reference.parameters(), strict=True):
        close(one.grad, other.grad)


@pytest.mark.parametrize("view", [lambda x: x[:, 0], lambda x: x[:, :, ::2], lambda x: x.transpose(0, 1), lambda x: x[0].T])
def test_any_strides(view, seed):
    x = view(torch.randn(6, 6, 6))
    layer = Linear(x.shape[-1], 4)
    expected = x @ layer.weight.T + layer.bias
    close(layer(x), expected)
    close(product(x, layer.weight.detach(), layer.bias.detach()), expected)
    with torch.no_grad():
        close(layer.eval()(x), expected)


def decode(layer, x):
    with torch.inference_mode():
        return layer(x)


@pytest.mark.parametrize(("rows", "outputs"), [(3, 8), (1, 32), (3, 32)])
@pytest.mark.parametrize("change", ["optimizer", "copy", "load", "replace", "data"])
def test_a_packed_weight_is_never_stale(change, rows, outputs, seed, monkeypatch):
    monkeypatch.setattr(linear, "_has_avx2_alone", lambda: torch.backends.mkldnn.is_available())
    monkeypatch.setattr(linear, "_VERY_WIDE", 32)
    layer, x = Linear(16, outputs).eval(), torch.randn(rows, 16)
    close(decode(layer, x), x @ layer.weight.T + layer.bias)
    fresh = torch.randn(outputs, 16)
    if change == "optimizer":
        layer(x).sum().backward()
        torch.optim.AdamW(layer.parameters(), lr=0.5, fused=True).step()
    elif change == "copy":
        with torch.no_grad():
            layer.weight.copy_(fresh)
    elif change == "load":
        layer.load_state_dict({"weight": fresh, "bias": layer.bias.detach()})
    elif change == "replace":
        layer.weight = nn.Parameter(fresh)
    else:
        layer.weight.data.copy_(fresh)  # torch does not count this as a change; training or evaluating anew does
        layer.train()
        layer.eval()
    close(decode(layer, x), x @ layer.weight.T + layer.bias)


def test_copies_and_states_leave_the_packed_weight_behind(seed):
    layer, x = Linear(16, 8).eval(), torch.randn(3, 16)
    expected = decode(layer, x)
    assert set(layer.state_dict()) == {"weight", "bias"}
    twin = copy.deepcopy(layer)
    with torch.no_grad():
        twin.weight.zero_()
    close(decode(twin, x), twin.bias.expand(3, 8))
    close(decode(layer, x), expected)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 16), (1, 1, 16), (5, 16), (2, 3, 16), (16,), (0, 16)])
def test_with_avx2_alone_copies_are_kept_where_they_pay(shape, bias, seed, monkeypatch):
    monkeypatch.setattr(linear, "_prefers_onednn", lambda: False)
    monkeypatch.setattr(linear, "_has_avx2_alone", lambda: torch.backends.mkldnn.is_available())
    monkeypatch.setattr(linear, "_VERY_WIDE", 32)
    wide, narrow, x = Linear(16, 32, bias=bias).eval(), Linear(16, 16, bias=bias).eval(), torch.randn(shape)
    for layer in (wide, narrow):
        expected = nn.functional.linear(x, layer.weight, layer.bias)
        found = decode(layer, x)
        assert found.shape == expected.shape
        close(found, expected)
    rows = x.numel() // 16
    available = torch.backends.mkldnn.is_available() and len(shape) > 1
    assert (wide.product._transposed is not None) == (available and rows == 1)
    assert (wide.product._packed is not None) == (available and rows > 1)
    assert narrow.product._transposed is narrow.product._packed is None
    pack_weights(wide, False)
    assert wide.product._transposed is wide.product._packed is None


def test_other_types_take_torchs_own_way(seed):
    layer, x = Linear(16, 8), torch.randn(3, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    assert layer.double()(x.double()).dtype == torch.float64
    with torch.inference_mode():
        weight = torch.randn(8, 16)
        close(Product()(x, weight, None), x @ weight.T)


@pytest.mark.parametrize(("capability", "preferred"), [("AVX512", True), ("AVX512_VNNI", True), ("AVX2", False), ("DEFAULT", False)])
def test_processors_with_avx2_alone_multiply_by_mkl(capability, preferred, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    linear._prefers_onednn.cache_clear()
    try:
        assert linear._prefers_onednn() == (preferred and torch.backends.mkldnn.is_available())
    finally:
        linear._prefers_onednn.cache_clear()


def test_a_model_can_do_without_packed_weights(library, seed):
    model, x = nn.Sequential(Linear(16, 8), Linear(8, 4)).eval(), torch.randn(3, 16)
    expected = decode(model, x)
    assert all((layer.product._packed is not None) == (library == "onednn") for layer in model)
    pack_weights(model, False)
    assert all(layer.product._packed is None for layer in model), "the copies are given up at once"
    close(decode(model, x), expected)
    assert all(layer.product._packed is None for layer in model)
    pack_weights(model, True)
    decode(model, x)
    assert all((layer.product._packed is not None) == (library == "onednn") for layer in model)
