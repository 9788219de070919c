"""Selects some of a run's training examples, evenly spread: the counts of a shortlist are made from these."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from antiphon.contracts.asking import items_of
from antiphon.contracts.records import Record, Records
from antiphon.contracts.sequences import Example
from antiphon.contracts.task import Task
from antiphon.data.limits import Tally, fitting, shortened
from antiphon.data.mapped import MappedCorpus
from antiphon.errors import ConfigError, DataError, ExportError
from antiphon.prediction.validation import spread
from antiphon.recipe.assembly import Trained, open_splits, read_given
from antiphon.runs.validation_records import folder_of

MOST = 100_000
"""More examples change a shortlist little."""


def training_examples(run: Path | str, trained: Trained, data: Any = None) -> list[Example]:
    """At most 100,000 examples of the training data, or of `data`, with targets.

    They are those that the run has stored; where it stored none, the files of its recipe are read. Raises ExportError when there are none.
    """
    if data is None:
        stored = _stored(folder_of(run))
        if stored:
            places = spread(sum(map(len, stored)), MOST)
            return list(_examples(stored, places))
    try:
        records = _training_data(trained) if data is None else read_given(data, trained.task, with_targets=True)
        chosen = set(spread(records.count(), MOST))
        found = list(_encoded(trained, (record for number, record in records() if number in chosen)))
    except (ConfigError, DataError, OSError) as error:
        if data is not None:
            raise
        raise ExportError(
            f"A shortlist is counted on training data, and that of {run} cannot be read: {str(error).rstrip('.')}. Name pairs with"
            " `--shortlist-data FILE`."
        ) from error
    if not found:
        raise ExportError("A shortlist is counted on pairs of texts, but the data has none that the model can read. Name other pairs.")
    return found


def _training_data(trained: Trained) -> Records:
    return open_splits(trained.recipe, trained.task)["train"].whole


def _stored(run: Path) -> list[MappedCorpus]:
    """The training data as stored by the run; None if it is gone, was written by another version, or is encoded anew each time."""
    try:
        return [MappedCorpus(part) for part in sorted((run / "corpus").glob("train-*"))]
    except (DataError, KeyError, OSError):
        return []


def _examples(corpora: list[MappedCorpus], places: list[int]) -> Iterator[Example]:
    first, left = 0, iter(places)
    place = next(left, None)
    for corpus in corpora:
        while place is not None and place < first + len(corpus):
            yield corpus.example(place - first)
            place = next(left, None)
        first += len(corpus)


def _encoded(trained: Trained, records: Iterator[Record]) -> Iterator[Example]:
    """The encoded examples that fit into the model."""
    task: Task = trained.task
    limits, tally = fitting(trained.recipe.data.limits, trained.model), Tally()
    for number, item in enumerate(items_of(task, records)):
        example: Example | None = task.encode(item, number)
        if example is not None:
            example = shortened(example, limits, task.source_spec, task.target_spec, tally, f"Record {number}")
        if example is not None and example.target is not None and len(example.target) > 1:
            yield example
