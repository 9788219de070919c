"""CTC against torch's own on sequences one by one; what does not fit counts nothing and is named."""

import warnings

import pytest
import torch

from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Frames, Output, Padded
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.losses import ctc, joint_ctc
from antiphon.losses.cross_entropy import CrossEntropy
from antiphon.losses.ctc import CTCLoss, TooFewFramesWarning, ctc_fits, frames_needed

SPEC = TokenSpec(size=9, pad=7, unknown=1, start=2, end=3)  # the blank is where it is
LENGTHS = torch.tensor([12, 4, 9])
LABELS = Padded(torch.tensor([[4, 5, 5, 6, 3], [8, 3, 7, 7, 7], [3, 7, 7, 7, 7]]), torch.tensor([5, 2, 1]))


def said(logits, *, inner=(), head=None):
    head = head or torch.nn.Identity()
    mask = torch.arange(logits.shape[1]) < LENGTHS.unsqueeze(1)
    return Output(torch.randn(3, 5, 9), torch.nn.Identity(), frames=Frames(logits, mask, head, tuple(inner)))


def one_by_one(logits):
    """torch's own, for each sequence by itself."""
    found = []
    for row, length in enumerate(LENGTHS.tolist()):
        symbols = LABELS.values[row, : int(LABELS.lengths[row]) - 1]
        log_probs = logits[row : row + 1, :length].log_softmax(-1).transpose(0, 1)
        sizes = (torch.tensor([length]), torch.tensor([len(symbols)]))
        found.append(torch.nn.functional.ctc_loss(log_probs, symbols.unsqueeze(0), *sizes, blank=7, reduction="sum"))
    return torch.stack(found)


def test_a_row_is_the_loss_of_the_sequence(seed):
    logits = torch.randn(3, 12, 9, dtype=torch.float64, requires_grad=True)
    found = CTCLoss(SPEC)(said(logits), LABELS)
    torch.testing.assert_close(found.rows, one_by_one(logits).detach())
    (gradient,) = torch.autograd.grad(found.total, logits)
    (expected,) = torch.autograd.grad(one_by_one(logits).sum(), logits)
    torch.testing.assert_close(gradient, expected)


def test_what_lies_behind_the_ends_changes_nothing(seed):
    logits = torch.randn(3, 12, 9)
    found = CTCLoss(SPEC)(said(logits), LABELS)
    logits[1, 4:], logits[2, 9:] = 1e4, float("nan")
    values = LABELS.values.clone()
    values[1, 2:], values[2, 1:] = 3, 8
    again = CTCLoss(SPEC)(said(logits), Padded(values, LABELS.lengths))
    torch.testing.assert_close(again.rows, found.rows)


def test_too_few_frames_count_nothing_and_are_named(seed):
    logits = torch.randn(3, 12, 9, requires_grad=True)
    labels = Padded(torch.tensor([[4, 5, 5, 6, 3, 7], [8, 8, 8, 3, 7, 7], [4, 4, 4, 4, 5, 3]]), torch.tensor([5, 4, 6]))
    loss = CTCLoss(SPEC)
    with pytest.warns(TooFewFramesWarning, match="nothing from 1 of the 3 sequences .*1 so far.* one has 4 frames for 3 symbols"):
        found = loss(said(logits), labels)
    for _ in range(8):
        loss(said(logits), labels)  # a warning here would be an error
    with pytest.warns(TooFewFramesWarning, match="10 so far"):
        loss(said(logits), labels)
    assert loss.unlearned == 10
    assert bool(found.rows.isfinite().all())
    assert found.rows[1] == 0
    assert found.rows[0] > 0
    assert found.rows[2] > 0
    found.total.backward()
    assert bool(logits.grad.isfinite().all())
    assert not logits.grad[1].any()


def test_how_many_frames_are_needed():
    labels = Padded(torch.tensor([[4, 5, 5, 6, 3], [8, 8, 8, 3, 8], [4, 3, 8, 8, 8], [3, 7, 7, 7, 7]]), torch.tensor([5, 4, 2, 1]))
    assert frames_needed(labels.values, labels.lengths - 1).tolist() == [5, 5, 1, 0]
    assert ctc_fits(torch.tensor([5, 4, 1, 0]), labels, 3).tolist() == [True, False, True, True]
    # Exactly so many frames have an alignment, and one fewer has none.
    for row, (needed, length) in enumerate([(5, 4), (5, 3)]):
        for frames in (needed, needed - 1):
            loss = torch.nn.functional.ctc_loss(
                torch.zeros(frames, 1, 9), labels.values[row : row + 1, :length], torch.tensor([frames]), torch.tensor([length]), blank=7
            )
            assert bool(loss.isfinite()) == (frames == needed)


def test_inner_layers_have_their_share(seed):
    head = torch.nn.Linear(4, 9).double()
    features = [torch.randn(3, 12, 4, dtype=torch.float64) for _ in range(3)]
    last, *inner = [CTCLoss(SPEC)(said(part, head=head), LABELS).rows for part in features]
    found = CTCLoss(SPEC, 0.4)(said(features[0], inner=features[1:], head=head), LABELS)
    torch.testing.assert_close(found.rows, 0.6 * last + 0.2 * inner[0] + 0.2 * inner[1])
    measured = ctc.plugin.measure(ctc.CTCConfig(), SPEC)(said(features[0], inner=features[1:], head=head), LABELS)
    torch.testing.assert_close(measured.rows, last)


def test_joint_is_the_weighted_sum(seed):
    output = said(torch.randn(3, 12, 9))
    settings = validate(joint_ctc.plugin.Config, {"ctc_weight": 0.25, "label_smoothing": 0.2})
    alone, weights = CTCLoss(SPEC)(output, LABELS).rows, torch.tensor([0.5, 2.0, 1.0])
    expected = 0.25 * alone + 0.75 * CrossEntropy(0.2)(output, LABELS).rows
    found = joint_ctc.build(settings, SPEC)(output, LABELS, weights)
    torch.testing.assert_close(found.rows, expected)
    torch.testing.assert_close(found.total, (expected * weights).sum())
    measured = joint_ctc.measure(settings, SPEC)(output, LABELS)
    torch.testing.assert_close(measured.rows, 0.25 * alone + 0.75 * CrossEntropy()(output, LABELS).rows)


def test_bf16_logits_are_scored_in_single_precision(seed):
    logits = torch.randn(3, 12, 9).bfloat16()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = CTCLoss(SPEC)(said(logits), LABELS)
    torch.testing.assert_close(found.rows, CTCLoss(SPEC)(said(logits.float()), LABELS).rows)


def test_models_and_targets_without_frames_are_refused():
    output = Output(torch.randn(3, 5, 9), torch.nn.Identity())
    with pytest.raises(ConfigError, match="has no output for each frame"):
        CTCLoss(SPEC)(output, LABELS)
    for plugin in (ctc.plugin, joint_ctc.plugin):
        with pytest.raises(ConfigError, match=f"must not be `{plugin.name}` when the target is real-valued"):
            plugin.build(plugin.Config(), ValueSpec(2))


def test_a_model_that_says_something_of_frames_alone_needs_ctc():
    frames = said(torch.randn(3, 12, 9)).frames
    alone = Output(frames.features, frames.head, frames=frames)
    for loss in (CrossEntropy(), joint_ctc.plugin.build(joint_ctc.plugin.Config(), SPEC)):
        with pytest.raises(ConfigError, match=r"`training\.loss\.name` must be `ctc` for a model whose only output is one for each frame"):
            loss(alone, LABELS)
    assert CTCLoss(SPEC)(alone, LABELS).rows.shape == LENGTHS.shape
