"""How long training goes on: steps, epochs or minutes, and patience. All decisions depend only on the progress."""

import time
from collections.abc import Callable
from typing import final

import torch

from antiphon.training.distributed import Ranks
from antiphon.training.progress import Progress
from antiphon.training.settings import TrainingConfig

_ALMOST_ONE = 1 - 1e-9
VALIDATIONS = 10  # over the budget, with `validate_every: auto`
LIMITS = ("max_steps", "max_epochs", "max_minutes", "patience")


def limits_of(settings: TrainingConfig) -> dict[str, int | float | None]:
    """The settings that end a run, which are stored so that it is known later whether training can go on."""
    return {name: getattr(settings, name) for name in LIMITS}


@final
class Budget:
    """`estimate` gives the approximate number of batches in an epoch, `due` whether a validation follows a finished epoch."""

    def __init__(self, settings: TrainingConfig, estimate: Callable[[], int], due: Callable[[int], bool], ranks: Ranks):
        self.settings, self.estimate, self.due, self.ranks = settings, estimate, due, ranks
        self._began = time.monotonic()

    def start(self, progress: Progress) -> None:
        """Continue the clock from the time already used."""
        self._began = time.monotonic() - progress.seconds

    def seconds(self) -> float:
        """The training time so far. It determines the learning rate when the budget is in minutes, so then all ranks use rank 0's."""
        seconds = time.monotonic() - self._began
        if self.settings.max_minutes and self.ranks.world > 1:
            shared = torch.tensor(seconds, dtype=torch.float64)
            self.ranks.broadcast([shared])
            return float(shared)
        return seconds

    def epochs(self, progress: Progress) -> float:
        """The number of passes over the data: finished ones are counted; the share of the current one is estimated, and always below 1."""
        return progress.epoch + min(progress.batch / max(self.estimate(), 1), _ALMOST_ONE)

    def share_done(self, progress: Progress) -> float:
        """The share of the budget that is used up, from 0 to 1; of several budgets, the one that ends first."""
        settings, shares = self.settings, [0.0]
        if settings.max_steps:
            shares.append(progress.step / settings.max_steps)
        if settings.max_epochs:
            shares.append(self.epochs(progress) / settings.max_epochs)
        if settings.max_minutes:
            shares.append(progress.seconds / 60 / settings.max_minutes)
        return min(max(shares), 1.0)

    def used(self, progress: Progress) -> str:
        """Which budget is used up, in words; empty while training goes on."""
        settings = self.settings
        if settings.max_steps is not None and progress.step >= settings.max_steps:
            return f"{settings.max_steps} steps done"
        if settings.max_epochs and self.epochs(progress) >= settings.max_epochs:
            return f"{settings.max_epochs:g} epochs done"
        if settings.max_minutes and progress.seconds >= settings.max_minutes * 60:
            return f"{settings.max_minutes:g} minutes used"
        return ""

    def ended(self, progress: Progress) -> str:
        """Why training ends here: the budget is used up, or scores no longer improve; empty while it goes on."""
        patience = self.settings.patience
        impatient = f"{patience} validations without a better {self.settings.best}" if patience and progress.stale >= patience else ""
        return self.used(progress) or impatient

    def validation_due(self, before: Progress, after: Progress) -> bool:
        """Whether a validation follows this update: where the recipe asks for it, and at the end."""
        every = self.settings.validate_every
        if every == "auto":
            here = int(self.share_done(before) * VALIDATIONS) != int(self.share_done(after) * VALIDATIONS)
        else:
            here = after.step % every == 0 if every else any(map(self.due, range(before.epoch + 1, after.epoch + 1)))
        return here or bool(self.used(after))
