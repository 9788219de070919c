"""The losses of copying and of coverage."""

import pytest
import torch

from antiphon.contracts.sequences import Memory, Output, Padded
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError
from antiphon.heads.pointer import PointerConfig, build
from antiphon.losses import chunked, cross_entropy, pointer
from antiphon.losses.coverage import coverage_loss
from tests.unit.losses.largest import Largest

SPEC = TokenSpec(size=7, pad=0, unknown=1, start=2, end=3, fingerprint="test", open_words=3)
SYMBOLS = torch.tensor([[4, 8, 4, 3], [9, 7, 5, 3]])
LABELS = Padded(torch.tensor([[4, 8, 3], [9, 3, 0]]), torch.tensor([3, 2]))


def output(seed: int = 0) -> Output:
    torch.manual_seed(seed)
    head = build(PointerConfig(), SPEC, 5, None)
    memory = Memory(torch.zeros(2, 4, 5), torch.ones(2, 4, dtype=torch.bool), copyable=SYMBOLS)
    attention = torch.rand(2, 3, 4).softmax(-1)
    return Output(torch.randn(2, 3, 5), head.over(attention, memory), attention)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_negative_log_likelihood(seed: int) -> None:
    said = output(seed)
    expected = -said.values.gather(-1, LABELS.values.unsqueeze(-1)).squeeze(-1)
    found = pointer.measure(pointer.PointerLossConfig(), SPEC)(said, LABELS)
    torch.testing.assert_close(found.rows, (expected * LABELS.mask).sum(1), rtol=1e-4, atol=1e-5)


def test_smoothing_asks_the_generator_for_every_symbol() -> None:
    said = output()
    logits, _ = said.head.head(said.features)
    spread = -logits.log_softmax(-1).mean(-1)
    exact = pointer.PointerLoss()(said, LABELS)
    smoothed = pointer.build(pointer.PointerLossConfig(label_smoothing=0.2), SPEC)(said, LABELS)
    torch.testing.assert_close(smoothed.rows, 0.8 * exact.rows + 0.2 * (spread * LABELS.mask).sum(1))


def test_coverage_is_what_was_attended_to_before() -> None:
    attention = torch.tensor([[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.2, 0.2, 0.6]]])
    found = coverage_loss(Output(torch.zeros(1, 3, 5), lambda x: x, attention))
    torch.testing.assert_close(found, torch.tensor([[0.0, 0.5, 0.4]]))
    said = output()
    with_coverage = pointer.build(pointer.PointerLossConfig(label_smoothing=0, coverage=2.0), SPEC)(said, LABELS)
    plain = pointer.PointerLoss()(said, LABELS)
    torch.testing.assert_close(with_coverage.rows - plain.rows, 2 * (coverage_loss(said) * LABELS.mask).sum(1))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="coverage` needs a model that always gives its attention"):
        coverage_loss(Output(torch.zeros(1, 3, 5), lambda x: x))
    with pytest.raises(ConfigError, match=r"must not be `pointer` without `model.head: pointer`"):
        pointer.PointerLoss()(Output(torch.zeros(2, 3, 5), lambda x: x), LABELS)
    with pytest.raises(ConfigError, match="whose loss is `pointer`"):
        cross_entropy.CrossEntropy()(output(), LABELS)


def test_open_words_are_unknown_to_a_loss_without_copying() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, SPEC.size)
    loss = cross_entropy.measure(cross_entropy.CrossEntropyConfig(), SPEC)
    found = loss(Output(logits[:1, 1:2], lambda x: x), Padded(LABELS.values[:1, 1:2], torch.tensor([1])))
    assert float(found.total) == pytest.approx(-float(logits[0, 1].log_softmax(-1)[SPEC.unknown]))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_it_goes_chunk_by_chunk(smoothing: float, monkeypatch: pytest.MonkeyPatch) -> None:
    loss = pointer.PointerLoss(smoothing)
    exact = loss(output(), LABELS)
    monkeypatch.setattr(chunked, "CHUNK", 2)
    with torch.inference_mode():
        measured = loss(output(), LABELS)
    torch.testing.assert_close(measured.rows, exact.rows)
    rows = torch.randn(1, 40, 5)
    labels = Padded(torch.full((1, 40), 4), torch.tensor([40]))
    head = build(PointerConfig(), TokenSpec(size=300, pad=0, unknown=1, start=2, end=3), 5, None)
    memory = Memory(torch.zeros(1, 4, 5), torch.ones(1, 4, dtype=torch.bool), copyable=SYMBOLS[:1])
    attention = torch.rand(1, 40, 4).softmax(-1)
    with Largest() as measuring, torch.no_grad():
        loss(Output(rows, head.over(attention, memory), attention), labels)
    largest = max(2 * 300, head.generator.weight.numel())  # of 40 * 300 logits
    assert measuring.elements <= largest
    with Largest() as learning:
        loss(Output(rows.requires_grad_(), head.over(attention.requires_grad_(), memory), attention), labels).total.backward()
    assert learning.elements <= largest


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 2.0])])
def test_gradients_are_those_of_the_whole_at_once(weights: torch.Tensor | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked, "CHUNK", 2)
    said = output()
    said.features.requires_grad_(), said.attention.requires_grad_()
    inputs = [said.features, said.attention, *said.head.head.parameters()]
    bound = Output(
        said.features, said.head.head.over(said.attention, Memory(torch.zeros(2, 4, 5), torch.ones(2, 4).bool(), copyable=SYMBOLS))
    )
    found = torch.autograd.grad(pointer.PointerLoss(0.2)(bound, LABELS, weights).total, inputs)
    rows, spread = bound.values, bound.head.head(said.features)[0].log_softmax(-1).mean(-1)
    losses = -0.8 * rows.gather(-1, LABELS.values.unsqueeze(-1)).squeeze(-1) - 0.2 * spread
    whole = ((losses * LABELS.mask).sum(1) * (1 if weights is None else weights)).sum()
    for one, other in zip(found, torch.autograd.grad(whole, inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
