"""Scores given targets with the model, instead of generating outputs (like Marian's scorer, or fairseq's `--score-reference`).

Records go through in windows, whose batches are of like length, and come back in their order.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

import numpy as np
import torch

from antiphon.contracts.abilities import KnowsWords, Rescales
from antiphon.contracts.limits import Limits
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Example, Hypothesis, Prediction, to_device
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.task import Task
from antiphon.data.collate import collate
from antiphon.data.limits import empty_side
from antiphon.errors import ConfigError, DataError, TrainingError
from antiphon.prediction.documents import Continues
from antiphon.prediction.likelihoods import log_likelihoods
from antiphon.prediction.memory import unless_out_of_memory
from antiphon.prediction.refusals import check_unicode
from antiphon.prediction.sources import readable
from antiphon.prediction.windows import full, windows
from antiphon.prediction.word_alignment import Links, pharaoh, word_links
from antiphon.search.scoring import score


@dataclass(frozen=True)
class _Ready:
    """A record to score: its number from 1, and for an alignment the word of each symbol of both sides."""

    number: int
    record: Record
    example: Example
    words: tuple[np.ndarray, np.ndarray] | None

    @property
    def length(self) -> int:
        """The number of elements on both sides."""
        return len(self.example.source) + (0 if self.example.target is None else len(self.example.target))


@final
class TargetScorer:
    """Scores the targets of records. With `alignment`, also aligns the words of both sides.

    Raises ConfigError when words cannot be aligned in what the task reads or writes.
    """

    def __init__(self, model: Seq2SeqModel, task: Task, limits: Limits, *, batch_size: int, device: torch.device, alignment: bool):
        if alignment and not isinstance(task, KnowsWords):
            raise ConfigError(
                f"Word alignments need texts on both sides, but this is a run of {task.name}. Leave `--alignment` out, or use a run of"
                " translation or summarization."
            )
        self._model, self._task, self._limits, self._device = model, task, limits, device
        self._batch_size, self._alignment = batch_size, alignment

    def stream(self, items: Iterator[Any], refused: Callable[[str], Prediction] | None) -> Iterator[Prediction]:
        """A prediction for each item, whose value is its target.

        refused   makes of a reason the prediction for an item that cannot be used; None raises a DataError that numbers it
        """
        for window in windows(self._entries(items, refused), full(self._batch_size), lambda _: 1):
            found = iter(self._scored([entry for entry in window if isinstance(entry, _Ready)]))
            for entry in window:
                yield entry if isinstance(entry, Prediction) else next(found)

    def _entries(self, items: Iterator[Any], refused: Callable[[str], Prediction] | None) -> Iterator[_Ready | Prediction]:
        for number, item in enumerate(items):
            try:
                example = self._example(item, number)
                words = self._task.word_places(item) if self._alignment and isinstance(self._task, KnowsWords) else None
                entry: _Ready | Prediction = _Ready(number + 1, item, example, words)
            except DataError as error:
                if refused is None:
                    raise DataError(f"Input {number + 1}: {error}") from error
                entry = refused(str(error))
            yield entry

    def _example(self, item: Any, number: int) -> Example:
        """The arrays of a record with a target. Raises DataError saying what is wrong with it."""
        if not isinstance(item, Mapping):
            raise DataError(f"it must be a record with the columns {', '.join(self._task.columns)}, but is {type(item).__name__}.")
        if isinstance(self._task.source_spec, TokenSpec):
            check_unicode(item.get(self._task.source_columns[0]))
        example = readable(self._task.encode(item, number), item, self._task, self._model, self._limits)
        if example.target is None:
            raise DataError("it has no target that could be scored.")
        most, length = self._model.longest_target, len(example.target) - 1
        if most is not None and length > most:
            raise DataError(f"the target has {length} elements, more than the {most} that the model can write.")
        empty = empty_side(example, self._task.source_spec, self._task.target_spec)
        if empty and not (empty == "target" and self._limits.empty == "keep"):
            raise DataError(f"the {empty} is empty.")
        return example

    def _scored(self, entries: Sequence[_Ready]) -> list[Prediction]:
        """Score the longest first, so that a lack of memory shows at once; batches that do not fit are halved."""
        order = sorted(range(len(entries)), key=lambda index: -entries[index].length)
        results: dict[int, Prediction] = {}
        start, rows = 0, self._batch_size
        while start < len(order):
            chosen = [entries[index] for index in order[start : start + rows]]
            found = unless_out_of_memory(partial(self._hypotheses, chosen), self._device)
            if found is None and len(chosen) == 1:
                raise TrainingError(
                    f"Not even one record at a time can be scored in memory; the longest is record {chosen[0].number}, with"
                    f" {chosen[0].length} elements on both sides. Leave it out, or shorten it."
                )
            if found is None:
                rows = len(chosen) // 2
                continue
            for index, entry, hypothesis in zip(order[start : start + rows], chosen, found, strict=True):
                results[index] = self._prediction(entry, hypothesis)
            start += len(chosen)
        return [results[index] for index in range(len(entries))]

    def _hypotheses(self, entries: Sequence[_Ready]) -> list[Hypothesis]:
        examples = [entry.example for entry in entries]
        batch = to_device(collate(examples, self._task.source_spec, self._task.target_spec), self._device)
        if isinstance(self._task.target_spec, TokenSpec):
            elements = [np.asarray(example.target, dtype=np.int64)[1:-1] for example in examples]
            return score(self._model, batch.source, elements, alignment=self._alignment)
        assert isinstance(self._task, Rescales), "a task of values says how they are scaled"
        slopes = np.stack([self._task.log_slopes(example) for example in examples])
        steps = log_likelihoods(self._model, batch, slopes)
        return [
            Hypothesis(np.asarray(example.target)[1:], float(found.sum()), float(found.sum()), tuple(found.tolist()))
            for example, found in zip(examples, steps, strict=True)
        ]

    def _prediction(self, entry: _Ready, hypothesis: Hypothesis) -> Prediction:
        """The target as a prediction: its score is the mean log-probability of its symbols, the end symbol included."""
        details: dict[str, Any] = {}
        if isinstance(self._task, Continues) and self._task.continues:  # what was said of the records before is given
            hypothesis = self._task.decode([hypothesis], entry.example).hypothesis
        if isinstance(self._task.target_spec, TokenSpec):
            target = np.asarray(entry.example.target)
            details["target_pieces"] = self._task.pieces("target", target[len(target) - len(hypothesis.step_scores) :])
        if hypothesis.alignment is not None and entry.words is not None:
            details["word_alignment"] = pharaoh(_links(hypothesis.alignment, *entry.words))
        if entry.example.cut:
            details["source_cut"] = entry.example.cut
        mean = hypothesis.log_prob / max(len(hypothesis.step_scores), 1)
        return Prediction(self._task.reference(entry.record), replace(hypothesis, score=mean), (), details)


def _links(attention: np.ndarray, source: np.ndarray, target: np.ndarray) -> Links:
    """The word links; for a truncated source those of the remaining words. A target may have lost a part at its beginning."""
    return word_links(attention, source[: attention.shape[1]], target[len(target) - len(attention) :])
