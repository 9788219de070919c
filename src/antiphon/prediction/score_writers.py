"""Writes scores of given targets: a line for each record, with all its columns followed by the model's scores."""

import math
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, final

from antiphon.contracts.abilities import MakesItems
from antiphon.contracts.sequences import Prediction
from antiphon.contracts.task import Task
from antiphon.errors import DataError
from antiphon.prediction.outputs import FileOutput, Output, StandardOutput, refuse_inputs
from antiphon.prediction.writers import InputTable, TextFile, Writer, refuse_taken
from antiphon.store.json_text import json_text

_SEPARATORS = {".tsv": "\t", ".tab": "\t", ".csv": ","}
_LINES_OF_JSON = (".jsonl", ".ndjson")
_DIGITS = 6


def open_scores(name: str, read: Iterable[Path], *, alignment: bool) -> Output:
    """The output for scores: - is standard output, as tsv. Raises DataError for an unsupported format, and for a file that is also
    `read`."""
    if name == "-":
        return StandardOutput(_table(sys.stdout, "\t", "standard output", alignment=alignment))
    path = Path(name)
    suffix = path.suffix.lower()
    if suffix not in (*_SEPARATORS, *_LINES_OF_JSON):
        raise DataError(f"`--output` must end in .tsv, .csv or .jsonl, as scores are written, but is {name}.")
    refuse_inputs(path, read)
    if suffix in _SEPARATORS:
        return FileOutput(path, lambda file: _table(file, _SEPARATORS[suffix], name, alignment=alignment))
    return FileOutput(path, lambda file: ScoreLines(file, alignment=alignment))


def _table(file: TextFile, separator: str, name: str, *, alignment: bool) -> InputTable:
    return InputTable(file, separator, name, lambda prediction: _summary(prediction, alignment=alignment))


@final
class ScoreLines(Writer):
    """A JSON object per line: the record, sum and mean, and the log-probability of each symbol."""

    def __init__(self, file: TextFile, *, alignment: bool):
        self._file, self._alignment = file, alignment

    def write(self, prediction: Prediction, record: Mapping[str, Any]) -> None:
        """Write one object. Raises DataError when the record has a column with the name of one of the scores."""
        added = _summary(prediction, alignment=self._alignment)
        if "error" in prediction.details:
            added["error"] = prediction.details["error"]
        else:
            added["token_scores"] = [_rounded(score) for score in prediction.hypothesis.step_scores]
            added |= {name: prediction.details[name] for name in ("target_pieces", "source_cut") if name in prediction.details}
        refuse_taken(record, added)
        print(json_text({**record, **added}, default=str), file=self._file)


def _summary(prediction: Prediction, *, alignment: bool) -> dict[str, Any]:
    """The columns of a table for a prediction; empty values for one that could not be scored."""
    is_scored = "error" not in prediction.details
    numbers = {"log_prob": prediction.hypothesis.log_prob, "score": prediction.hypothesis.score}
    found: dict[str, Any] = {name: _rounded(number) if is_scored else None for name, number in numbers.items()}
    return found | ({"word_alignment": prediction.details.get("word_alignment", "")} if alignment else {})


def _rounded(number: float) -> float | None:
    """A rounded number; None for minus infinity."""
    return round(number, _DIGITS) if math.isfinite(number) else None


def shown_record(record: Mapping[str, Any], task: Task) -> Mapping[str, Any]:
    """The columns of a record as they were read; for an item made of several records, those that identify it."""
    if not isinstance(task, MakesItems):
        return record
    return {name: value for name, value in record.items() if isinstance(value, str | int | float) and name != "error"}
