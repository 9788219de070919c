"""Selects the best weights: those that would be used are scored on the validation data, and one score decides."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import torch

from antiphon.contracts.model import Seq2SeqModel
from antiphon.metrics.interface import Score, better, is_worthless
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
    """An evaluation that knows its own costs."""

    def due(self, epoch: int) -> bool:
        """Whether to validate after this many epochs, where the recipe does not say how often."""

    def final(self, model: Seq2SeqModel, updates: int) -> tuple[list[Score], str] | None:
        """Thorough scores of the best model when training has ended, after this many updates, and a description of them."""


@runtime_checkable
class FittedEvaluate(Protocol):
    """An evaluation whose size depends on the amount of training between two validations."""

    def planned(self, updates: int) -> None:
        """Receive the number of updates between two validations, where only the budget decides it."""


@dataclass(frozen=True)
class Verdict:
    """Scores by name, the deciding score as rank 0 has it (NaN if there is none), the loss, and whether it is the best so far."""

    scores: dict[str, float]
    samples: Samples
    deciding: float
    better: bool
    loss: float | None = None


Best = tuple[float | None, float | None]
"""The deciding score of the best checkpoint so far, and its loss; None where there is none."""


@final
class Selection:
    """Scores a model in evaluation mode, and compares it with the `best` score so far. A single process may be stopped meanwhile.

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

    def of_state(self, state: TrainingState, best: Best) -> Verdict:
        """Score the weights that would be used. Raises Stopped, with the state unchanged."""
        with state.usable() as model:
            return self.of(model, best, "validation")

    def of(self, model: Seq2SeqModel, best: Best, within: str) -> Verdict:
        """Score a model; `within` describes this for a signal that stops it."""
        model.eval()
        try:
            with self.whole(), self.stop.repeatable(within, alone=self.ranks.world == 1):
                scores, samples = self.evaluate(model)
        finally:
            model.train()
        deciding, loss, better = self._decide(scores, best)
        return Verdict({score.name: score.value for score in scores}, samples, deciding, better, loss)

    def planned(self, updates: int) -> None:
        """Pass on the number of updates between two validations, where only the budget decides it."""
        if isinstance(self.evaluate, FittedEvaluate):
            self.evaluate.planned(updates)

    def due(self, epoch: int) -> bool:
        """Whether to validate after this many epochs, where the recipe does not say how often."""
        return self.evaluate.due(epoch) if isinstance(self.evaluate, PlannedEvaluate) else True

    def final(self, model: Seq2SeqModel, updates: int) -> tuple[dict[str, float], str] | None:
        """Thorough scores of a model by name, which do not affect the selection, and a description of them; None if there are none."""
        if not isinstance(self.evaluate, PlannedEvaluate):
            return None
        model.eval()
        try:
            with self.whole(), self.stop.repeatable("end", alone=self.ranks.world == 1):
                found = self.evaluate.final(model, updates)
        finally:
            model.train()
        return None if found is None else ({score.name: score.value for score in found[0]}, found[1])

    def _decide(self, scores: Sequence[Score], best: Best) -> tuple[float, float | None, bool]:
        """The deciding score, the loss, and whether this is the best so far. The loss decides between equal scores, and between worthless
        ones, as after very little training."""
        score, loss = named(scores, self.deciding), named(scores, "loss")  # no score when the model has diverged
        values = [math.nan if one is None else one.value for one in (score, loss)]
        shared = torch.tensor(values, dtype=torch.float64)
        self.ranks.broadcast([shared])
        value, loss_value = (float(one) for one in shared)
        known = loss_value if math.isfinite(loss_value) else None
        if score is None or not math.isfinite(value):  # nothing could ever be better than NaN
            return value, known, False
        before, loss_before = best
        if before is None:
            return value, known, True
        if value == before or (is_worthless(value, score) and is_worthless(before, score)):
            return value, known, known is not None and loss_before is not None and known < loss_before
        return value, known, better(value, before, score)
