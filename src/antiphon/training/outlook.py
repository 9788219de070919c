"""Estimates how many updates and epochs fit into a training's budget, how long it takes, and whether that is enough.

A warm-up that fills the budget, or a handful of updates, cannot come to anything, and nothing of what is shown meanwhile says so: the loss
falls anyway. So it is said before training (`antiphon inspect`), and by training itself as soon as its speed is known.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from antiphon.contracts.tracker import Event
from antiphon.training.settings import TrainingConfig

WARMUPS, FEW = 3, 200  # the least that a budget should be: so many warm-ups, so many updates
_MEASURED_SECONDS, _MEASURED_SHARE = 60.0, 0.1  # after which the speed of training is known


@final
@dataclass(frozen=True)
class Outlook:
    """What fits into a budget.

    updates    how many updates
    epochs     passes over the data
    seconds    how long it takes, with all validations
    validating seconds of these that validations take
    ends       the setting that ends it first
    """

    updates: int
    epochs: float
    seconds: float
    validating: float
    ends: str


def outlook(settings: TrainingConfig, batches_per_epoch: int, seconds_per_batch: float, validating: float) -> Outlook:
    """The estimate for updates of `accumulation` batches with the given seconds each, and `validating` seconds of validation for each
    second of updates. Patience may end training sooner."""
    updates_per_epoch = max(1, math.ceil(batches_per_epoch / settings.accumulation))
    seconds_per_update = max(seconds_per_batch * settings.accumulation, 1e-9)
    fitting = {
        "max_steps": settings.max_steps,
        "max_epochs": None if settings.max_epochs is None else math.ceil(settings.max_epochs * updates_per_epoch),
        "max_minutes": None if settings.max_minutes is None else int(settings.max_minutes * 60 / seconds_per_update / (1 + validating)),
    }
    ends = min((name for name in fitting if fitting[name] is not None), key=lambda name: fitting[name] or 0)
    updates = fitting[ends] or 0
    spent = updates * seconds_per_update
    return Outlook(updates, updates / updates_per_epoch, spent * (1 + validating), spent * validating, ends)


def outlook_notes(settings: TrainingConfig, updates: int) -> list[str]:
    """Warnings about settings that cannot work within a budget of minutes for so many updates, with the remedy; none if all is well."""
    if settings.max_minutes is None or updates >= (settings.max_steps or math.inf):
        return []
    warmup, minutes = settings.schedule.warmup_steps, f"{settings.max_minutes:g} minutes"
    if warmup != "auto" and updates < WARMUPS * warmup:
        return [
            f"About {updates:,} updates fit into {minutes}, but `training.schedule.warmup_steps` is {warmup:,}: the learning rate"
            f" {'rises until the end' if updates <= warmup else 'is at its peak only late'}. Set it to `auto`, a tenth of the budget."
        ]
    if updates < FEW:
        return [
            f"Only about {updates:,} updates fit into {minutes}, too few to learn much. Raise `training.max_minutes`, lower"
            " `training.batching.target_tokens`, or take a smaller `model.preset`."
        ]
    return []


@final
class OutlookWarner:
    """Listens to the events of a training, and warns via `say`, once the speed is known, about settings that cannot work."""

    def __init__(self, settings: TrainingConfig, say: Callable[[str], None]):
        self.settings, self.say = settings, say
        self._told = settings.max_minutes is None

    def log(self, event: Event) -> None:
        """Read the speed from a line of the log."""
        seconds, left = event.get("seconds"), event.get("seconds_left")
        if self._told or event["kind"] != "train" or not seconds or left is None:
            return
        if seconds >= _MEASURED_SECONDS or seconds >= _MEASURED_SHARE * (seconds + left):
            self._told = True
            for note in outlook_notes(self.settings, round(event["step"] * (seconds + left) / seconds)):
                self.say(note)

    def close(self) -> None:
        """Nothing to do."""
