"""Fused cross-entropy against `torch.nn.functional.cross_entropy`: values and gradients."""

import pytest
import torch
from torch.nn import functional

from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Output, Padded
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.heads.categorical import Categorical
from antiphon.losses import cross_entropy as module
from antiphon.losses.cross_entropy import CrossEntropyConfig, build, cross_entropy, measure
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
    monkeypatch.setattr(module, "CHUNK", chunk)
    head, features, labels = make(seed, bias=bias, tied=tied)
    loss = build(CrossEntropyConfig(label_smoothing=smoothing), SPEC)
    # A tied weight is also an embedding: gradients of both uses must add up.
    extra = (head.weight[labels.values] ** 2).sum() if tied else torch.zeros(())
    found = loss(Output(features, head), labels)
    expected = torchs(head, features, labels, smoothing)
    torch.testing.assert_close(found, expected)
    inputs = [features, *head.parameters()]
    ours = torch.autograd.grad(found.sum() / 7 + extra, inputs, retain_graph=True)
    for one, other in zip(ours, torch.autograd.grad(expected.sum() / 7 + extra, inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_the_fused_and_the_plain_path_agree(seed):
    head, features, labels = make(seed, bias=True)
    fused = cross_entropy(Output(features, head), labels)
    output = Output(features, head)
    assert output.values.shape == (3, 4, SPEC.size), "who looks at the logits first gets the plain path"
    torch.testing.assert_close(cross_entropy(output, labels), fused)
    with torch.no_grad():
        torch.testing.assert_close(cross_entropy(Output(features, head), labels), fused.detach())


def test_padding_is_never_computed(seed, monkeypatch):
    head, features, labels = make(seed, bias=False)
    rows, compute = [], module._loss_and_gradient
    monkeypatch.setattr(module, "_loss_and_gradient", lambda logits, *rest: rows.append(len(logits)) or compute(logits, *rest))
    values = features.detach().clone()
    values[~labels.mask] = float("nan")  # what padding may hold
    values.requires_grad_()
    loss = cross_entropy(Output(values, head), labels)
    loss.sum().backward()
    assert sum(rows) == 4 + 1 + 3
    assert bool(loss.isfinite().all())
    assert not loss[~labels.mask].any()
    assert not values.grad[~labels.mask].any()


def test_different_weights_per_element_are_refused(seed):
    head, features, labels = make(seed, bias=False)
    loss = cross_entropy(Output(features, head), labels)
    weights = torch.rand(3, 4)
    with pytest.raises(AssertionError, match="the same weight on every element"):
        (loss * weights).sum().backward()


@pytest.mark.parametrize("bias", [False, True])
def test_bf16_stays_close(bias, seed):
    head, features, labels = make(seed, bias=bias)
    inputs = [features, *head.parameters()]
    expected = torch.autograd.grad(torchs(head, features, labels, 0.1).sum(), inputs)
    with torch.autocast("cpu", torch.bfloat16):
        loss = build(CrossEntropyConfig(), SPEC)(Output(features, head), labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, torchs(head, features, labels, 0.1), rtol=0.03, atol=0.05)
    for one, other in zip(torch.autograd.grad(loss.sum(), inputs), expected, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.05)


def test_what_is_reported_has_no_smoothing(seed):
    head, features, labels = make(seed, bias=False)
    output = Output(features, head)
    found = measure(CrossEntropyConfig(label_smoothing=0.3), SPEC)(output, labels)
    torch.testing.assert_close(found, torchs(head, features, labels, 0.0))


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="real-valued"):
        build(CrossEntropyConfig(), ValueSpec(channels=2))
    for smoothing, bound in ((-0.1, "at least 0"), (1.0, "less than 1")):
        with pytest.raises(ConfigError, match=rf"`label_smoothing` must be {bound}, but is {smoothing}"):
            validate(CrossEntropyConfig, {"label_smoothing": smoothing})


def test_measuring_needs_no_more_memory_than_learning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither ever holds the logits of more than a chunk."""
    monkeypatch.setattr(module, "CHUNK", 8)
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
    torch.testing.assert_close(measured, learned.detach())
    assert measuring.elements <= learning.elements == 8 * symbols
