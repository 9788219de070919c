"""One trial of a sweep: trains, unless it is pruned, and scores the best checkpoint on the validation data.

Trials train in the process of the sweep. A process of its own for each would take seconds to start, and give back no memory that is not
given back here: weights, batches and what CUDA has cached are freed in between. What a process of its own would survive, the system's
killing of one that asks for too much memory, costs this worker alone: the next one takes the trial up, twice more, and then it counts as
failed.
"""

import gc
import hashlib
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from rich.console import Console

from antiphon.contracts.tracker import Event
from antiphon.errors import AntiphonError, CheckpointError, DivergedError, MissingPackageError
from antiphon.metrics.interface import Score, better
from antiphon.metrics.scoring import find_metric
from antiphon.prediction.predictor import Predictor
from antiphon.prediction.scoring import decode_and_score, group_references
from antiphon.recipe.assembly import Given, load_trained
from antiphon.recipe.recipe import Recipe
from antiphon.runs.resuming import LOG
from antiphon.runs.train import train
from antiphon.runs.validation_records import validation_items
from antiphon.store.checkpoint import find_checkpoint, read_json, replace_json
from antiphon.store.json_text import json_object, json_text
from antiphon.sweeping.journal import Outcome
from antiphon.training.device import is_out_of_memory
from antiphon.training.distributed import Ranks

VALIDATION, ERROR = "validation.json", "error.txt"


@final
@dataclass(frozen=True)
class Ended:
    """How a trial ended; `score` is that of a complete one."""

    outcome: Outcome
    score: Score | None
    reason: str
    seconds: float
    steps: int

    def facts(self) -> dict[str, Any]:
        """The facts for the journal, as plain values."""
        score = None if self.score is None else asdict(self.score)
        return {"score": score, "reason": self.reason, "seconds": round(self.seconds, 2), "steps": self.steps}


class PrunedError(Exception):
    """The trial is pruned."""


class TakenOverError(Exception):
    """Another worker has taken the trial over, since this one's lease has expired."""


@final
@dataclass(frozen=True)
class Watch:
    """Receives a trial's validations. `report` gets the number of a validation and the best score so far, and says whether to prune the
    trial; `held` says whether this worker still has it."""

    folder: Path
    metric: Score
    """Any score of the metric, which says what is better."""
    report: Callable[[int, float], bool]
    held: Callable[[], bool]

    def __call__(self, event: Event) -> None:
        """Raises PrunedError, or TakenOverError."""
        if not self.held():
            raise TakenOverError
        if event["kind"] == "validation":
            found = validations_of(self.folder, self.metric)
            if found and self.report(len(found), found[-1]):
                raise PrunedError


def validations_of(folder: Path, metric: Score) -> list[float]:
    """The best score so far after each validation in the run's log, from the first finite score on."""
    best: list[float] = []
    for event in _events(folder):
        value = event["scores"].get(metric.name) if event["kind"] == "validation" else None
        if value is not None and np.isfinite(value):
            best.append(value if not best or better(value, best[-1], metric) else best[-1])
    return best


def run_trial(recipe: Recipe, folder: Path, metric: Score, watch: Watch, console: Console, data: Given | None) -> Ended:
    """Train a trial, from its checkpoint if it has one, and score it. Invalid settings are an outcome, not an error.

    Raises CheckpointError when its folder cannot be written, TakenOverError, and KeyboardInterrupt.
    """
    recipe = replace(recipe, sweep=None)
    try:
        train(recipe, folder, resume=True, data=data, console=console, callbacks=(watch,))
        score, seconds = _scored(recipe, folder, metric)
    except PrunedError:
        return _ended("pruned", folder, f"after {len(validations_of(folder, metric))} validations")
    except DivergedError as error:
        return _ended("diverged", folder, str(error))
    except (CheckpointError, MissingPackageError, TakenOverError):
        raise
    except AntiphonError as error:
        return _ended("failed", folder, str(error).splitlines()[0])
    except Exception as error:
        (folder / ERROR).write_text(traceback.format_exc(), encoding="utf-8")
        if is_out_of_memory(error):
            return _ended("failed", folder, "It ran out of memory. Lower `training.batching.target_tokens`, or the sizes of the model.")
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        return _ended("failed", folder, f"{said} ({folder / ERROR} says where.)")
    finally:
        _free()
    if not np.isfinite(score.value):
        return _ended("diverged", folder, f"{metric.name} is {score.value}.")
    ended = _ended("complete", folder, "")
    return replace(ended, score=score, seconds=ended.seconds + seconds)


def _ended(outcome: Outcome, folder: Path, reason: str) -> Ended:
    events = _events(folder)
    seconds = max((float(event.get("seconds") or 0.0) for event in events), default=0.0)
    return Ended(outcome, None, reason, seconds, int(events[-1].get("step", 0)) if events else 0)


def _events(folder: Path) -> list[Mapping[str, Any]]:
    """The events in the run's log; none if it has not begun. An incomplete line of a worker that was killed is ignored."""
    lines = (folder / LOG).read_bytes().splitlines() if (folder / LOG).exists() else []
    return [event for event in map(json_object, lines) if "kind" in event]


def _scored(recipe: Recipe, folder: Path, metric: Score) -> tuple[Score, float]:
    """The score of the best checkpoint on all validation records by the recipe's search, with its interval, and the seconds it took. The
    statistics of the records are stored in the trial, so that two trials can be compared."""
    if metric.name == "loss":
        header = read_json(find_checkpoint(folder) / "checkpoint.json")
        return replace(metric, value=float(header["scores"]["loss"])), 0.0
    predictor = Predictor([load_trained(folder, trust=recipe.trust)], device=recipe.training.device)
    items = validation_items(folder, predictor.trained[0], sys.maxsize)
    pairs = group_references(predictor.task, items, alternatives=recipe.evaluation.alternatives)
    predict = partial(predictor.predict_items, on_error="keep")
    ranks = Ranks(0, 1, predictor.device)
    found = decode_and_score(predict, predictor.task, pairs, [metric.name], ranks, resamples=recipe.evaluation.resamples)
    references = [list(one) for _, one in pairs]
    statistics = find_metric(metric.name).suited(references).statistics([one.value for one in found.predictions], references)
    kept = {
        "metric": metric.name,
        "records": _digest(references),
        "references": [len(one) for one in references],
        "statistics": statistics.tolist(),
    }
    replace_json(folder / VALIDATION, kept)
    return found.scores[0], found.seconds


def _digest(references: Any) -> str:
    """A hash that tells whether two trials were scored on the same records."""
    return hashlib.sha256(json_text(references, default=_plain).encode()).hexdigest()


def _plain(value: Any) -> Any:
    return (
        value.tolist()
        if isinstance(value, np.ndarray | np.generic)
        else asdict(value)
        if hasattr(value, "__dataclass_fields__")
        else str(value)
    )


def _free() -> None:
    """Free the memory of a trial."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
