"""Inputs whose outputs begin with those before them: one after another within a document, the documents side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, final, runtime_checkable

from antiphon.contracts.abilities import Continues
from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Example, Prediction, Request


@runtime_checkable
class ContinuingTask(Continues, Protocol):
    """A task that continues its own outputs."""

    def request(self, record: Record) -> Request: ...


@dataclass(frozen=True)
class Part:
    """What is decoded by itself: an input or one of its lines, with its arrays and what it asks for."""

    record: Record
    example: Example
    request: Request


Decode = Callable[[Sequence[Part]], list[Prediction]]


@final
class Said:
    """What was said so far in the documents that may go on."""

    def __init__(self, task: ContinuingTask):
        self._task = task
        self._texts: dict[int, dict[int, str]] = {}

    def decoded(self, parts: Sequence[Part], decode: Decode) -> list[Prediction]:
        """The predictions for parts that come in the order of their documents. The first of each are decoded together, then the second."""
        places = [self._task.place(part.record) for part in parts]
        found: dict[int, Prediction] = {}
        waiting = list(range(len(parts)))
        while waiting:
            first: dict[int, int] = {}  # of each document
            for index in waiting:
                first.setdefault(places[index][0], index)
            chosen = list(first.values())
            for index, prediction in zip(chosen, decode([self._continued(parts[index]) for index in chosen]), strict=True):
                document, place = places[index]
                self._texts.setdefault(document, {})[place] = str(prediction.value)
                found[index] = prediction
            waiting = [index for index in waiting if index not in found]
        latest = places[-1][0] if places else None
        self._texts = {document: texts for document, texts in self._texts.items() if document == latest}
        return [found[index] for index in range(len(parts))]

    def _continued(self, part: Part) -> Part:
        document, _ = self._task.place(part.record)
        record = self._task.continued(part.record, self._texts.get(document, {}))
        return part if record is part.record else replace(part, record=record, request=self._task.request(record))
