"""Formats of predictions: plain lines, JSON, tables, or the content of a separate file.

Unusual: in a tsv nothing is quoted, since what reads it knows no quotes. So it cannot hold every text, and says so.
"""

import csv
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any, Protocol, final, runtime_checkable

from antiphon.contracts.abilities import Tabular, WritesFiles, WritesFormats
from antiphon.contracts.sequences import Prediction
from antiphon.contracts.task import Task
from antiphon.errors import DataError
from antiphon.prediction.output_kinds import SUBTITLES, Kind
from antiphon.store.json_text import json_text

_OWN = ("prediction", "score", "log_prob", "token_scores", "finish_reason", "alignment", "alternatives")  # what we say of a prediction


@runtime_checkable
class TextFile(Protocol):
    """A file for text."""

    def write(self, text: str, /) -> object:
        """Write a text."""


class Writer(ABC):
    """Receives predictions one by one, each with its record."""

    remark: str = ""
    """What a reader should know of all that was written, as a sentence."""

    @abstractmethod
    def write(self, prediction: Prediction, record: Mapping[str, Any]) -> None:
        """Write one prediction."""

    def finish(self) -> None:  # noqa: B027 -- most have nothing to close
        """Write the end of the format."""


def writer_for(file: TextFile, kind: Kind, task: Task, *, name: str = "") -> Writer:
    """The writer for predictions of a kind; `name` is the file's, for errors."""
    if kind == "json":
        return JsonArray(file, task)
    if kind == "jsonl":
        return JsonLines(file, task)
    if kind == "format" and isinstance(task, WritesFormats):
        return OwnFormat(file, task, name)
    if kind == "file" and isinstance(task, WritesFiles):
        return OnlyFile(file, task, name)
    if kind in ("csv", "tsv"):
        separator = "\t" if kind == "tsv" else ","
        return Table(file, task, separator) if isinstance(task, Tabular) else InputTable(file, separator, name)
    return Lines(file)


_LINE_ENDS = re.compile(r"[\r\n]+")


@final
class Lines(Writer):
    """A text per line; a line end within a text becomes a blank."""

    def __init__(self, file: TextFile):
        self._file, self._joined = file, 0

    @property
    def remark(self) -> str:  # type: ignore[override]
        """How many texts lost line ends."""
        what = "1 prediction holds" if self._joined == 1 else f"{self._joined:,} predictions hold"
        return f"{what} line ends, which became blanks, since a line is one text. A .csv or .jsonl file keeps them." if self._joined else ""

    def write(self, prediction: Prediction, record: Mapping[str, Any]) -> None:
        """The value on one line."""
        text = _LINE_ENDS.sub(" ", str(prediction.value))
        self._joined += text != str(prediction.value)
        print(text, file=self._file)


@final
class JsonLines(Writer):
    """A JSON object per line, with all details."""

    def __init__(self, file: TextFile, task: Task):
        self._file, self._task = file, task

    def write(self, prediction: Prediction, record: Mapping[str, Any]) -> None:
        """One object."""
        print(_json(prediction, record, self._task), file=self._file)


@final
class JsonArray(Writer):
    """One JSON array, written incrementally."""

    def __init__(self, file: TextFile, task: Task):
        self._file, self._task, self._separator = file, task, "["

    def write(self, prediction: Prediction, record: Mapping[str, Any]) -> None:
        """One element."""
        self._file.write(f"{self._separator}\n{_json(prediction, record, self._task)}")
        self._separator = ","

    def finish(self) -> None:
        """Close the array."""
        self._file.write("[]\n" if self._separator == "[" else "\n]\n")


@final
class Table(Writer):
    """The rows of all predictions under one header."""

    def __init__(self, file: TextFile, task: Tabular, separator: str):
        self._file, self._task, self._separator = file, task, separator
        self._writer: csv.DictWriter[str] | None = None

    def write(self, prediction: Prediction, record: Mapping[str, Any]) -> None:
        """Write the rows of one prediction; none where the input could not be used."""
        for row in self._task.rows(prediction):
            if self._writer is None:
                self._writer = csv.DictWriter(self._file, list(row), delimiter=self._separator, lineterminator="\n")
                self._writer.writeheader()
            self._writer.writerow(row)


@final
class InputTable(Writer):
    """The columns of the inputs, followed by the column `added`, the prediction's value."""

    def __init__(self, file: TextFile, separator: str, name: str, added: Callable[[Prediction], Mapping[str, Any]] | None = None):
        self._file, self._separator, self._name = file, separator, name
        self._added = (lambda prediction: {"prediction": str(prediction.value)}) if added is None else added
        self._columns: list[str] | None = None

    def write(self, prediction: Prediction, record: Mapping[str, Any]) -> None:
        """Write a row. Raises DataError where the inputs have different columns, or a tsv cannot hold a text."""
        added = self._added(prediction)
        if self._columns is None:
            refuse_taken(record, added)
            self._columns = list(record)
            self._row([*self._columns, *added])
        more = next((column for column in record if column not in self._columns), None)
        if more is not None:
            raise DataError(
                f"{self._name} has the columns of the first input, but a later one has `{more}`, too. Write a .jsonl file instead."
            )
        self._row([_cell(value) for value in (*map(record.get, self._columns), *added.values())])

    def _row(self, cells: Sequence[str]) -> None:
        if self._separator == ",":
            cells = [f'"{cell.replace(chr(34), chr(34) * 2)}"' if _TO_QUOTE.search(cell) else cell for cell in cells]
        elif wrong := next((cell for cell in cells if _NOT_IN_TSV.search(cell)), None):
            raise DataError(f"{self._name} cannot hold a tab or a line end within a value, as in {wrong!r:.80}. Write a .csv file instead.")
        self._file.write(f"{self._separator.join(cells)}\n")


def refuse_taken(record: Mapping[str, Any], added: Iterable[str]) -> None:
    """Raise DataError when the inputs have a column with the name of an output column."""
    if taken := next((column for column in added if column in record), None):
        raise DataError(f"The inputs have a column `{taken}` already, which the output would have twice. Give it another name.")


_TO_QUOTE, _NOT_IN_TSV = re.compile('[,"\r\n]'), re.compile("[\t\r\n]")


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json_text(value, default=str) if isinstance(value, list | tuple | dict) else str(value)


@final
class OnlyFile(Writer):
    """The prediction as the content of one file, such as subtitles. It cannot hold a second prediction."""

    def __init__(self, file: TextFile, task: WritesFiles, name: str):
        self._file, self._task, self._name, self._written = file, task, name, False

    def write(self, prediction: Prediction, record: Mapping[str, Any]) -> None:
        """Write the content. Raises DataError for a second prediction, and where the name promises another subtitle format."""
        if self._written:
            raise DataError("Subtitles of several recordings need a folder: `--output FOLDER/`.")
        own = self._task.file_of(prediction)
        promised = PurePath(self._name).suffix.lower()
        if own is not None and promised in SUBTITLES and promised != PurePath(own.name).suffix:
            raise DataError(f"{self._name} must end in {PurePath(own.name).suffix}, which the task is set to write.")
        print("" if own is None else own.content.rstrip("\n"), file=self._file)
        self._written = True


@final
class OwnFormat(Writer):
    """A format of the task, chosen by the suffix; some formats can hold one prediction only."""

    def __init__(self, file: TextFile, task: WritesFormats, name: str):
        self._file, self._task, self._name = file, task, name
        self._suffix, self._written = PurePath(name).suffix.lower(), False

    def write(self, prediction: Prediction, record: Mapping[str, Any]) -> None:
        """Write the task's text for a prediction. Raises DataError for a second one if the format can only hold one."""
        if self._written and not self._task.formats()[self._suffix]:
            several = ", ".join(suffix for suffix, is_for_all in self._task.formats().items() if is_for_all)
            raise DataError(
                f"{self._name} has room for one recording. Several need a folder (`--output FOLDER/` with `task.subtitles`), or one of:"
                f" {several}."
            )
        self._file.write(self._task.written_as(prediction, record, self._suffix))
        self._written = True


def as_plain(prediction: Prediction, record: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """All details of a prediction as plain values for JSON, with the other columns of its record."""
    source = None if isinstance(task, Tabular) else task.source_columns[0]
    known = {key: value for key, value in record.items() if key not in _OWN and key != source}
    return _plain(replace(prediction, details={**known, **prediction.details}), task)


def _json(prediction: Prediction, record: Mapping[str, Any], task: Task) -> str:
    return json_text(as_plain(prediction, record, task), default=str)


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
    """A row for JSON, with dates as texts."""
    return {key: value if isinstance(value, str | int | float) else str(value) for key, value in row.items()}


def _number(value: float) -> float | None:
    return round(value, 4) if abs(value) != float("inf") else None
