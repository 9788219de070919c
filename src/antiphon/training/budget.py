"""How long training goes on: steps, epochs or minutes, and patience. All answers follow from the progress alone."""

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
    """The settings that end a run, so that it is known later whether there is more to do."""
    return {name: getattr(settings, name) for name in LIMITS}


@final
class Budget:
    """`estimate` says about how many batches an epoch has, `due` whether a finished one is followed by a validation."""

    def __init__(self, settings: TrainingConfig, estimate: Callable[[], int], due: Callable[[int], bool], ranks: Ranks):
        self.settings, self.estimate, self.due, self.ranks = settings, estimate, due, ranks
        self._began = time.monotonic()

    def start(self, progress: Progress) -> None:
        """Let the clock go on from where it stood."""
        self._began = time.monotonic() - progress.seconds

    def seconds(self) -> float:
        """Time spent training so far. It decides the learning rate when minutes are the budget, so then all ranks take rank 0's."""
        seconds = time.monotonic() - self._began
        if self.settings.max_minutes and self.ranks.world > 1:
            shared = torch.tensor(seconds, dtype=torch.float64)
            self.ranks.broadcast([shared])
            return float(shared)
        return seconds

    def epochs(self, progress: Progress) -> float:
        """Passes over the data: finished ones are counted; of the one that has begun, the share is estimated, and always below 1."""
        return progress.epoch + min(progress.batch / max(self.estimate(), 1), _ALMOST_ONE)

    def share_done(self, progress: Progress) -> float:
        """How much of the budget is used up, from 0 to 1; of several, the one that ends first."""
        settings, shares = self.settings, [0.0]
        if settings.max_steps:
            shares.append(progress.step / settings.max_steps)
        if settings.max_epochs:
            shares.append(self.epochs(progress) / settings.max_epochs)
        if settings.max_minutes:
            shares.append(progress.seconds / 60 / settings.max_minutes)
        return min(max(shares), 1.0)

    def used(self, progress: Progress) -> str:
        """Which budget is used up, in words; nothing when training goes on."""
        settings = self.settings
        if settings.max_steps is not None and progress.step >= settings.max_steps:
            return f"{settings.max_steps} steps done"
        if settings.max_epochs and self.epochs(progress) >= settings.max_epochs:
            return f"{settings.max_epochs:g} epochs done"
        if settings.max_minutes and progress.seconds >= settings.max_minutes * 60:
            return f"{settings.max_minutes:g} minutes used"
        return ""

    def ended(self, progress: Progress) -> str:
        """Why training ends here: the budget is used up, or nothing gets better; nothing when it goes on."""
        patience = self.settings.patience
        impatient = f"{patience} validations without a better {self.settings.best}" if patience and progress.stale >= patience else ""
        return self.used(progress) or impatient

    def validation_due(self, before: Progress, after: Progress) -> bool:
        """Whether an update is followed by a validation: where the recipe says so, and at the end."""
        every = self.settings.validate_every
        if every == "auto":
            here = int(self.share_done(before) * VALIDATIONS) != int(self.share_done(after) * VALIDATIONS)
        else:
            here = after.step % every == 0 if every else any(map(self.due, range(before.epoch + 1, after.epoch + 1)))
        return here or bool(self.used(after))
