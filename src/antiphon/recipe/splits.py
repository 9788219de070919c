"""The splits of a recipe: opens records from files or from a Python program, holds out validation records, encodes and mixes them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from antiphon.contracts.abilities import EncodesParts, HoldsOut, JoinsFiles, KeepsTogether, OpensFiles, ReadsMatches, Tabular
from antiphon.contracts.asking import key_columns, supervision
from antiphon.contracts.corpus import WHOLE, StoredCorpus
from antiphon.contracts.limits import Limits
from antiphon.contracts.records import Record, Records
from antiphon.contracts.task import Task
from antiphon.data.fields import Column
from antiphon.data.file_records import FILE, STATE, UNIT
from antiphon.data.holding_out import split
from antiphon.data.mapped import MappedCorpus
from antiphon.data.mixing import MixedCorpus
from antiphon.data.records import JoinedRecords, OpenFile, open_parts, open_records
from antiphon.errors import ConfigError, DataError
from antiphon.recipe.recipe import Recipe

Given = Mapping[str, Any]
"""Data that a Python program hands over instead of files: split name -> records."""

Progress = Callable[[int], None]
"""Is told how many records were read."""


@dataclass(frozen=True)
class Split:
    """The records of one split, in parts with weights; `note` says how they were obtained, if that is not obvious."""

    name: str
    parts: tuple[tuple[Records, float], ...]
    note: str = ""

    def __iter__(self) -> Iterator[Record]:
        """Every record once."""
        return iter(self.whole)

    @property
    def whole(self) -> Records:
        """All parts joined into one."""
        return self.parts[0][0] if len(self.parts) == 1 else JoinedRecords([part for part, _ in self.parts])

    def count(self) -> int:
        """The number of records; reads all of them."""
        return sum(part.count() for part, _ in self.parts)


def open_splits(recipe: Recipe, task: Task, given: Given | None = None) -> dict[str, Split]:
    """The splits that the recipe or the caller gives: train, validation, test.

    Raises ConfigError when training records are missing, DataError when there are fewer than validation asks for.
    """
    sources = {name: getattr(recipe.data, name) for name in ("train", "validation", "test")}
    sources.update(given or {})
    if sources["train"] is None:
        raise ConfigError("`data.train` is missing: name the files to learn from.")
    splits = {
        name: open_split(name, source, task) for name, source in sources.items() if source is not None and not isinstance(source, int)
    }
    for name in ("test", "validation"):  # the test first, so that it stays the same whatever is validated on
        if isinstance(wanted := sources[name], int):
            splits["train"], splits[name] = _hold_out(splits["train"], wanted, recipe.seed, task, name)
    if isinstance(task, ReadsMatches):  # once nothing of what they are found in is to be held out
        found = task.matched({name: [part for part, _ in split.parts] for name, split in splits.items()})
        for name, split in splits.items():
            splits[name] = replace(split, parts=tuple((one, weight) for one, (_, weight) in zip(found[name], split.parts, strict=True)))
    return splits


def open_split(name: str, source: Any, task: Task, *, with_targets: bool = True) -> Split:
    """Records of a file, or of data passed by a Python program."""
    required = task.columns if with_targets else task.source_columns
    required = (*required, *filter(None, supervision(task))) if name == "train" else required
    required = asked_for(required, getattr(task, "settings", None))
    source_column, target_column = _aligned_columns(task, with_targets)
    parts = open_parts(source, required=required, source_column=source_column, target_column=target_column, open_file=_own_way(task))
    return Split(name, tuple(task.joined_files(parts) if isinstance(task, JoinsFiles) else parts))


def asked_for(columns: Sequence[str], settings: Any, path: str = "task") -> tuple[str, ...]:
    """The columns, each with the task setting that names it, if there is one."""
    named = dict(_named_columns(settings, path))
    return tuple(Column(name, named[name]) if name in named else name for name in columns)


def _named_columns(settings: Any, path: str) -> Iterator[tuple[str, str]]:
    """Possible names of columns, each with the path of its setting; if two settings have the same name, the last one counts."""
    for field in reversed(list(getattr(settings, "__dataclass_fields__", ()))):
        value, dotted = getattr(settings, field), f"{path}.{field}"
        if hasattr(value, "__dataclass_fields__"):
            yield from _named_columns(value, dotted)
        for name in [value] if isinstance(value, str) else value if isinstance(value, tuple | Mapping) else ():
            if isinstance(name, str) and field != "name":
                yield name, dotted


def unused_columns(split: Split, task: Task) -> tuple[str, ...]:
    """A sentence about columns of the first record that no setting names, if there are any: they are not used."""
    settings = getattr(task, "settings", None)
    if getattr(getattr(settings, "series_columns", None), "wide", False):  # each of them is a series
        return ()
    used = {*task.columns, *(name for name, _ in _named_columns(settings, "task")), FILE, UNIT, STATE}
    looked = list(islice(split, 100))
    columns = {name: [str(record.get(name)) for record in looked] for name in (looked[0] if looked else {})}
    said = [values for name, values in columns.items() if name in used]
    left = [str(name) for name, values in columns.items() if name not in used and values not in said]  # a copy says nothing new
    if not left:
        return ()
    shown = f"{', '.join(f'`{name}`' for name in left[:8])}{', ...' if len(left) > 8 else ''}"
    remedy = ""
    if isinstance(task, Tabular):
        remedy = " `task.known` names what is known in advance, such as a promotion; `task.past` and `task.static` what else may help."
    return (f"Nothing reads the column{'s' * (len(left) > 1)} {shown}.{remedy}",)


def _own_way(task: Task) -> OpenFile | None:
    """The task's own way to open files that are more than tables of values."""
    return task.open_file if isinstance(task, OpensFiles) else None


def _aligned_columns(task: Task, with_targets: bool) -> tuple[str, str]:
    """The columns for two line-aligned text files; the first one takes the text of a plain line to predict."""
    first, *others = task.columns
    return first if with_targets else task.source_columns[0], others[0] if others else "target"


def _hold_out(train: Split, wanted: int, seed: int, task: Task, name: str) -> tuple[Split, Split]:
    """Split validation records off the training data: as the task defines, or else drawn at random with the seed."""
    if isinstance(task, HoldsOut):
        chosen = [(*task.hold_out(part, wanted), weight) for part, weight in train.parts]
        kept = tuple((part, weight) for part, _, _, weight in chosen)
        note = " ".join(dict.fromkeys(note for _, _, note, _ in chosen))
        return Split("train", kept), Split(name, tuple((part, 1.0) for _, part, _, _ in chosen), note)
    columns = key_columns(task)
    named = isinstance(task, KeepsTogether) and not set(columns) & set(task.source_columns)
    found = split([part for part, _ in train.parts], columns, wanted, seed, named=named, name=name)
    kept = tuple((part, weight) for part, (_, weight) in zip(found.training, train.parts, strict=True) if part is not None)
    held = tuple((part, 1.0) for part in found.validation if part is not None)
    return Split("train", kept), Split(name, held, found.note)


def read_given(source: Any, task: Task, *, with_targets: bool) -> Records:
    """Records to evaluate or to predict."""
    required = asked_for(task.columns if with_targets else task.source_columns, getattr(task, "settings", None))
    source_column, target_column = _aligned_columns(task, with_targets)
    return open_records(source, required=required, source_column=source_column, target_column=target_column, open_file=_own_way(task))


def corpus_folder(folder: Path, split: Split, number: int) -> Path:
    """The folder for the corpus of one part of a split, within the folder of encoded data."""
    return folder / f"{split.name}-{number}"


def keeps_records(task: Task, split: str) -> bool:
    """Whether the corpus of a split needs its records: to show and score predictions, or to sample encodings."""
    return split == "validation" or task.samples_encodings


def build_corpora(
    split: Split, task: Task, folder: Path, limits: Limits, *, keep_records: bool, workers: int = 1, progress: Progress | None = None
) -> list[StoredCorpus]:
    """Encode a split into memory-mapped files, one corpus per part; those that are up to date are only opened.

    workers   how many processes encode, where the task lets several

    Raises DataError when records to learn from lack the column of their weights, which a folder of recordings cannot have.
    """
    (weight, _), corpora = supervision(task), list[StoredCorpus]()
    for number, (part, _) in enumerate(split.parts):
        place = corpus_folder(folder, split, number)
        if workers > 1 and isinstance(task, EncodesParts):
            task.build_part(part, place, WHOLE, limits=limits, keep_records=keep_records, workers=workers, progress=progress)
        corpus = task.build_corpus(part, place, limits=limits, keep_records=keep_records, progress=progress)
        if weight is not None and split.name == "train" and isinstance(corpus, MappedCorpus) and corpus.weights is None:
            raise DataError(f"`data.train` must have the column `{weight}`, as `task.weight` says, but {part.label(0)} has none.")
        corpora.append(corpus)
    return corpora


def mixed(corpora: Sequence[StoredCorpus], split: Split) -> StoredCorpus | MixedCorpus:
    """One corpus that mixes several, each shown as often as its weight says."""
    weights = [weight for _, weight in split.parts]
    if len(corpora) > 1 and any(getattr(corpus, "weighting", "windows") != "windows" for corpus in corpora):
        raise ConfigError("`task.weighting` needs all series in one file, since files have weights of their own. Join the files.")
    return corpora[0] if len(corpora) == 1 and weights == [1.0] else MixedCorpus(corpora, weights)
