"""The events of training, for everything that listens: the log, the terminal, trackers, callbacks.

docs/training.md lists the kinds of events.
"""

from collections.abc import Mapping, Sequence
from typing import final

from antiphon.contracts.tracker import Event, EventSink
from antiphon.metrics.shown import shown
from antiphon.training.budget import limits_of
from antiphon.training.compiling import Compiled
from antiphon.training.distributed import Ranks
from antiphon.training.progress import Progress
from antiphon.training.results import UpdateResult
from antiphon.training.selection import Verdict
from antiphon.training.settings import TrainingConfig


@final
class Events:
    """Sends events to the sinks, in order. Only rank 0 has any, but all ranks must report their events."""

    def __init__(self, sinks: Sequence[EventSink], settings: TrainingConfig, ranks: Ranks):
        self.sinks, self.settings, self.ranks = sinks, settings, ranks

    def log(self, event: Event) -> None:
        """Send one event."""
        for sink in self.sinks:
            sink.log(event)

    def close(self) -> None:
        """Close all sinks."""
        for sink in self.sinks:
            sink.close()

    def update(self, progress: Progress, result: UpdateResult, records: Sequence[Sequence[int]]) -> None:
        """Report what is unusual in an update, and the records that it used, if the settings ask for it. `records` are those of this rank
        in each batch."""
        step = progress.step
        if self.settings.log_records:
            self.log({"kind": "records", "step": step, "records": [record for part in records for record in self._all_records(part)]})
        if result.pieces > 1:
            self.log({"kind": "split", "step": step, "pieces": result.pieces})
        if result.overflowed:
            self.log({"kind": "overflow", "step": step, "scale": progress.scale.value})
        elif result.skipped:
            event = {"kind": "skipped", "step": step, "loss": result.loss, "gradient_norm": result.gradient_norm}
            self.log({**event, "records": list(result.culprits)})

    def _all_records(self, records: Sequence[int]) -> list[int]:
        """The records of a global batch, in order: row i is on rank i modulo the number of ranks."""
        parts = self.ranks.gather(records)
        return [part[row] for row in range(max(map(len, parts))) for part in parts if row < len(part)]

    def window(self, progress: Progress, *, epoch: float, share_done: float) -> None:
        """Report what happened since the last such line; `epoch` counts passes over the data, and `share_done` is the used share of the
        budget."""
        window, seconds = progress.window, progress.seconds
        self.log(
            {
                "kind": "train",
                "step": progress.step,
                "epoch": round(epoch, 4),
                "seconds": round(seconds, 2),
                "loss": window.loss_sum / window.elements,
                "elements_per_second": window.elements / max(seconds - window.since, 1e-9),
                "gradient_norm": window.gradient_norm,
                "learning_rate": window.learning_rate,
                "seconds_left": seconds * (1 - share_done) / share_done if share_done else None,
            }
        )

    def compiled(self, step: int, found: Compiled) -> None:
        """Report that layers were compiled, which usually happens in the first updates."""
        message = f"step {step:>6}  layers were compiled into {found.graphs} graphs in {found.seconds:.0f} s"
        self.log({"kind": "compiled", "step": step, "graphs": found.graphs, "seconds": round(found.seconds, 2), "message": message})

    def validation(self, progress: Progress, found: Verdict) -> None:
        """Report scores, and a few samples."""
        step, seconds = progress.step, progress.seconds
        self.log({"kind": "validation", "step": step, "seconds": seconds, "scores": found.scores, "best": found.better})
        for source, reference, prediction in found.samples[: self.settings.samples]:
            self.log({"kind": "sample", "step": step, "source": source, "reference": reference, "prediction": prediction})

    def average(self, progress: Progress, count: int, found: Verdict) -> None:
        """Report the scores of the mean of the last `count` checkpoints."""
        score = f"{self.settings.best} {shown(found.deciding)}{'   <- best' if found.better else ''}"
        message = f"average of the last {count} checkpoints: {score}"
        self.log({"kind": "average", "step": progress.step, "scores": found.scores, "best": found.better, "message": message})

    def final(self, progress: Progress, scores: Mapping[str, float], what: str) -> None:
        """Report more exact scores of the best checkpoint than those in training."""
        listed = "  ".join(f"{name} {shown(value)}" for name, value in scores.items())
        event = {"kind": "final", "step": progress.step, "of": progress.best_step, "scores": scores}
        self.log({**event, "message": f"Best checkpoint, {what}: {listed}"})

    def end(self, progress: Progress, reason: str) -> None:
        """Report that training is finished."""
        score, step = progress.best_score, progress.best_step
        found = f"Best {self.settings.best}: {shown(score)} at step {step}" if score is not None else "No score was finite"
        facts = {"reason": reason, "seconds": progress.seconds, "best_score": score, "best_step": step}
        event = {"kind": "end", "step": progress.step, "message": f"Done: {reason}. {found}.", **facts}
        self.log({**event, "limits": limits_of(self.settings)})
