"""Batches are small enough for many updates."""

import pytest

from antiphon.training.settings import TrainingConfig
from antiphon.training.wanted_budget import LEAST, MOST, UPDATES, wanted_budget


@pytest.mark.parametrize(("elements", "budget"), [(1_000_000, 4000), (10_000, LEAST), (10**9, MOST)])
def test_epochs_have_enough_updates(elements: int, budget: int) -> None:
    assert wanted_budget(TrainingConfig(max_epochs=10.0), elements) == budget
    assert budget in (LEAST, MOST) or elements * 10 / budget == UPDATES


def test_minutes_have_room_for_some_passes_and_steps_are_asked_for() -> None:
    assert wanted_budget(TrainingConfig(max_minutes=10.0), 1_000_000) == 2000
    assert wanted_budget(TrainingConfig(max_minutes=10.0, accumulation=4), 1_000_000) == 500
    assert wanted_budget(TrainingConfig(max_steps=10), 1_000_000) == MOST
