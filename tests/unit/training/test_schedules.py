"""Learning-rate schedules: their formulas, their warm-up, and where they end."""

import math

import pytest

from antiphon.training.schedules import (
    ConstantConfig,
    CosineConfig,
    InverseSquareRootConfig,
    LinearConfig,
    WarmupStableDecayConfig,
    learning_rate_factor,
)

EVERY = [ConstantConfig, InverseSquareRootConfig, CosineConfig, LinearConfig, WarmupStableDecayConfig]


@pytest.mark.parametrize("kind", EVERY)
def test_every_schedule_warms_up_in_a_line_and_stays_between_0_and_1(kind):
    settings = kind(warmup_steps=10)
    rising = [learning_rate_factor(settings, step, 0.0) for step in range(10)]
    assert rising == pytest.approx([(step + 1) / 10 for step in range(10)]), "the first update already moves the weights"
    for step in range(0, 2000, 7):
        assert 0 <= learning_rate_factor(settings, step, step / 2000) <= 1


@pytest.mark.parametrize("kind", EVERY)
def test_no_warm_up_begins_at_the_peak(kind):
    assert learning_rate_factor(kind(warmup_steps=0), 0, 0.0) == pytest.approx(1.0)


def test_the_formulas():
    assert learning_rate_factor(ConstantConfig(), 10**6, 1.0) == 1.0
    root = InverseSquareRootConfig(warmup_steps=100)
    assert learning_rate_factor(root, 399, 0.5) == pytest.approx(0.5)
    assert learning_rate_factor(root, 99, 0.5) == pytest.approx(1.0)
    cosine = CosineConfig(warmup_steps=0, final=0.2)
    assert learning_rate_factor(cosine, 5, 0.25) == pytest.approx(0.2 + 0.8 * 0.5 * (1 + math.cos(math.pi / 4)))
    line = LinearConfig(warmup_steps=0, final=0.2)
    assert learning_rate_factor(line, 5, 0.25) == pytest.approx(0.8)
    decay = WarmupStableDecayConfig(warmup_steps=0, decay=0.2)
    assert [learning_rate_factor(decay, 5, share) for share in (0.1, 0.79, 0.9)] == pytest.approx([1.0, 1.0, 0.5])


@pytest.mark.parametrize(("settings", "end"), [(CosineConfig(final=0.1), 0.1), (LinearConfig(), 0.0), (WarmupStableDecayConfig(), 0.0)])
def test_what_decays_ends_where_the_budget_ends(settings, end):
    assert learning_rate_factor(settings, 10**5, 1.0) == pytest.approx(end)
    assert learning_rate_factor(settings, 10**5, 1.2) == pytest.approx(end), "also when the last update overshoots a budget of minutes"
