"""Predicts inputs whose outputs begin with earlier ones: one after another within a document, several documents in parallel."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, final, runtime_checkable

from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Example, Prediction, Request


@runtime_checkable
class Continues(Protocol):
    """A task in which an output may begin with the outputs for earlier records, so that these are predicted first."""

    @property
    def continues(self) -> bool:
        """Whether the settings enable it."""

    def place(self, record: Record) -> tuple[int, int]:
        """The number of a record's document, and of the record within it, for records in order."""

    def continued(self, record: Record, said: Mapping[int, str]) -> Record:
        """The record with the outputs for earlier records of its document, by number; missing ones had no output."""

    def request(self, record: Record) -> Request:
        """What the record requires of its output, like that of every task."""


@dataclass(frozen=True)
class Part:
    """What is decoded separately: an input or one of its lines, with its arrays and its request."""

    record: Record
    example: Example
    request: Request


Decode = Callable[[Sequence[Part]], list[Prediction]]


@final
class Said:
    """The outputs so far in the documents that may continue."""

    def __init__(self, task: Continues):
        self._task = task
        self._texts: dict[int, dict[int, str]] = {}

    def decoded(self, parts: Sequence[Part], decode: Decode) -> list[Prediction]:
        """The predictions for parts in the order of their documents. The first part of each document is decoded together, then the
        second."""
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
