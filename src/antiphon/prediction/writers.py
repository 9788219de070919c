"""How predictions are written: a line each, JSON, a table, or the content of a file of its own."""

import csv
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, final, runtime_checkable

from antiphon.contracts.abilities import Tabular, WritesFiles, writes_files
from antiphon.contracts.sequences import Prediction
from antiphon.contracts.task import Task
from antiphon.errors import DataError
from antiphon.store.json_text import json_text

_OWN = ("prediction", "score", "log_prob", "token_scores", "finish_reason", "alignment", "alternatives")  # what we say of a prediction


@runtime_checkable
class TextFile(Protocol):
    """What texts are written to."""

    def write(self, text: str, /) -> object:
        """Write a text."""


class Writer(ABC):
    """Takes predictions one by one, each with what its record holds beside the source."""

    @abstractmethod
    def write(self, prediction: Prediction, beside: Mapping[str, Any]) -> None:
        """Write one."""

    def finish(self) -> None:  # noqa: B027 -- most have nothing to close
        """Write what stands at the end."""


def writer_for(file: TextFile, suffix: str, task: Task, *, as_json: bool) -> Writer:
    """What writes into a file of this suffix: a JSON array, JSON lines (.jsonl), or else what the task's predictions are."""
    if as_json:
        return JsonArray(file, task)
    if suffix == ".jsonl":
        return JsonLines(file, task)
    if isinstance(task, WritesFiles) and writes_files(task):
        return OnlyFile(file, task)
    if isinstance(task, Tabular):
        return Table(file, task, "\t" if suffix == ".tsv" else ",")
    return Lines(file)


@final
class Lines(Writer):
    """A text a line."""

    def __init__(self, file: TextFile):
        self._file = file

    def write(self, prediction: Prediction, beside: Mapping[str, Any]) -> None:
        """The value on one line."""
        print(" ".join(str(prediction.value).splitlines()), file=self._file)


@final
class JsonLines(Writer):
    """A JSON object a line, with everything that is known."""

    def __init__(self, file: TextFile, task: Task):
        self._file, self._task = file, task

    def write(self, prediction: Prediction, beside: Mapping[str, Any]) -> None:
        """One object."""
        print(_json(prediction, beside, self._task), file=self._file)


@final
class JsonArray(Writer):
    """One JSON array, written as predictions come."""

    def __init__(self, file: TextFile, task: Task):
        self._file, self._task, self._separator = file, task, "["

    def write(self, prediction: Prediction, beside: Mapping[str, Any]) -> None:
        """One element."""
        self._file.write(f"{self._separator}\n{_json(prediction, beside, self._task)}")
        self._separator = ","

    def finish(self) -> None:
        """Close the array."""
        self._file.write("[]\n" if self._separator == "[" else "\n]\n")


@final
class Table(Writer):
    """The rows of all predictions under one head."""

    def __init__(self, file: TextFile, task: Tabular, separator: str):
        self._file, self._task, self._separator = file, task, separator
        self._writer: csv.DictWriter[str] | None = None

    def write(self, prediction: Prediction, beside: Mapping[str, Any]) -> None:
        """The rows of one; none where the input could not be used."""
        for row in self._task.rows(prediction):
            if self._writer is None:
                self._writer = csv.DictWriter(self._file, list(row), delimiter=self._separator, lineterminator="\n")
                self._writer.writeheader()
            self._writer.writerow(row)


@final
class OnlyFile(Writer):
    """The content of the file that a prediction is: subtitles. There is room for one."""

    def __init__(self, file: TextFile, task: WritesFiles):
        self._file, self._task, self._written = file, task, False

    def write(self, prediction: Prediction, beside: Mapping[str, Any]) -> None:
        """The content. Raises DataError for a second prediction."""
        if self._written:
            raise DataError("Subtitles of several recordings need a folder: `--output FOLDER/`.")
        own = self._task.file_of(prediction)
        print("" if own is None else own.content.rstrip("\n"), file=self._file)
        self._written = True


def _json(prediction: Prediction, beside: Mapping[str, Any], task: Task) -> str:
    known = {key: value for key, value in beside.items() if key not in _OWN}
    whole = replace(prediction, details={**known, **prediction.details})
    return json_text(_plain(whole, task), default=str)


def _plain(prediction: Prediction, task: Task) -> dict[str, Any]:
    hypothesis = prediction.hypothesis
    plain: dict[str, Any] = {
        "prediction": [_written(row) for row in task.rows(prediction)] if isinstance(task, Tabular) else prediction.value,
        "score": _number(hypothesis.score),
        "log_prob": _number(hypothesis.log_prob),
        "token_scores": [round(score, 4) for score in hypothesis.step_scores],
        "finish_reason": hypothesis.finish_reason,
        **prediction.details,
    }
    if hypothesis.alignment is not None:
        plain["alignment"] = [[round(float(weight), 4) for weight in row] for row in hypothesis.alignment]
    if prediction.alternatives:
        plain["alternatives"] = [_plain(alternative, task) for alternative in prediction.alternatives]
    return plain


def _written(row: dict[str, Any]) -> dict[str, Any]:
    """A row for JSON: dates are texts."""
    return {key: value if isinstance(value, str | int | float) else str(value) for key, value in row.items()}


def _number(value: float) -> float | None:
    return round(value, 4) if abs(value) != float("inf") else None
