"""The checkpoints of a run: their names, which ones are kept, the links `best` and `last`, and the mean of the last ones."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

from torch import Tensor

from antiphon.store import checkpoint
from antiphon.training.average import mean_weights
from antiphon.training.progress import Progress
from antiphon.training.state import TrainingState

AVERAGE = "average"


@final
class Checkpoints:
    """The checkpoints of the run in `folder`. `header` is written into each, and `keep` is the number that stay besides the best.

    A passing checkpoint is there for resuming only: the next one replaces it, so that a run that was stopped keeps (and averages) the
    same ones as a run that never was.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any], state: TrainingState, keep: int):
        self.folder, self.header, self.state, self.keep = folder, header, state, keep

    def with_one_more(self, progress: Progress) -> Progress:
        """The progress with the checkpoint of this step added, and those before it that are still to be kept."""
        kept = (*progress.kept, progress.step)
        return replace(progress, kept=tuple(step for step in kept if step in kept[-self.keep :] or step == progress.best_step))

    def write(self, progress: Progress, scores: Mapping[str, float], *, best: bool) -> None:
        """Save this step, with the scores of its validation, if there was one.

        Where weights are sharded, all processes call it, and the first one writes what is not in shards.
        """
        folder = self._of(progress.step)

        def parts(place: Path) -> None:
            self.state.write_features(place)
            self.state.write_training(place, progress)

        with self.state.usable():
            weights = self.state.whole_weights()
            if not self.state.ranks.first:
                self.state.write_shards(None)
                return
            checkpoint.write(folder, {**self.header, "step": progress.step, "scores": dict(scores)}, weights, parts)
        checkpoint.point(self.folder / "last", folder)
        if best:
            checkpoint.point(self.folder / "best", folder)
        self._remove_others(progress)

    def tidy(self, progress: Progress) -> None:
        """Restore the state of the folder right after a checkpoint: a kill may have come before the links, or later checkpoints may
        exist."""
        best = self._of(progress.best_step)
        if best.is_dir():
            checkpoint.point(self.folder / "best", best)
            checkpoint.remove(self.folder / "checkpoints" / AVERAGE)  # it is made again at the end
        self._remove_others(progress)

    def mean(self, steps: Sequence[int]) -> dict[str, Tensor]:
        """The mean of the weights of several checkpoints."""
        return mean_weights([checkpoint.read(self._of(step)).weights() for step in steps])

    def write_average(self, step: int, scores: Mapping[str, float], averaged: Sequence[int]) -> None:
        """Save the model, which holds the mean of the checkpoints of the steps in `averaged`, as the best."""
        folder = self.folder / "checkpoints" / AVERAGE
        header = {**self.header, "step": step, "scores": dict(scores), "averaged": list(averaged)}
        weights = self.state.whole_weights()
        if self.state.ranks.first:
            checkpoint.write(folder, header, weights, self.state.write_features)
            checkpoint.point(self.folder / "best", folder)

    def _of(self, step: int) -> Path:
        return self.folder / "checkpoints" / f"step-{step}"

    def _remove_others(self, progress: Progress) -> None:
        """Remove all checkpoints but those to keep and the last one."""
        names = {f"step-{step}" for step in (*progress.kept, progress.step)}
        for folder in (self.folder / "checkpoints").glob("step-*"):
            if folder.name not in names:
                checkpoint.remove(folder)
