"""Selects some of a run's validation records, evenly spread: an exported model is compared on these."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from antiphon.contracts.abilities import MakesItems
from antiphon.contracts.task import Task
from antiphon.data.mapped import MappedCorpus
from antiphon.errors import ConfigError, DataError
from antiphon.prediction.scored_records import records_to_score
from antiphon.prediction.validation import spread
from antiphon.recipe.assembly import Trained, open_splits
from antiphon.recipe.recipe import Recipe
from antiphon.store.checkpoint import find_checkpoint


def validation_items(run: Path | str, trained: Trained, most: int, data: Any = None) -> list[Any]:
    """At most `most` items of the validation data, or of `data`, as a predictor takes them.

    They are those that the run has stored; where it stored none, the files of its recipe are read.
    Raises DataError or ConfigError when there are none.
    """
    if most < 1:
        return []
    stored = [] if data is not None or isinstance(trained.task, MakesItems) else _stored(folder_of(run))
    if stored:
        places = spread(sum(map(len, stored)), most)
        return [_record(stored, place) for place in places]
    source = validation_source(trained.recipe, trained.task) if data is None else data
    records, _ = records_to_score(source, trained.task, trained.recipe.data.limits, trained.model)
    return [records[place] for place in spread(len(records), most)]


def folder_of(run: Path | str) -> Path:
    """The run that a path means, which may be one of its checkpoints."""
    folder = find_checkpoint(run).resolve()
    return folder.parent.parent if folder.parent.name == "checkpoints" else folder


def _stored(run: Path) -> list[MappedCorpus]:
    """The validation data as stored by training; None if it is gone, was written by another version, or lacks its records."""
    try:
        corpora = [MappedCorpus(part) for part in sorted((run / "corpus").glob("validation-*"))]
    except (DataError, KeyError, OSError):
        return []
    return corpora if all(corpus.keeps_records for corpus in corpora) else []


def _record(corpora: Sequence[MappedCorpus], place: int) -> Any:
    for corpus in corpora:
        if place < len(corpus):
            return corpus.record(place)
        place -= len(corpus)
    raise IndexError(place)


def validation_source(recipe: Recipe, task: Task) -> Any:
    """The recipe's validation data. Raises ConfigError when it names none that can be read again."""
    named = recipe.data.validation
    if isinstance(named, int) and recipe.data.train is not None:
        return open_splits(recipe, task)["validation"].whole
    if named is None or isinstance(named, int):
        raise ConfigError("The recipe names no validation data that can be read again. Name a file with `--data`.")
    return named
