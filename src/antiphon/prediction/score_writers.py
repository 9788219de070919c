"""How scores of given targets are written: a line for each record, with all its columns and behind them what the model thinks of it."""

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
    """Where scores go: - is standard output, as tsv. Raises DataError for a file of another kind, and for one that is `read`."""
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
    """A JSON object a line: the record, the sum and the mean, and the log-probability of each symbol."""

    def __init__(self, file: TextFile, *, alignment: bool):
        self._file, self._alignment = file, alignment

    def write(self, prediction: Prediction, record: Mapping[str, Any]) -> None:
        """One object. Raises DataError when the record has a column of a name that is ours."""
        added = _summary(prediction, alignment=self._alignment)
        if "error" in prediction.details:
            added["error"] = prediction.details["error"]
        else:
            added["token_scores"] = [_rounded(score) for score in prediction.hypothesis.step_scores]
            added |= {name: prediction.details[name] for name in ("target_pieces", "source_cut") if name in prediction.details}
        refuse_taken(record, added)
        print(json_text({**record, **added}, default=str), file=self._file)


def _summary(prediction: Prediction, *, alignment: bool) -> dict[str, Any]:
    """What a table has of a prediction; nothing of one that could not be scored."""
    is_scored = "error" not in prediction.details
    numbers = {"log_prob": prediction.hypothesis.log_prob, "score": prediction.hypothesis.score}
    found: dict[str, Any] = {name: _rounded(number) if is_scored else None for name, number in numbers.items()}
    return found | ({"word_alignment": prediction.details.get("word_alignment", "")} if alignment else {})


def _rounded(number: float) -> float | None:
    """A number; None where nothing is that improbable."""
    return round(number, _DIGITS) if math.isfinite(number) else None


def shown_record(record: Mapping[str, Any], task: Task) -> Mapping[str, Any]:
    """The columns of a record as they were read; of what a task made of several records, what names it."""
    if not isinstance(task, MakesItems):
        return record
    return {name: value for name, value in record.items() if isinstance(value, str | int | float) and name != "error"}
