"""Which weights are best: those that will be used are scored on the validation data, and one score decides."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import torch

from antiphon.contracts.model import Seq2SeqModel
from antiphon.metrics.interface import Score
from antiphon.training.distributed import Ranks
from antiphon.training.state import TrainingState
from antiphon.training.stopping import StopRequest

Samples = Sequence[tuple[str, str, str]]
"""(source, reference, prediction) for a person to read."""


@runtime_checkable
class Evaluate(Protocol):
    """Scores the model on the validation data."""

    def __call__(self, model: Seq2SeqModel) -> tuple[list[Score], list[tuple[str, str, str]]]: ...


@dataclass(frozen=True)
class Verdict:
    """Scores by name, the one that decides as rank 0 has it (NaN where there is none), and whether it is the best so far."""

    scores: dict[str, float]
    samples: Samples
    deciding: float
    better: bool


@final
class Selection:
    """Scores a model, in evaluation mode, and compares with the `best` score so far. A process that is alone may be stopped meanwhile."""

    def __init__(self, evaluate: Evaluate, deciding: str, ranks: Ranks, stop: StopRequest):
        self.evaluate, self.deciding, self.ranks, self.stop = evaluate, deciding, ranks, stop

    def of_state(self, state: TrainingState, best: float | None) -> Verdict:
        """Score the weights that will be used. Raises Stopped, with the state as it was."""
        with state.usable() as model:
            return self.of(model, best, "validation")

    def of(self, model: Seq2SeqModel, best: float | None, within: str) -> Verdict:
        """Score a model; `within` says what this is, for who stops it."""
        model.eval()
        try:
            with self.stop.repeatable(within, alone=self.ranks.world == 1):
                scores, samples = self.evaluate(model)
        finally:
            model.train()
        deciding, better = self._decide(scores, best)
        return Verdict({score.name: score.value for score in scores}, samples, deciding, better)

    def _decide(self, scores: Sequence[Score], best: float | None) -> tuple[float, bool]:
        score = next((score for score in scores if score.name == self.deciding), None)  # none when the model has diverged
        shared = torch.tensor(score.value if score else math.nan, dtype=torch.float64, device=self.ranks.device)
        self.ranks.broadcast([shared])
        value = float(shared)
        if score is None or not math.isfinite(value):  # nothing could ever be better than NaN
            return value, False
        return value, best is None or (value > best if score.higher_is_better else value < best)
