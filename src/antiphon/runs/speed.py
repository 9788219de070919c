"""Estimates the cost of training on this machine by a few updates, with the validations that the recipe asks for."""

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from antiphon.contracts.corpus import StoredCorpus
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.task import Task
from antiphon.data.lengths import elements_of
from antiphon.prediction.memory import silent
from antiphon.prediction.validation import search_to_validate
from antiphon.prediction.validation_cost import FIRST, ValidationCost, Work, work_of
from antiphon.recipe.assembly import Split, mixed
from antiphon.recipe.learned_loss import loss_to_train
from antiphon.recipe.recipe import Recipe
from antiphon.runs.planning import with_found_budget
from antiphon.runs.train import make_update
from antiphon.training.batches import TrainingBatches
from antiphon.training.budget import VALIDATIONS
from antiphon.training.distributed import start
from antiphon.training.outlook import Outlook, outlook

PROBED_UPDATES = 4


@dataclass(frozen=True)
class Cost:
    """The cost of training, measured by a few updates on this machine. Memory is that of the whole process."""

    parameters: dict[str, int]
    total_parameters: int
    batches_per_epoch: int
    tokens_per_second: float
    seconds_per_epoch: float
    memory_bytes: int
    device: str
    seconds_per_update: float
    updates: int
    epochs: float
    seconds_in_all: float
    seconds_validating: float
    ends: str
    """The budget that ends training first; patience may end it sooner."""


def measure(
    recipe: Recipe,
    task: Task,
    model: Seq2SeqModel,
    corpora: Mapping[str, Sequence[StoredCorpus]],
    splits: Mapping[str, Split],
    say: Callable[[str], None] = silent,
) -> Cost:
    """Measure a few updates, the longest batch first. The model is changed by it. `say` gets the batch budget if it is to be found."""
    ranks = start(recipe.training.device)
    model = model.to(ranks.device)
    update = make_update(recipe, model, loss_to_train(recipe, task, model), ranks)
    learned = mixed(corpora["train"], splits["train"])
    recipe = with_found_budget(recipe, task, learned, update, say)
    settings = recipe.training
    batches = TrainingBatches(learned, task, settings.batching, recipe.seed, ranks)
    model.train()
    longest = next(iter(batches.loader.in_order()))
    update([longest], 0, 1.0)
    elements, began = 0, time.monotonic()
    for step, batch in zip(range(PROBED_UPDATES), batches.batches(0), strict=False):
        elements += update([batch], step, 1.0).elements
    speed = elements / max(time.monotonic() - began, 1e-9)
    epoch_elements = elements_of(corpora["train"])[1] - sum(map(len, corpora["train"]))
    if ranks.device.type == "cuda":
        memory = torch.cuda.max_memory_allocated()
    else:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    parts: dict[str, int] = {}
    for parameter_name, parameter in model.named_parameters():
        top = parameter_name.split(".")[0]
        parts[top] = parts.get(top, 0) + parameter.numel()
    estimate, seconds = batches.estimate(), epoch_elements / speed
    work = work_of(learned, len(batches.sampler), estimate / settings.accumulation)
    found = _outlook(recipe, task, corpora.get("validation", ()), estimate, seconds / max(estimate, 1), work, ranks.device)
    return Cost(
        parameters=parts,
        total_parameters=sum(parts.values()),
        batches_per_epoch=estimate,
        tokens_per_second=speed,
        seconds_per_epoch=seconds,
        memory_bytes=memory,
        device=str(ranks.device),
        seconds_per_update=seconds / max(estimate, 1) * settings.accumulation,
        updates=found.updates,
        epochs=found.epochs,
        seconds_in_all=found.seconds,
        seconds_validating=found.validating,
        ends=found.ends,
    )


def _outlook(
    recipe: Recipe, task: Task, validation: Sequence[Any], batches: int, seconds: float, work: Work, device: torch.device
) -> Outlook:
    """What fits into the budget, validations included."""
    settings = recipe.training
    alone = outlook(settings, batches, seconds, 0.0)
    if not validation or not alone.updates:
        return alone
    cost, search = ValidationCost(task, validation, device), search_to_validate(recipe, task)
    plan = cost.plan(settings, work, search, max(1, alone.updates // VALIDATIONS))
    each = cost.loss + (plan.records * cost.decoding(search) if recipe.evaluation.metrics != () else 0.0)
    if settings.validate_every == "auto":
        times: float = VALIDATIONS
    elif settings.validate_every is not None:
        times = alone.updates / settings.validate_every
    else:
        times = alone.epochs if plan.epochs == 1 else min(alone.epochs, FIRST) + max(alone.epochs - FIRST, 0.0) / plan.epochs
    return outlook(settings, batches, seconds, max(times, 1.0) * each / max(work.of(alone.updates), 1e-9))


__all__ = ["PROBED_UPDATES", "Cost", "measure"]
