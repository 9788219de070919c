"""Functions that use an ability of a task (`abilities.py`) if it has it, and otherwise do the usual thing, so that callers need no case
distinction."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from antiphon.contracts.abilities import (
    Augments,
    Calibrates,
    HasBaselines,
    HasDetails,
    HasRemarks,
    KeepsTogether,
    MakesItems,
    ReadsInOrder,
    RestoresTargets,
    ShowsValues,
    SplitsInputs,
    Supervised,
    Tabular,
    Unfolds,
    WritesFiles,
    WritesText,
)
from antiphon.contracts.records import Record, Records
from antiphon.contracts.sequences import Prediction
from antiphon.contracts.task import Task


def restored(task: Task, record: Record) -> str | None:
    """The target of a record as a perfect model would output it, which may differ from the original text; None where it is not a text."""
    if isinstance(task, RestoresTargets):
        return task.restored(record)
    return str(task.target_text.decode(task.target_text.encode(task.reference(record)))) if isinstance(task, WritesText) else None


def augments(task: Task) -> bool:
    """Whether the task uses data augmentation in training."""
    return isinstance(task, Augments) and task.augments


def supervision(task: Task) -> tuple[str | None, str | None]:
    """The columns of record weights and of word alignments, which only training records must have; None where there is none."""
    return (task.weight_column, task.alignment_column) if isinstance(task, Supervised) else (None, None)


def key_columns(task: Task) -> tuple[str, ...]:
    """The columns that tell records apart when some are held out: those of the source, or all columns where the source is always empty."""
    if isinstance(task, KeepsTogether):
        return task.kept_together
    return tuple(column for column in task.source_columns if column in task.columns) or task.columns


def unfolded(task: Task, records: Records) -> Records:
    """The records split up so that each makes one example; they are returned unchanged if no record may hold several."""
    return task.unfold(records) if isinstance(task, Unfolds) else records


class Items(list[Any]):
    """The items that `items_of` has already made of records, such as windows of series."""


def items_of(task: Task, records: Iterable[Any], *, scored: bool = False) -> Iterator[Any]:
    """The items to predict one by one: the records (or texts) themselves, unless the task makes items of them."""
    if isinstance(records, Items):
        return iter(records)
    if isinstance(task, MakesItems):
        return task.items(records, scored=scored)
    return task.in_order(records) if isinstance(task, ReadsInOrder) else iter(records)


def parts_of(task: Task, record: Record) -> Sequence[Record]:
    """A record to predict, or the parts that the task splits it into."""
    return task.parts(record) if _splits_inputs(type(task)) else (record,)  # type: ignore[attr-defined]


def joined(task: Task, predictions: Sequence[Prediction], record: Record) -> Prediction:
    """The prediction for a record from those of its parts."""
    return task.joined(predictions, record) if _splits_inputs(type(task)) else predictions[0]  # type: ignore[attr-defined]


@cache
def _splits_inputs(kind: type) -> bool:
    """Cached, as it is called for every input: an isinstance check against a protocol takes as long as encoding a text."""
    return issubclass(kind, SplitsInputs)


def shown(task: Task, value: Any) -> str:
    """A prediction's value, or a reference, formatted for display."""
    return task.shown(value) if isinstance(task, ShowsValues) else str(value)


def rows_of(task: Task, prediction: Prediction) -> list[dict[str, Any]]:
    """A prediction as rows of a table: one row with the value, unless the task defines others."""
    return task.rows(prediction) if isinstance(task, Tabular) else [{"prediction": prediction.value}]


def writes_files(task: Task) -> bool:
    """Whether each prediction is written to a file of its own."""
    return isinstance(task, WritesFiles) and task.writes_files


def baselines_of(task: Task, items: Sequence[Record]) -> Mapping[str, Sequence[Any]]:
    """The predictions of the task's baselines, by name."""
    return task.baselines(items) if isinstance(task, HasBaselines) else {}


def details_of(
    task: Task,
    items: Sequence[Record],
    predictions: Sequence[Prediction],
    references: Sequence[Sequence[Any]],
    baselines: Mapping[str, Sequence[Any]],
) -> dict[str, Any]:
    """The task's details about predictions, beside the scores."""
    return task.details(items, predictions, references, baselines) if isinstance(task, HasDetails) else {}


def remarks_of(task: Task, items: Sequence[Record]) -> Sequence[str]:
    """The task's remarks on the scored items."""
    return task.remarks(items) if isinstance(task, HasRemarks) else ()


def load_calibration(task: Task, folder: Path) -> None:
    """Let the task load its calibration from a checkpoint's folder, if it has one."""
    if isinstance(task, Calibrates):
        task.load_calibration(folder)
