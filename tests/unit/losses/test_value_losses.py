"""Losses of real values: formulas, missing labels, counting, refusals."""

import math

import pytest
import torch
from torch.distributions import Normal

from antiphon.contracts import registry
from antiphon.contracts.sequences import Output, Padded, Quantiles
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError, DataError
from antiphon.heads.negative_binomial import NegativeBinomial
from antiphon.losses.observed import counted

SPEC, SYMBOLS = ValueSpec(channels=2, known=1), TokenSpec(size=7, pad=0, unknown=1, start=2, end=3)
LEVELS = (0.2, 0.5, 0.9)
NAMES = ["squared_error", "absolute_error", "huber", "negative_log_likelihood", "pinball"]
NAN = float("nan")


def loss_of(name, **settings):
    plugin = registry.find("losses", name)
    return plugin.build(plugin.Config(**settings), SPEC)


def same(features):
    return features


def said_by(name, features):
    """An output that suits the loss, whose center is the features."""
    if name == "negative_log_likelihood":
        return Output(features, lambda x: Normal(x, 2.0, validate_args=False))
    if name == "pinball":
        return Output(features, lambda x: Quantiles(x.unsqueeze(-1) + torch.tensor([-1.0, 0.0, 3.0]), LEVELS))
    return Output(features, same)


def element(name, error):
    """The loss of one channel, from its definition."""
    if name == "squared_error":
        return error**2
    if name == "absolute_error":
        return abs(error)
    if name == "huber":
        return error**2 / 2 if abs(error) <= 1 else abs(error) - 0.5
    if name == "pinball":
        errors = [error + 1, error, error - 3]
        return sum(level * e if e > 0 else (level - 1) * e for level, e in zip(LEVELS, errors, strict=True)) / 3
    return error**2 / 8 + math.log(2) + math.log(2 * math.pi) / 2


def batch():
    """Labels (3, 4, 2 + 1); the last channel is known in advance and must never be read."""
    values = torch.randn(3, 4, 3) * 2
    values[..., 2] = NAN
    return Padded(values, torch.tensor([4, 2, 3])), torch.randn(3, 4, 2)


@pytest.mark.parametrize("name", NAMES)
def test_the_formula_as_a_mean_over_channels(name, seed):
    labels, features = batch()
    found = loss_of(name)(said_by(name, features), labels)
    expected = []
    for row, length in enumerate([4, 2, 3]):
        errors = (labels.values[row, :length, :2] - features[row, :length]).flatten().tolist()
        expected.append(sum(element(name, error) for error in errors) / 2)
    assert found.rows.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert found.total.item() == pytest.approx(sum(expected), rel=1e-4)
    weighted = loss_of(name)(said_by(name, features), labels, torch.tensor([0.5, 0.0, 2.0]))
    assert weighted.total.item() == pytest.approx(0.5 * expected[0] + 2 * expected[2], rel=1e-4)
    assert weighted.rows.tolist() == found.rows.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_missing_labels_have_no_loss_no_gradient_and_do_not_count(name, seed):
    labels, features = batch()
    labels.values[0, 1, :2] = NAN
    labels.values[0, 2, 0] = NAN
    features.requires_grad_()
    found = loss_of(name)(said_by(name, features), labels)
    errors = (labels.values[0, :, :2] - features[0]).tolist()
    whole = [sum(element(name, error) for error in errors[step]) / 2 for step in (0, 3)]
    expected = sum(whole) + element(name, errors[2][1])  # the mean over what is there
    assert found.rows[0].item() == pytest.approx(expected, rel=1e-4, abs=1e-5)
    found.total.backward()
    assert bool(features.grad.isfinite().all())
    assert not features.grad[0, 1].any()
    assert not features.grad[0, 2, 0].any()
    assert bool(features.grad[0, 0].any())
    mask = counted(labels, SPEC)
    assert mask.tolist() == [[True, False, True, True], [True, True, False, False], [True, True, True, False]]


def test_every_real_symbol_counts():
    labels = Padded(torch.zeros(2, 3, dtype=torch.long), torch.tensor([3, 1]))
    assert counted(labels, SYMBOLS).tolist() == [[True, True, True], [True, False, False]]


def test_delta_of_huber(seed):
    labels = Padded(torch.tensor([[[5.0, 0.1, 0.0]]]), torch.tensor([1]))
    found = loss_of("huber", delta=2.0)(Output(torch.zeros(1, 1, 2), same), labels)
    assert found.total.item() == pytest.approx((2 * (5 - 1) + 0.01 / 2) / 2)


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_outputs_are_compared_in_single_precision(name):
    labels = Padded(torch.full((1, 1, 3), 1.001), torch.tensor([1]))
    assert loss_of(name)(said_by(name, torch.ones(1, 1, 2, dtype=torch.bfloat16)), labels).total.dtype == torch.float32


@pytest.mark.parametrize("name", NAMES)
def test_symbols_are_refused(name):
    plugin = registry.find("losses", name)
    for make in (plugin.build, plugin.measure):
        with pytest.raises(ConfigError, match=f"must be `cross_entropy` when the target is made of symbols, but is `{name}`"):
            make(plugin.Config(), SYMBOLS)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("squared_error", "pinball"),
        ("absolute_error", "negative_log_likelihood"),
        ("huber", "pinball"),
        ("negative_log_likelihood", "huber"),
        ("pinball", "negative_log_likelihood"),
    ],
)
def test_another_kind_of_output_is_refused(name, other, seed):
    labels, features = batch()
    with pytest.raises(ConfigError, match=f"`{name}` needs .*, but the head gives"):
        loss_of(name)(said_by(other, features), labels)


@pytest.mark.parametrize(("label", "shown"), [(-3.0, "-3"), (1.5, "1.5")])
def test_labels_of_a_head_of_counts_must_be_counts(label, shown):
    values = torch.tensor([[[2.0, 0.0, 0.0], [NAN, label, 0.0]]])
    output = Output(torch.ones(1, 2, 2), lambda x: NegativeBinomial(x, x))
    with pytest.raises(DataError, match=rf"must be counts .*, but one is {shown}\."):
        loss_of("negative_log_likelihood")(output, Padded(values, torch.tensor([2])))
    found = loss_of("negative_log_likelihood")(output, Padded(values, torch.tensor([1])))
    assert bool(found.rows.isfinite().all()), "padding is no label"
