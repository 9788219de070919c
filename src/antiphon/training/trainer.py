"""The loop: updates, validations and checkpoints until a budget is used up, nothing gets better, or someone stops it.

What it must remember between two processes is `Progress`, a handful of numbers; with the weights, the optimizer and the seed they
determine everything that follows, so `--resume` continues exactly.
"""

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, final, runtime_checkable

import torch

from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch
from antiphon.errors import CheckpointError, TrainingError
from antiphon.metrics.interface import Score, better
from antiphon.metrics.scoring import named
from antiphon.metrics.shown import shown
from antiphon.store import checkpoint
from antiphon.training.average import MovingAverage, mean_weights
from antiphon.training.distributed import Ranks
from antiphon.training.loggers import Event, Logger
from antiphon.training.optimizers import load_optimizer, optimizer_tensors
from antiphon.training.progress import Progress, Window, progress_from
from antiphon.training.schedules import learning_rate_factor
from antiphon.training.settings import TrainingConfig
from antiphon.training.step import Update, UpdateResult


@runtime_checkable
class Batches(Protocol):
    """The training data: `batches(epoch, start)` yields this rank's part of each global batch, from number `start` on."""

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch | None]: ...

    def estimate(self) -> int:
        """About how many batches an epoch has."""


@runtime_checkable
class Evaluate(Protocol):
    """Scores the model on the validation data; `samples` are (source, reference, prediction) for a person to read."""

    def __call__(self, model: Seq2SeqModel) -> tuple[list[Score], list[tuple[str, str, str]]]: ...


@runtime_checkable
class PlannedEvaluate(Protocol):
    """Scores that know what they cost."""

    def due(self, epoch: int) -> bool:
        """Whether to score the model when so many epochs are done, where the recipe does not say how often."""

    def final(self, model: Seq2SeqModel, updates: int) -> tuple[list[Score], str] | None:
        """Thorough scores of the best model when training has ended, after so many updates, and what they are of."""


@final
class Trainer:
    """Trains one model. `header` is what every checkpoint says about itself; `save_features` writes what the task fitted."""

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
        loggers: Sequence[Logger] = (),
    ):
        self.model, self.update, self.batches, self.evaluate = model, update, batches, evaluate
        self.settings, self.ranks, self.folder, self.header = settings, ranks, folder, header
        self.save_features = save_features
        self.loggers = loggers
        self.progress = Progress()
        self.average = MovingAverage(model, settings.ema_decay) if settings.ema_decay else None
        self.scores: dict[str, float] = {}
        self.stop_signal = ""
        self.saved_step = -1
        self.began = 0.0

    def resume(self, saved: checkpoint.Checkpoint) -> None:
        """Continue from a checkpoint. Raises CheckpointError when it holds no training state."""
        if not (saved.training / "progress.json").is_file():
            raise CheckpointError(f"{saved.folder} cannot be resumed: it holds no training state. Use `training.init_from` instead.")
        state = checkpoint.read_json(saved.training / "progress.json")
        self.progress = progress_from(state)
        self.scores = dict(saved.header.get("scores", {}))
        tensors = checkpoint.read_tensors(saved.training / "optimizer.safetensors")
        load_optimizer(self.update.optimizer, self._names(), tensors)
        weights = saved.weights()
        if self.average is not None:
            self.average.tensors = {name: weights[name].to(self.ranks.device) for name in self.average.tensors}
            weights = {**weights, **checkpoint.read_tensors(saved.training / "weights.safetensors")}
        self.model.load_state_dict({name: weights[name] for name in self._untied()}, strict=False)
        if self.ranks.first:
            self._tidy()

    def _tidy(self) -> None:
        """Make the folder what it was right after the last checkpoint: a kill may have come before the links, or later checkpoints."""
        best = self._checkpoint_folder(self.progress.best_step)
        if best.is_dir():
            checkpoint.point(self.folder / "best", best)
        self._remove_stale()

    def _remove_stale(self) -> None:
        """Remove all checkpoints but those to keep and the last one."""
        names = {f"step-{step}" for step in (*self.progress.kept, self.progress.step)}
        for folder in (self.folder / "checkpoints").glob("step-*"):
            if folder.name not in names:
                checkpoint.remove(folder)

    def run(self) -> Progress:
        """Train until done; returns where it ended."""
        restore = self._catch_signals()
        try:
            self._loop()
        finally:
            restore()
            for logger in self.loggers:
                logger.close()
        return self.progress

    def _loop(self) -> None:
        self.began = time.monotonic() - self.progress.seconds
        if finished := self._budget_used() or self._impatient():  # perhaps it was stopped just before it could say so
            if not self.progress.kept:  # no step is allowed: the run is what it begins with
                self._validate()
            self._finish(f"{finished}; raise the budget to train on")
            return
        self.model.train()
        for batches, epoch, batch in self._updates():
            before = self.progress
            result = self.update(batches, before.step, self._learning_rate_factor())
            self._account(result, epoch, batch, batches)
            if self.average is not None and not result.skipped:
                self.average.update(self.model, self.progress.step)
            if self.progress.step % self.settings.log_every == 0 and self.progress.window.elements:
                self._log_window(self.progress.window)
            reason = self._budget_used()
            if reason or self._validation_due(before):
                self._validate()
                reason = reason or self._impatient()
            if self.settings.save_every and self.progress.step % self.settings.save_every == 0:
                self._save()
            if self.ranks.agree(bool(self.stop_signal)):
                self._save(passing=True)
                raise KeyboardInterrupt(self.stop_signal or "another process was stopped")
            if reason:
                self._finish(reason)
                return

    def _updates(self) -> Iterator[tuple[list[Batch | None], int, int]]:
        """Groups of batches for one update, with the position (epoch, batch) after them."""
        group: list[Batch | None] = []
        epoch, batch = self.progress.epoch, self.progress.batch
        while True:
            items = iter(self.batches.batches(epoch, batch))
            item = next(items, _END)
            if item is _END and batch == 0:
                raise TrainingError("There is nothing to train on: the training data has no usable record.")
            while item is not _END:
                group.append(item)
                item = next(items, _END)
                epoch, batch = (epoch, batch + 1) if item is not _END else (epoch + 1, 0)
                if len(group) == self.settings.accumulation:
                    yield group, epoch, batch
                    group = []

    def _account(self, result: UpdateResult, epoch: int, batch: int, batches: Sequence[Batch | None]) -> None:
        before = self.progress
        in_a_row = before.skipped_in_a_row + 1 if result.skipped else 0
        self.progress = replace(
            before,
            step=before.step + 1,
            epoch=epoch,
            batch=batch,
            seconds=self._seconds(),
            skipped=before.skipped + result.skipped,
            skipped_in_a_row=in_a_row,
            splits=before.splits + (result.pieces > 1),
            window=before.window.add(result, self.update.optimizer.param_groups[0]["lr"]),
        )
        if self.settings.log_records:
            records = [record for part in batches for record in self._all_records(part)]
            self._log({"kind": "records", "step": self.progress.step, "records": records})
        if result.pieces > 1:
            self._log({"kind": "split", "step": self.progress.step, "pieces": result.pieces})
        if result.skipped:
            event = {"kind": "skipped", "step": self.progress.step, "loss": result.loss, "gradient_norm": result.gradient_norm}
            self._log({**event, "records": list(result.culprits)})
            if in_a_row >= self.settings.nonfinite_patience:
                raise TrainingError(
                    f"Training diverged: loss or gradient was not finite {in_a_row} times in a row, last at step {self.progress.step}"
                    f" (loss {result.loss}, records {', '.join(map(str, result.culprits[:8]))}). The last good checkpoint is intact."
                    " Lower `training.optimizer.learning_rate`, raise `training.schedule.warmup_steps`, or look at these records."
                )

    def _all_records(self, batch: Batch | None) -> list[int]:
        """The records of a global batch, in its order: row i is on rank i modulo the number of ranks."""
        parts = self.ranks.gather(batch.records if batch else ())
        return [part[row] for row in range(max(map(len, parts))) for part in parts if row < len(part)]

    def _seconds(self) -> float:
        """Time spent training so far. It decides the learning rate when minutes are the budget, so then all ranks take rank 0's."""
        seconds = time.monotonic() - self.began
        if self.settings.max_minutes and self.ranks.world > 1:
            shared = torch.tensor(seconds, dtype=torch.float64, device=self.ranks.device)
            self.ranks.broadcast([shared])
            return float(shared)
        return seconds

    def _learning_rate_factor(self) -> float:
        return learning_rate_factor(self.settings.schedule, self.progress.step, self._share_done())

    def _share_done(self) -> float:
        settings, progress = self.settings, self.progress
        shares = [0.0]
        if settings.max_steps:
            shares.append(progress.step / settings.max_steps)
        if settings.max_epochs:
            shares.append((progress.epoch + progress.batch / max(self.batches.estimate(), 1)) / settings.max_epochs)
        if settings.max_minutes:
            shares.append(progress.seconds / 60 / settings.max_minutes)
        return min(max(shares), 1.0)

    def _budget_used(self) -> str:
        settings, progress = self.settings, self.progress
        if settings.max_steps is not None and progress.step >= settings.max_steps:
            return f"{settings.max_steps} steps done"
        if settings.max_epochs and progress.epoch + progress.batch / max(self.batches.estimate(), 1) >= settings.max_epochs:
            return f"{settings.max_epochs:g} epochs done"
        if settings.max_minutes and progress.seconds >= settings.max_minutes * 60:
            return f"{settings.max_minutes:g} minutes used"
        return ""

    def _validation_due(self, before: Progress) -> bool:
        if self.settings.validate_every:
            return self.progress.step % self.settings.validate_every == 0
        ended = range(before.epoch + 1, self.progress.epoch + 1)
        return any(not isinstance(self.evaluate, PlannedEvaluate) or self.evaluate.due(epoch) for epoch in ended)

    def _impatient(self) -> str:
        patience = self.settings.patience
        return f"{patience} validations without a better {self.settings.best}" if patience and self.progress.stale >= patience else ""

    def _validate(self) -> None:
        """Score the weights that will be used (the moving average, if there is one), remember the best, save."""
        scores, samples = self._scores()
        deciding, better = self._decide(scores)
        self.scores = {score.name: score.value for score in scores}
        seconds = self._seconds()
        self.progress = replace(
            self.progress,
            best_score=deciding if better else self.progress.best_score,
            best_step=self.progress.step if better else self.progress.best_step,
            stale=0 if better else self.progress.stale + 1,
            seconds=seconds,
            window=Window(since=seconds),
        )
        event = {"kind": "validation", "step": self.progress.step, "seconds": self.progress.seconds, "scores": self.scores, "best": better}
        self._log(event)
        for source, reference, prediction in samples[: self.settings.samples]:
            event = {"kind": "sample", "step": self.progress.step, "source": source, "reference": reference, "prediction": prediction}
            self._log(event)
        self._save(best=better)

    def _decide(self, scores: Sequence[Score]) -> tuple[float, bool]:
        """The deciding score, as rank 0 has it, and whether it is the best so far."""
        score = named(scores, self.settings.best)  # none when the model has diverged
        shared = torch.tensor(score.value if score else math.nan, dtype=torch.float64, device=self.ranks.device)
        self.ranks.broadcast([shared])
        value, best = float(shared), self.progress.best_score
        if score is None or not math.isfinite(value):  # nothing could ever be better than NaN
            return value, False
        return value, best is None or better(value, best, score)

    def _scores(self) -> tuple[list[Score], list[tuple[str, str, str]]]:
        if self.average is not None:
            self.average.swap(self.model)
        self.model.eval()
        try:
            return self.evaluate(self.model)
        finally:
            self.model.train()
            if self.average is not None:
                self.average.swap(self.model)

    def _finish(self, reason: str) -> None:
        if self.settings.average > 1 and len(self.progress.kept) > 1:
            self._try_average()
        self._score_best()
        best = self.progress.best_score
        found = f"Best {self.settings.best}: {best:.4f} at step {self.progress.best_step}" if best is not None else "No score was finite"
        message = f"Done: {reason}. {found}."
        self._log({"kind": "end", "step": self.progress.step, "message": message})

    def _try_average(self) -> None:
        """Replace the best checkpoint by the average of the last ones, if that scores better."""
        folders = [self._checkpoint_folder(step) for step in self.progress.kept[-self.settings.average :]]
        own = {name: tensor.clone() for name, tensor in self.model.own_weights().items()}
        self.model.load_state_dict(mean_weights([checkpoint.read(folder).weights() for folder in folders]), strict=False)
        self.model.eval()
        scores, _ = self.evaluate(self.model)
        deciding, better = self._decide(scores)
        values = {score.name: score.value for score in scores}
        message = f"average of the last {len(folders)} checkpoints: {self.settings.best} {deciding:.4f}{' <- best' if better else ''}"
        self._log({"kind": "average", "step": self.progress.step, "scores": values, "best": better, "message": message})
        if better and self.ranks.first:
            folder = self.folder / "checkpoints" / "average"
            averaged = list(self.progress.kept[-self.settings.average :])
            header = {**self.header, "step": self.progress.step, "scores": values, "averaged": averaged}
            checkpoint.write(folder, header, self.model.own_weights(), self._write_features)
            checkpoint.point(self.folder / "best", folder)
        if better:
            self.progress = replace(self.progress, best_score=deciding, best_step=self.progress.step)
        self.model.load_state_dict(own, strict=False)
        self.model.train()

    def _score_best(self) -> None:
        """Report more exact scores of the best checkpoint. They decide nothing: they are of other records, found by another search."""
        if not isinstance(self.evaluate, PlannedEvaluate) or not (self.folder / "best").exists():
            return
        own = {name: tensor.clone() for name, tensor in self.model.own_weights().items()}
        self.model.load_state_dict(checkpoint.read((self.folder / "best").resolve()).weights(), strict=False)
        self.model.eval()
        found = self.evaluate.final(self.model, self.progress.step)
        self.model.load_state_dict(own, strict=False)
        self.model.train()
        if found is not None:
            scores, what = found
            values = {score.name: score.value for score in scores}
            listed = "  ".join(f"{name} {shown(value)}" for name, value in values.items())
            message = f"Best checkpoint, {what}: {listed}"
            self._log({"kind": "final", "step": self.progress.step, "of": self.progress.best_step, "scores": values, "message": message})

    def _save(self, *, best: bool = False, passing: bool = False) -> None:
        """Save at this step, once. What a stop saves is passing: the next checkpoint replaces it, so that a resumed run keeps (and
        averages) the same ones as a run that was never stopped."""
        step = self.progress.step
        if step == self.saved_step:
            return
        if not passing:
            kept = (*self.progress.kept, step)
            kept = tuple(other for other in kept if other in kept[-self.settings.keep :] or other == self.progress.best_step)
            self.progress = replace(self.progress, kept=kept)
        if self.ranks.first:
            folder = self._checkpoint_folder(step)
            self._write_checkpoint(folder)
            checkpoint.point(self.folder / "last", folder)
            if best:
                checkpoint.point(self.folder / "best", folder)
            self._remove_stale()
        self.saved_step = step
        self.ranks.wait()

    def _checkpoint_folder(self, step: int) -> Path:
        return self.folder / "checkpoints" / f"step-{step}"

    def _write_checkpoint(self, folder: Path) -> None:
        header = {**self.header, "step": self.progress.step, "scores": self.scores}
        if self.average is not None:  # the averages become the model; `average.tensors` holds the trained weights meanwhile
            self.average.swap(self.model)
        try:
            checkpoint.write(folder, header, self.model.own_weights(), self._write_parts)
        finally:
            if self.average is not None:
                self.average.swap(self.model)

    def _write_parts(self, folder: Path) -> None:
        self._write_features(folder)
        training = folder / checkpoint.TRAINING
        training.mkdir()
        checkpoint.write_json(training / "progress.json", asdict(self.progress))
        checkpoint.write_tensors(training / "optimizer.safetensors", optimizer_tensors(self.update.optimizer, self._names()))
        if self.average is not None:
            checkpoint.write_tensors(training / "weights.safetensors", self.average.tensors)

    def _write_features(self, folder: Path) -> None:
        (folder / checkpoint.FEATURES).mkdir()
        self.save_features(folder / checkpoint.FEATURES)

    def _untied(self) -> list[str]:
        """Every tensor that a checkpoint holds under its first name; tied ones have several."""
        kept = self.model.own_weights().keys()  # without buffers that are computed anew
        return [name for name, _ in (*self.model.named_parameters(), *self.model.named_buffers()) if name in kept]

    def _names(self) -> dict[int, str]:
        return {id(parameter): name for name, parameter in self.model.named_parameters()}

    def _log_window(self, window: Window) -> None:
        done, seconds = self._share_done(), self.progress.seconds
        self._log(
            {
                "kind": "train",
                "step": self.progress.step,
                "epoch": round(self.progress.epoch + self.progress.batch / max(self.batches.estimate(), 1), 4),
                "seconds": round(seconds, 2),
                "loss": window.loss_sum / window.elements,
                "elements_per_second": window.elements / max(seconds - window.since, 1e-9),
                "gradient_norm": window.gradient_norm,
                "learning_rate": window.learning_rate,
                "seconds_left": seconds * (1 - done) / done if done else None,
            }
        )
        self.progress = replace(self.progress, window=Window(since=seconds))

    def _log(self, event: Event) -> None:
        for logger in self.loggers:
            logger.log(event)

    def _catch_signals(self) -> Callable[[], None]:
        """Let Ctrl-C and SIGTERM end training after the current update, with a checkpoint; a second Ctrl-C ends it at once.

        `torchrun` passes on the Ctrl-C that its processes have had from the terminal already; a second one means nothing there.
        """

        def note(number: int, frame: FrameType | None) -> None:
            if self.stop_signal and not torch.distributed.is_torchelastic_launched():
                raise KeyboardInterrupt(self.stop_signal)
            self.stop_signal = signal.Signals(number).name

        try:
            before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not in the main thread: the caller handles signals
            return lambda: None

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        return restore


_END: Any = object()
