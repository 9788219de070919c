"""Guided alignment: what attention pays for looking elsewhere."""

import math

import numpy as np
import pytest
import torch

from antiphon.contracts.loss import loss_for, reads_attention
from antiphon.contracts.sequences import Batch, Output, Padded, pad
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError
from antiphon.losses.cross_entropy import CrossEntropy, CrossEntropyConfig, build
from antiphon.losses.guided_alignment import Cost, GuidedAlignmentConfig, guided_alignment_loss

SPEC = TokenSpec(7, 0, 1, 2, 3)
ATTENTION = torch.tensor([[[0.2, 0.8, 0.0], [0.5, 0.25, 0.25]], [[1.0, 0.0, 0.0], [0.3, 0.3, 0.4]]])
LINKS = pad([np.array([[1, 0], [0, 1], [2, 1]]), np.zeros((0, 2), dtype=np.int64)])
LABELS = Padded(torch.tensor([[4, 3], [3, 0]]), torch.tensor([2, 1]))


def output(attention: torch.Tensor | None = ATTENTION) -> Output:
    return Output(torch.zeros(2, 2, 7), lambda features: features, attention)


def test_by_hand() -> None:
    found = guided_alignment_loss(output(), LABELS, LINKS, "cross_entropy")
    expected = [[-math.log(0.8), -0.5 * math.log(0.5) - 0.5 * math.log(0.25)], [0.0, 0.0]]
    torch.testing.assert_close(found, torch.tensor(expected))
    found = guided_alignment_loss(output(), LABELS, LINKS, "squared_error")
    torch.testing.assert_close(found, torch.tensor([[0.2**2 * 2, 0.25**2 * 2], [0.0, 0.0]]))


@pytest.mark.parametrize("cost", ["cross_entropy", "squared_error"])
def test_gradients(cost: Cost) -> None:
    logits = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda some: guided_alignment_loss(output(some.softmax(-1)), LABELS, LINKS, cost).sum(), (logits,))


def test_it_is_added_to_the_loss_with_the_weights_of_records() -> None:
    settings = CrossEntropyConfig(label_smoothing=0.0, guided_alignment=GuidedAlignmentConfig(weight=0.5))
    loss = build(settings, SPEC)
    assert reads_attention(loss)
    assert not reads_attention(build(CrossEntropyConfig(), SPEC))
    target = Padded(torch.tensor([[2, 4, 3], [2, 3, 0]]), torch.tensor([3, 2]))
    source = Padded(torch.tensor([[4, 5, 3], [4, 3, 0]]), torch.tensor([3, 2]))
    weights = torch.tensor([2.0, 1.0])
    batch = Batch(source, target, (0, 1), weights, LINKS)
    found = loss_for(loss, batch)(output(), batch.labels, batch.weights)
    plain = CrossEntropy(target=SPEC)(output(), batch.labels, batch.weights)
    beside = 0.5 * guided_alignment_loss(output(), batch.labels, LINKS, "cross_entropy").sum(1)
    torch.testing.assert_close(found.total, plain.total + (beside * weights).sum())
    torch.testing.assert_close(found.rows, plain.rows + beside)
    alone = loss_for(loss, batch.select_rows(torch.tensor([0])))
    assert batch.select_rows(torch.tensor([1])).links is not None
    first = Output(torch.zeros(1, 2, 7), lambda features: features, ATTENTION[:1])
    torch.testing.assert_close(alone(first, batch.select_rows(torch.tensor([0])).labels).rows, found.rows[:1])


def test_what_it_needs_is_said() -> None:
    with pytest.raises(ConfigError, match="needs a model with attention, but this model gives none"):
        guided_alignment_loss(output(None), LABELS, LINKS, "cross_entropy")
    with pytest.raises(ConfigError, match="needs attention over the symbols of the source, but this model's is over fewer states"):
        guided_alignment_loss(output(ATTENTION[..., :2]), LABELS, LINKS, "cross_entropy")
    loss = build(CrossEntropyConfig(guided_alignment=GuidedAlignmentConfig()), SPEC)
    with pytest.raises(ConfigError, match=r"needs alignments: name the column that has them in `task\.alignment`"):
        loss_for(loss, Batch(LABELS, LABELS, (0, 1)))
