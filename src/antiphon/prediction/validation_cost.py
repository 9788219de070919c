"""Estimates how much of the validation data can be decoded during training, such that validation takes its share of the time.

Unusual: nothing is timed, so that a run does the same on a busy machine, and again when it is resumed. Costs are counted in elements that
are trained on, of sources and targets alike:

    a record to train on     its source and target
    its loss                 a third of that, since there is no backward pass
    to decode it             a third of its source, and several for each element of its target (`SEQUENTIAL`): a step says one element of
                             each row of a small batch, where training says all elements of a large one at once, and what a young model says
                             is longer than the references. On one thread of a CPU a step took 1.3; the more a device does at once, the more
                             it idles meanwhile
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch

from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.task import Task
from antiphon.data.batching import Rows
from antiphon.data.lengths import elements_of
from antiphon.recipe.assembly import needs_steps
from antiphon.training.settings import TrainingConfig

SEQUENTIAL = {"cpu": 10.0, "other": 50.0}
FORWARD = 1 / 3
FEWEST = 50  # records whose score still says something
FEWEST_AT_THE_END = 500  # records that are decoded once, whatever it costs
FIRST = 5  # epochs after each of which there is a validation, whatever it costs: how a run begins is seen at once


@final
@dataclass(frozen=True)
class Work:
    """The cost of training: the elements of an epoch, and its updates."""

    elements: float
    updates: float

    def of(self, updates: int) -> float:
        """The cost of the given number of updates."""
        return self.elements * updates / max(self.updates, 1e-9)


@final
@dataclass(frozen=True)
class Plan:
    """The plan for validations.

    records   how many items are decoded
    epochs    how many epochs are between two validations, where the recipe does not say it
    """

    records: int
    epochs: int = 1

    def due(self, epoch: int) -> bool:
        """Whether there is a validation after this many epochs."""
        return epoch <= FIRST or epoch % self.epochs == 0


@final
class ValidationCost:
    """The cost of scoring these validation records on a device."""

    def __init__(self, task: Task, corpora: Sequence[Rows], device: torch.device):
        self.sequential = SEQUENTIAL["cpu" if device.type == "cpu" else "other"]
        self.symbols = isinstance(task.target_spec, TokenSpec)
        self.items = sum(map(len, corpora))
        sources, targets = elements_of(corpora)
        self.source, self.target = sources / max(self.items, 1), targets / max(self.items, 1)
        self.loss = FORWARD * (sources + targets)

    def decoding(self, search: Any) -> float:
        """The cost of one item with a search, given by its settings."""
        if not needs_steps(search):
            return FORWARD * (self.source + self.target)
        width = _width(search)
        each = self.sequential * (1 + width) / 2 if self.symbols else max(self.sequential, FORWARD * width)
        return FORWARD * self.source + each * self.target

    def plan(self, settings: TrainingConfig, work: Work, search: Any, updates: int | None = None) -> Plan:
        """The items to decode, and the epochs between validations, such that validation takes its share of the time. `updates` is the
        number between two of them with `validate_every: auto`; while that is unknown (None), few items are decoded."""
        most = min(self.items, settings.validation_records or self.items)
        share, least, each = settings.validation_share, min(most, FEWEST), self.decoding(search)
        if share is None or not work.elements:
            return Plan(most)
        epochs = 1
        if settings.validate_every == "auto":
            between = work.of(updates or 0)
        elif settings.validate_every is None:
            epochs = max(1, math.ceil((self.loss + least * each) / (share * work.elements)))
            between = epochs * work.elements
        else:
            between = work.of(settings.validate_every)
        return Plan(self._fitting(share * between - self.loss, search, most, FEWEST), epochs)

    def at_the_end(self, settings: TrainingConfig, work: Work, updates: int, search: Any) -> int:
        """The items to decode after training with this many updates: all of them, or as many as take a share of its time."""
        if settings.validation_share is None:
            return self.items
        return self._fitting(settings.validation_share * work.of(updates), search, self.items, FEWEST_AT_THE_END)

    def _fitting(self, budget: float, search: Any, most: int, least: int) -> int:
        """The number of items, out of `most`, that can be decoded at a given cost; at least a few."""
        return max(min(most, least), min(most, int(budget / max(self.decoding(search), 1e-9))))


def _width(search: Any) -> int:
    """The number of hypotheses of a source that a search follows at once."""
    candidates = getattr(search, "candidates", None)
    return _width(candidates) if candidates is not None else max(getattr(search, "beam_size", 1), getattr(search, "samples", 1))


def work_of(corpus: Rows, rows: int, updates: float) -> Work:
    """The work of an epoch with `rows` rows of a corpus and this many updates."""
    mean = sum(elements_of([corpus])) / max(len(corpus), 1)
    return Work(rows * mean, updates)
