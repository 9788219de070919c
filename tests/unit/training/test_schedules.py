"""Learning-rate schedules: their formulas, their warm-up, and where they end."""

import math
import random
from itertools import pairwise

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


def slow_start(step):
    """Minutes spent before an update: the first ones take long, and now and then one does."""
    return step + 30 * min(step, 5) + 7 * (step // 40)


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("clock", [float, slow_start], ids=["steps", "minutes"])
@pytest.mark.parametrize("budget", [2, 10, 500])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.8, 0.99])
def test_every_schedule_rises_to_its_peak_and_falls_from_there(kind, clock, budget, share):
    warmup = int(budget * share)
    settings = kind(warmup_steps=warmup)
    found = [learning_rate_factor(settings, step, clock(step) / clock(budget)) for step in range(budget + 1)]
    peak = max(warmup - 1, 0)
    assert found[peak] == pytest.approx(1.0), "`learning_rate` is the peak"
    assert max(found) == pytest.approx(1.0)
    assert all(one < other for one, other in pairwise(found[: peak + 1]))
    assert all(one >= other - 1e-12 for one, other in pairwise(found[peak:]))
    if kind in (CosineConfig, LinearConfig, WarmupStableDecayConfig):
        assert found[-1] == pytest.approx(0.0), "what decays has done so at the end of the budget"


def test_the_rate_never_rises_after_the_warm_up_however_the_clock_runs():
    clock = random.Random(1)
    for settings in (
        CosineConfig(warmup_steps=40, final=0.1),
        LinearConfig(warmup_steps=40),
        WarmupStableDecayConfig(warmup_steps=40, decay=0.9),
    ):
        shares = sorted(clock.random() ** 3 for _ in range(200))
        found = [learning_rate_factor(settings, step, share) for step, share in enumerate(shares)]
        assert all(one >= other - 1e-12 for one, other in pairwise(found[40:]))


def test_with_a_budget_of_steps_decay_takes_exactly_what_the_warm_up_leaves():
    line = LinearConfig(warmup_steps=400, final=0.2)
    assert [learning_rate_factor(line, step, step / 500) for step in (400, 425, 450, 500)] == pytest.approx([1.0, 0.8, 0.6, 0.2])
    decay = WarmupStableDecayConfig(warmup_steps=400, decay=0.5)
    assert [learning_rate_factor(decay, step, step / 500) for step in (400, 425, 500)] == pytest.approx([1.0, 0.75, 0.0])
    plateau = WarmupStableDecayConfig(warmup_steps=400, decay=0.1)
    assert [learning_rate_factor(plateau, step, step / 500) for step in (400, 450, 475)] == pytest.approx([1.0, 1.0, 0.5])


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("clock", [float, slow_start], ids=["steps", "minutes"])
@pytest.mark.parametrize("budget", [20, 500, 50_000])
def test_an_automatic_warm_up_is_a_tenth_of_the_budget_and_at_most_1000_steps(kind, clock, budget):
    settings = kind(warmup_steps="auto")
    steps = sorted({*range(0, budget + 1, max(1, budget // 2000)), budget})
    found = {step: learning_rate_factor(settings, step, clock(step) / clock(budget)) for step in steps}
    over = next(step for step in steps if clock(step) / clock(budget) >= 0.1 or step >= 1000)
    assert found[0] == pytest.approx(0.001), "the first update already moves the weights"
    assert all(value < 1 for step, value in found.items() if step < over - 1)
    if clock is float:  # else an update may take more than the warm-up
        assert found[over] == pytest.approx(1.0, abs=0.03), "then the rate is at its peak"
    later = [found[step] for step in steps if step >= over]
    assert all(one >= other - 1e-3 for one, other in pairwise(later))
    if kind in (CosineConfig, LinearConfig, WarmupStableDecayConfig):
        assert found[budget] == pytest.approx(0.0)
