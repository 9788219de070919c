"""The progress of training: the numbers that, with the weights, the optimizer and the seed, determine everything that follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from antiphon.errors import DivergedError
from antiphon.training.loss_scale import LossScale
from antiphon.training.results import UpdateResult


@dataclass(frozen=True)
class Window:
    """Statistics since the last line of the log. They are part of the progress, so that a resumed run writes the same lines."""

    loss_sum: float = 0.0
    elements: int = 0
    gradient_norm: float = 0.0
    learning_rate: float = 0.0
    since: float = 0.0

    def add(self, result: UpdateResult, learning_rate: float, compiling: float = 0.0) -> "Window":
        """The statistics with one more update; a skipped one does not count, nor does the time for compiling layers."""
        later = replace(self, since=self.since + compiling)
        if result.skipped:
            return later
        return replace(
            later,
            loss_sum=self.loss_sum + result.loss * result.elements,
            elements=self.elements + result.elements,
            gradient_norm=result.gradient_norm,
            learning_rate=learning_rate,
        )


@dataclass(frozen=True)
class Progress:
    """Everything needed for resuming, besides tensors. `seconds` is the training time, over all consecutive runs."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    best_score: float | None = None
    best_loss: float | None = None
    """The validation loss of the best checkpoint, which decides between equal scores, and while all scores are worthless."""
    best_step: int = 0
    stale: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0
    splits: int = 0
    kept: tuple[int, ...] = ()
    window: Window = Window()
    first_validation: int = 0
    """The step of the first validation: as many updates are between two, where the recipe leaves it to the budget (`auto`)."""
    scale: LossScale = field(default_factory=LossScale)
    """Of the loss, where gradients pass through half precision."""
    validation_due: bool = False
    """Whether the validation of this step is still to come: it was stopped, and the step was saved without it."""

    def moved(self, *, epoch: int, batch: int, seconds: float) -> "Progress":
        """The progress after one more update, as far as it is known before its result: it leads to a position (epoch, batch) in the
        data."""
        return replace(self, step=self.step + 1, epoch=epoch, batch=batch, seconds=seconds)

    def after(
        self, result: UpdateResult, *, epoch: int, batch: int, seconds: float, learning_rate: float, compiling: float = 0.0
    ) -> "Progress":
        """The progress after one more update, which leads to a position (epoch, batch) in the data."""
        return replace(
            self.moved(epoch=epoch, batch=batch, seconds=seconds),
            skipped=self.skipped + (result.skipped and not result.overflowed),
            skipped_in_a_row=self.skipped_in_a_row + (not result.overflowed) if result.skipped else 0,
            scale=self.scale.after(overflowed=result.overflowed),
            splits=self.splits + (result.pieces > 1),
            window=self.window.add(result, learning_rate, compiling),
        )


def progress_from(values: Mapping[str, Any]) -> Progress:
    """Progress from the JSON of a checkpoint; values missing in an older one get their defaults."""
    parts = {"kept": tuple(values["kept"]), "window": Window(**values.get("window", {})), "scale": LossScale(**values.get("scale", {}))}
    return Progress(**{**values, **parts})


def check_not_diverged(progress: Progress, result: UpdateResult, patience: int) -> None:
    """Raise DivergedError when the last `patience` updates were skipped, naming the records of the last one."""
    if progress.skipped_in_a_row < patience:
        return
    raise DivergedError(
        f"Training diverged: loss or gradient was not finite {progress.skipped_in_a_row} times in a row, last at step {progress.step}"
        f" (loss {result.loss}, records {', '.join(map(str, result.culprits[:8]))}). The last good checkpoint is intact."
        " Lower `training.optimizer.learning_rate`, raise `training.schedule.warmup_steps`, or look at these records."
    )
