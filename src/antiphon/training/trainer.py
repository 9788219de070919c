"""The training loop: updates, each followed by whatever is due, until the budget is used up, scores no longer improve, or a stop is
requested.

What it must remember between two processes is `Progress`, a handful of numbers; with the weights, the optimizer and the seed they
determine everything that follows, so `--resume` continues exactly.

Unusual here: a GPU is not waited for after each update. Where training stands in the data is known at once; what the updates did is read
for several together, before it is needed (`_read`), and then told in their order, as if each had been waited for.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn, final

from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch
from antiphon.contracts.tracker import EventSink
from antiphon.store import checkpoint
from antiphon.training.average import MovingAverage
from antiphon.training.budget import Budget
from antiphon.training.checkpoints import Checkpoints
from antiphon.training.distributed import Ranks, watched
from antiphon.training.events import Events
from antiphon.training.grouping import Batches, groups
from antiphon.training.hanging import within
from antiphon.training.loss_scale import UNSCALED
from antiphon.training.precision import computing, has_fp16
from antiphon.training.progress import Progress, Window, check_not_diverged
from antiphon.training.results import Pending, UpdateResult, read
from antiphon.training.schedules import learning_rate_factor
from antiphon.training.selection import Evaluate, Selection
from antiphon.training.settings import TrainingConfig
from antiphon.training.shards import gathered
from antiphon.training.state import TrainingState
from antiphon.training.step import Update
from antiphon.training.stopping import HEARD, Stopped, StopRequest


def _nothing(*_: object) -> None:
    """The default for what to report or do at the end."""


@dataclass(frozen=True)
class _Unread:
    """An update whose result has not been read: its progress, as far as known, its learning rate, the seconds spent compiling layers, and
    this rank's records."""

    pending: Pending
    position: Progress
    learning_rate: float
    compiling: float
    records: tuple[tuple[int, ...], ...]


@final
class Trainer:
    """Trains one model. `header` is written into every checkpoint; `save_features` writes what the task has fitted.

    `conclude` is called by the first rank when all has been learned, before the end is logged, and `saved` whenever the run's folder has a
    new checkpoint; `say` hears what signals will do.
    """

    def __init__(
        self,
        model: Seq2SeqModel,
        update: Update,
        batches: Batches,
        evaluate: Evaluate,
        settings: TrainingConfig,
        ranks: Ranks,
        *,
        folder: Path,
        header: Mapping[str, Any],
        save_features: Callable[[Path], None],
        loggers: Sequence[EventSink] = (),
        conclude: Callable[[], None] = _nothing,
        saved: Callable[[], None] = _nothing,
        say: Callable[[str], None] = _nothing,
    ):
        self.model, self.update, self.batches = model, update, batches
        self.settings, self.ranks, self.conclude, self.saved = settings, ranks, conclude, saved
        self.progress, self.compilation = Progress(), update.compilation
        self.average = MovingAverage(model, settings.ema_decay) if settings.ema_decay else None
        self.state = TrainingState(model, update.optimizer, self.average, save_features, ranks)
        self.checkpoints = Checkpoints(folder, header, self.state, settings.keep)
        self.stop = StopRequest(say)
        self.selection = Selection(evaluate, settings.best, ranks, self.stop, partial(gathered, update.learner))
        self.budget = Budget(settings, batches.estimate, self.selection.due, ranks)
        self.events = Events(loggers, settings, ranks)
        self.scaled = settings.precision == "fp16" and has_fp16(ranks.device)
        self.at_once = self.scaled or ranks.device.type == "cpu"  # the scale follows from results; nothing runs behind a CPU
        self.unread: list[_Unread] = []
        self.saved_step, self.saved_at = -1, time.monotonic()

    def resume(self, saved: checkpoint.Checkpoint) -> None:
        """Continue from a checkpoint. Raises CheckpointError when it holds no training state."""
        self.progress = self.state.load(saved)
        self.saved_step = -1 if self.progress.validation_due else self.progress.step
        if self.ranks.first:
            self.checkpoints.tidy(self.progress)

    def run(self) -> Progress:
        """Train until done; returns where it ended. Raises Stopped when a signal asks for it."""
        try:
            computing_so = computing(self.settings.precision, self.ranks.device, deterministic=self.settings.deterministic)
            with self.stop.heard(), watched(self.ranks, self.settings.distributed), computing_so:
                self._loop()
        finally:
            self.events.close()
        return self.progress

    def _loop(self) -> None:
        self.budget.start(self.progress)
        if self.compilation:
            self.compilation.seconds()  # those of what was tried before are no part of the first update's
        self.saved_at = time.monotonic()
        self.model.train()
        ended = bool(self.budget.ended(self.progress))
        if ended and not self.progress.kept:  # no step is allowed: the run is what it begins with
            self.progress = replace(self.progress, validation_due=True)
        if (ended or self.progress.validation_due) and self._finish_step():  # it was stopped just before
            return
        for batches, epoch, batch in groups(self.batches, self.settings.accumulation, self.progress.epoch, self.progress.batch):
            self._update(batches, epoch, batch)
            if self._finish_step():
                return

    def _position(self) -> Progress:
        """The position in the data and in the budget; the results of updates are included as far as they have been read."""
        return self.unread[-1].position if self.unread else self.progress

    def _update(self, batches: Sequence[Batch | None], epoch: int, batch: int) -> None:
        """One update, which leads to a position (epoch, batch) in the data."""
        before = self._position()
        factor = learning_rate_factor(self.settings.schedule, before.step, self.budget.share_done(before))
        with within("update"):
            pending = self.update.begin(batches, before.step, factor, before.scale if self.scaled else UNSCALED)
        if self.average is not None:
            self.average.update(self.model, before.step + 1, pending.skipped)
        after = before.moved(epoch=epoch, batch=batch, seconds=self.budget.seconds())
        after = replace(after, validation_due=self.budget.validation_due(before, after))
        rate = self.update.optimizer.param_groups[0]["lr"]
        compiling = self.compilation.seconds() if self.compilation else 0.0
        self.unread.append(_Unread(pending, after, rate, compiling, tuple(one.records if one else () for one in batches)))
        if self.at_once or after.step % self.settings.log_every == 0:
            self._read()

    def _read(self) -> None:
        """Wait for the device, and report the results of updates that have not been read."""
        unread, self.unread = self.unread, []
        with within("update"):
            results = read([one.pending for one in unread], self.ranks)
        for one, result in zip(unread, results, strict=True):
            after = self._told(one, result)
            if after.step % self.settings.log_every == 0 and after.window.elements:
                if self.compilation and (found := self.compilation.news()):
                    self.events.compiled(after.step, found)
                self.events.window(after, epoch=self.budget.epochs(after), share_done=self.budget.share_done(after))
                self.progress = replace(self.progress, window=Window(since=after.seconds))

    def _told(self, one: _Unread, result: UpdateResult) -> Progress:
        """The progress after an update, whose unusual results have been reported."""
        at = one.position
        after = self.progress.after(
            result, epoch=at.epoch, batch=at.batch, seconds=at.seconds, learning_rate=one.learning_rate, compiling=one.compiling
        )
        self.progress = replace(after, validation_due=at.validation_due)
        self.events.update(after, result, one.records)
        check_not_diverged(after, result, self.settings.nonfinite_patience)
        return after

    def _finish_step(self) -> bool:
        """Do whatever is due after an update: validation, checkpoint, end. Returns whether it was the end; raises Stopped if requested."""
        if self._position().validation_due:
            self._validate()
        here = self._position()
        reason = self.budget.ended(here)
        if self.settings.save_every and here.step % self.settings.save_every == 0:
            self._save()
        self._stop_or_save()
        if reason:
            self._end(reason)
        return bool(reason)

    def _stop_or_save(self) -> None:
        """Stop if any process was asked to; save if the first process finds that it is time to. All processes do the same."""
        every = self.settings.save_minutes
        late = self.ranks.first and every is not None and time.monotonic() - self.saved_at >= every * 60
        *stops, late = self.ranks.any_of([*(self.stop.signal == number for number in HEARD), late])
        if any(stops):
            self._stop(next(number for number, asked in zip(HEARD, stops, strict=True) if asked))
        if late:
            self._save(passing=True)

    def _stop(self, number: int) -> NoReturn:
        self.stop.obeyed()
        self._save(passing=True)
        raise Stopped(number)

    def _validate(self) -> None:
        """Score the weights that would be used, remember the best, save. A stop meanwhile saves the step with the validation still due."""
        self._read()
        before = self.progress
        try:
            if self.settings.validate_every == "auto":
                before = replace(before, first_validation=before.first_validation or before.step)
                self.selection.planned(before.first_validation)
            found = self.selection.of_state(self.state, (before.best_score, before.best_loss))
        except Stopped as stopped:
            if self.ranks.world > 1:  # the others are still at it
                raise
            self._stop(stopped.signal)
        seconds = self.budget.seconds()
        self.progress = replace(
            before,
            best_score=found.deciding if found.better else before.best_score,
            best_loss=found.loss if found.better else before.best_loss,
            best_step=before.step if found.better else before.best_step,
            stale=0 if found.better else before.stale + 1,
            seconds=seconds,
            window=Window(since=seconds),
            validation_due=False,
        )
        self.events.validation(self.progress, found)
        self._save(found.scores, best=found.better)

    def _save(self, scores: Mapping[str, float] = MappingProxyType({}), *, best: bool = False, passing: bool = False) -> None:
        """Save at this step, once. Checkpoints saved by a stop or the clock are temporary."""
        self._read()
        if self.progress.step == self.saved_step:
            return
        if not passing:
            self.progress = self.checkpoints.with_one_more(self.progress)
        if self.ranks.first or self.state.sharded:
            self.checkpoints.write(self.progress, scores, best=best)
        if self.ranks.first:
            self.saved()
        self.saved_step, self.saved_at = self.progress.step, time.monotonic()
        self.ranks.wait()

    def _end(self, reason: str) -> None:
        """Do what is left at the end of training. A stop meanwhile needs no checkpoint: a resumed run does all of this again."""
        progress = self.progress
        if self.settings.average > 1 and len(progress.kept) > 1:
            progress = self._try_average(progress.kept[-self.settings.average :])
        self._score_best(progress)
        if self.ranks.first:
            with self.stop.repeatable("end", alone=True):
                self.conclude()
        self.events.end(progress, reason)

    def _try_average(self, steps: Sequence[int]) -> Progress:
        """Make the average of some checkpoints the best one, if it scores better; returns the updated progress."""
        with self.state.holding(self.checkpoints.mean(steps)) as model:
            found = self.selection.of(model, (self.progress.best_score, self.progress.best_loss), "average")
            self.events.average(self.progress, len(steps), found)
            if found.better and (self.ranks.first or self.state.sharded):
                self.checkpoints.write_average(self.progress.step, found.scores, steps)
        if not found.better:
            return self.progress
        return replace(self.progress, best_score=found.deciding, best_loss=found.loss, best_step=self.progress.step)

    def _score_best(self, progress: Progress) -> None:
        """Report more exact scores of the best checkpoint. They decide nothing, since they are of other records and another search."""
        best = self.checkpoints.folder / "best"
        if not best.exists():
            return
        with self.state.holding(checkpoint.read(best.resolve()).weights()) as model:
            found = self.selection.final(model, progress.step)
        if found is not None:
            self.events.final(progress, *found)
