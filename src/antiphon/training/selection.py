"""Which weights are best: those that will be used are scored on the validation data, and one score decides."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import torch

from antiphon.contracts.model import Seq2SeqModel
from antiphon.metrics.interface import Score, better
from antiphon.metrics.scoring import named
from antiphon.training.distributed import Ranks
from antiphon.training.state import TrainingState
from antiphon.training.stopping import StopRequest

Samples = Sequence[tuple[str, str, str]]
"""(source, reference, prediction) for a person to read."""


@runtime_checkable
class Evaluate(Protocol):
    """Scores the model on the validation data."""

    def __call__(self, model: Seq2SeqModel) -> tuple[list[Score], list[tuple[str, str, str]]]: ...


@runtime_checkable
class PlannedEvaluate(Protocol):
    """Scores that know what they cost."""

    def due(self, epoch: int) -> bool:
        """Whether to score the model when so many epochs are done, where the recipe does not say how often."""

    def final(self, model: Seq2SeqModel, updates: int) -> tuple[list[Score], str] | None:
        """Thorough scores of the best model when training has ended, after so many updates, and what they are of."""


@dataclass(frozen=True)
class Verdict:
    """Scores by name, the one that decides as rank 0 has it (NaN where there is none), and whether it is the best so far."""

    scores: dict[str, float]
    samples: Samples
    deciding: float
    better: bool


@final
class Selection:
    """Scores a model, in evaluation mode, and compares with the `best` score so far. A process that is alone may be stopped meanwhile.

    Scores are made in the context that `whole` gives: weights that are sharded must be gathered.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        deciding: str,
        ranks: Ranks,
        stop: StopRequest,
        whole: Callable[[], AbstractContextManager[None]] = nullcontext,
    ):
        self.evaluate, self.deciding, self.ranks, self.stop, self.whole = evaluate, deciding, ranks, stop, whole

    def of_state(self, state: TrainingState, best: float | None) -> Verdict:
        """Score the weights that will be used. Raises Stopped, with the state as it was."""
        with state.usable() as model:
            return self.of(model, best, "validation")

    def of(self, model: Seq2SeqModel, best: float | None, within: str) -> Verdict:
        """Score a model; `within` says what this is, for who stops it."""
        model.eval()
        try:
            with self.whole(), self.stop.repeatable(within, alone=self.ranks.world == 1):
                scores, samples = self.evaluate(model)
        finally:
            model.train()
        deciding, better = self._decide(scores, best)
        return Verdict({score.name: score.value for score in scores}, samples, deciding, better)

    def due(self, epoch: int) -> bool:
        """Whether the model is scored when so many epochs are done, where the recipe does not say how often."""
        return self.evaluate.due(epoch) if isinstance(self.evaluate, PlannedEvaluate) else True

    def final(self, model: Seq2SeqModel, updates: int) -> tuple[dict[str, float], str] | None:
        """Thorough scores of a model by name, which decide nothing, and what they are of; None where there are none."""
        if not isinstance(self.evaluate, PlannedEvaluate):
            return None
        model.eval()
        try:
            with self.whole(), self.stop.repeatable("end", alone=self.ranks.world == 1):
                found = self.evaluate.final(model, updates)
        finally:
            model.train()
        return None if found is None else ({score.name: score.value for score in found[0]}, found[1])

    def _decide(self, scores: Sequence[Score], best: float | None) -> tuple[float, bool]:
        score = named(scores, self.deciding)  # none when the model has diverged
        shared = torch.tensor(score.value if score else math.nan, dtype=torch.float64, device=self.ranks.device)
        self.ranks.broadcast([shared])
        value = float(shared)
        if score is None or not math.isfinite(value):  # nothing could ever be better than NaN
            return value, False
        return value, best is None or better(value, best, score)
