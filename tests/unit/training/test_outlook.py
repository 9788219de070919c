"""What fits into a budget, and what cannot come to anything."""

import pytest

from antiphon.training.outlook import OutlookWarner, outlook, outlook_notes
from antiphon.training.schedules import ConstantConfig
from antiphon.training.settings import TrainingConfig


def settings(warmup: int | str = 100, **budget: float) -> TrainingConfig:
    return TrainingConfig(schedule=ConstantConfig(warmup_steps=warmup), **budget)  # type: ignore[arg-type]


def test_the_budget_that_ends_first() -> None:
    found = outlook(settings(max_epochs=20.0, max_minutes=10.0), 100, 0.5, 0.25)
    assert (found.ends, found.updates, found.epochs) == ("max_minutes", 960, 9.6)
    assert found.seconds == pytest.approx(600), "a fifth of it validating"
    assert found.validating == pytest.approx(120)
    found = outlook(settings(max_epochs=2.0, max_minutes=10.0), 100, 0.5, 0.0)
    assert (found.ends, found.updates, found.seconds) == ("max_epochs", 200, 100.0)


def test_accumulated_batches_are_one_update() -> None:
    config = TrainingConfig(max_epochs=3.0, accumulation=4)
    assert outlook(config, 10, 1.0, 0.0).updates == 9


@pytest.mark.parametrize(("updates", "said"), [(46, "rises until the end"), (250, "at its peak only late"), (300, "")])
def test_a_warm_up_that_fills_the_minutes(updates: int, said: str) -> None:
    notes = outlook_notes(settings(max_minutes=2.0), updates)
    assert (said in " ".join(notes)) if said else not notes


def test_a_handful_of_updates() -> None:
    (note,) = outlook_notes(settings("auto", max_minutes=2.0), 46)
    assert note.startswith("Only about 46 updates fit into 2 minutes, too few to learn much.")
    assert not outlook_notes(settings("auto", max_minutes=2.0, max_steps=40), 46), "who asks for few steps knows it"


def test_training_says_it_once_as_soon_as_its_speed_is_known() -> None:
    said: list[str] = []
    warner = OutlookWarner(settings(1000, max_minutes=10.0), said.append)
    for step, seconds in ((20, 8.0), (60, 30.0), (130, 61.0), (200, 100.0)):
        warner.log({"kind": "train", "step": step, "seconds": seconds, "seconds_left": 600 - seconds})
    assert len(said) == 1
    assert said[0].startswith("About 1,279 updates fit into 10 minutes, but `training.schedule.warmup_steps` is 1,000: ")
