"""Fused cross-entropy against `torch.nn.functional.cross_entropy`: values and gradients."""

import pytest
import torch
from torch.nn import functional

from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Output, Padded
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.heads.categorical import Categorical
from antiphon.losses import chunked
from antiphon.losses.cross_entropy import CrossEntropy, CrossEntropyConfig, build, measure
from tests.unit.losses.largest import Largest

SPEC = TokenSpec(size=9, pad=0, unknown=1, start=2, end=3)
DIM = 5


def make(seed, *, bias, tied=False):
    """A head, features and ragged labels."""
    generator = torch.Generator().manual_seed(seed)
    tie = torch.nn.Parameter(torch.randn(SPEC.size, DIM, generator=generator)) if tied else None
    head = Categorical(DIM, SPEC.size, bias=bias, tied=tie)
    with torch.no_grad():
        head.weight.copy_(torch.randn(head.weight.shape, generator=generator))
        if bias:
            head.bias.copy_(torch.randn(SPEC.size, generator=generator))
    features = torch.randn(3, 4, DIM, generator=generator, requires_grad=True)
    labels = Padded(torch.randint(0, SPEC.size, (3, 4), generator=generator), torch.tensor([4, 1, 3]))
    return head, features, labels


def torchs(head, features, labels, smoothing):
    """torch's own loss of all elements, without masks or chunks."""
    logits = head(features)
    flat = functional.cross_entropy(logits.flatten(0, 1), labels.values.flatten(), reduction="none", label_smoothing=smoothing)
    return flat.view(labels.values.shape) * labels.mask


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("chunk", [1024, 3])
def test_values_and_gradients_equal_torchs(smoothing, bias, tied, chunk, seed, monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK", chunk)
    head, features, labels = make(seed, bias=bias, tied=tied)
    loss = build(CrossEntropyConfig(label_smoothing=smoothing), SPEC)
    # A tied weight is also an embedding: gradients of both uses must add up.
    extra = (head.weight[labels.values] ** 2).sum() if tied else torch.zeros(())
    found = loss(Output(features, head), labels)
    expected = torchs(head, features, labels, smoothing)
    torch.testing.assert_close(found.rows, expected.sum(1))
    torch.testing.assert_close(found.total, expected.sum())
    inputs = [features, *head.parameters()]
    ours = torch.autograd.grad(found.total / 7 + extra, inputs, retain_graph=True)
    for one, other in zip(ours, torch.autograd.grad(expected.sum() / 7 + extra, inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("chunk", [1024, 3])
def test_each_record_counts_as_much_as_its_weight(chunk, seed, monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK", chunk)
    head, features, labels = make(seed, bias=True)
    weights = torch.tensor([0.5, 0.0, 3.0])
    found = build(CrossEntropyConfig(), SPEC)(Output(features, head), labels, weights)
    expected = torchs(head, features, labels, 0.1).sum(1)
    torch.testing.assert_close(found.rows, expected)
    torch.testing.assert_close(found.total, (expected * weights).sum())
    inputs = [features, *head.parameters()]
    ours = torch.autograd.grad(found.total, inputs, retain_graph=True)
    for one, other in zip(ours, torch.autograd.grad((expected * weights).sum(), inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_head_of_any_kind_gives_the_same(seed):
    head, features, labels = make(seed, bias=True)
    inputs = [features, *head.parameters()]
    fused = CrossEntropy()(Output(features, head), labels)
    plain = CrossEntropy()(Output(features, lambda rows: head(rows)), labels)
    torch.testing.assert_close(plain.rows, fused.rows)
    for one, other in zip(torch.autograd.grad(plain.total, inputs), torch.autograd.grad(fused.total, inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        torch.testing.assert_close(CrossEntropy()(Output(features, head), labels).rows, fused.rows)


def test_gradients_in_double_precision(seed, monkeypatch):
    monkeypatch.setattr(chunked, "CHUNK", 3)
    head, features, labels = make(seed, bias=True)
    head, features, weights = head.double(), features.detach().double().requires_grad_(), torch.tensor([0.5, 2.0, 1.0]).double()
    loss = build(CrossEntropyConfig(label_smoothing=0.2), SPEC)

    def total(rows, weight, bias):
        head.weight, head.bias = weight, bias
        return loss(Output(rows, head), labels, weights).total

    weight, bias = head.weight, head.bias
    assert torch.autograd.gradcheck(total, (features, weight, bias))


def test_what_is_frozen_gets_no_gradient_and_costs_none(seed):
    head, features, labels = make(seed, bias=True)
    expected = torch.autograd.grad(CrossEntropy()(Output(features, head), labels).total, features)[0]
    head.requires_grad_(False)
    with Largest() as frozen:
        found = CrossEntropy()(Output(features, head), labels)
    torch.testing.assert_close(torch.autograd.grad(found.total, features)[0], expected)
    assert head.weight.grad is None
    assert frozen.elements < head.weight.numel() * 2


def test_padding_is_never_computed(seed):
    head, features, labels = make(seed, bias=False)
    rows = []
    head.register_forward_hook(lambda _, given, __: rows.append(len(given[0])))
    values = features.detach().clone()
    values[~labels.mask] = float("nan")  # what padding may hold
    values.requires_grad_()
    loss = CrossEntropy()(Output(values, head), labels)
    loss.total.backward()
    assert sum(rows) == 4 + 1 + 3
    assert bool(loss.rows.isfinite().all())
    assert not values.grad[~labels.mask].any()


@pytest.mark.parametrize("bias", [False, True])
def test_bf16_stays_close(bias, seed):
    head, features, labels = make(seed, bias=bias)
    inputs = [features, *head.parameters()]
    expected = torch.autograd.grad(torchs(head, features, labels, 0.1).sum(), inputs)
    with torch.autocast("cpu", torch.bfloat16):
        loss = build(CrossEntropyConfig(), SPEC)(Output(features, head), labels)
    assert loss.total.dtype == torch.float32
    torch.testing.assert_close(loss.rows, torchs(head, features, labels, 0.1).sum(1), rtol=0.03, atol=0.05)
    for one, other in zip(torch.autograd.grad(loss.total, inputs), expected, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.05)


def test_what_is_reported_has_no_smoothing(seed):
    head, features, labels = make(seed, bias=False)
    output = Output(features, head)
    found = measure(CrossEntropyConfig(label_smoothing=0.3), SPEC)(output, labels)
    torch.testing.assert_close(found.rows, torchs(head, features, labels, 0.0).sum(1))


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="real-valued"):
        build(CrossEntropyConfig(), ValueSpec(channels=2))
    for smoothing, bound in ((-0.1, "at least 0"), (1.0, "less than 1")):
        with pytest.raises(ConfigError, match=rf"`label_smoothing` must be {bound}, but is {smoothing}"):
            validate(CrossEntropyConfig, {"label_smoothing": smoothing})


def test_measuring_needs_no_more_memory_than_learning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither ever holds the logits of more than a chunk."""
    monkeypatch.setattr(chunked, "CHUNK", 8)
    symbols, steps = 500, 64
    spec = TokenSpec(size=symbols, pad=0, unknown=1, start=2, end=3)
    head = Categorical(2, symbols, bias=True, tied=None)
    features = torch.randn(1, steps, 2, requires_grad=True)
    labels = Padded(torch.randint(0, symbols, (1, steps)), torch.tensor([steps]))
    loss = measure(CrossEntropyConfig(), spec)
    with Largest() as learning:
        learned = loss(Output(features, head), labels)
    with Largest() as measuring, torch.inference_mode():
        measured = loss(Output(features, head), labels)
    torch.testing.assert_close(measured.rows, learned.rows)
    assert measuring.elements <= learning.elements == 8 * symbols
