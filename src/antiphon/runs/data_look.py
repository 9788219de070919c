"""One pass over data without a recipe: finds out what each column contains."""

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np

from antiphon.contracts.abilities import OpensFiles
from antiphon.contracts.configuration import validate
from antiphon.contracts.drafting import ColumnFacts, Look
from antiphon.contracts.files import FileConfig
from antiphon.contracts.records import Records
from antiphon.contracts.task import Task, TaskPlugin
from antiphon.contracts.trust import OWN
from antiphon.data.audio import AUDIO_SUFFIXES
from antiphon.data.findings import content_hash
from antiphon.data.records import open_records
from antiphon.errors import DataError
from antiphon.features.times import read_time

_DISTINCT, _WORDS = 10_000, 2_000
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DIGITS = re.compile(r"\d")


@final
@dataclass
class _Column:
    """Collects statistics of a column."""

    name: str
    filled: int = 0
    numbers: int = 0
    times: int = 0
    sounds: int = 0
    different: set[int] = field(default_factory=set)
    lengths: "array[int]" = field(default_factory=lambda: array("I"))
    letters: set[str] = field(default_factory=set)
    vocabulary: Counter[str] | None = field(default_factory=Counter)

    def add(self, value: Any) -> None:
        """Add a value."""
        if value is None or value == "" or value != value:
            return
        self.filled += 1
        if len(self.different) < _DISTINCT:
            self.different.add(content_hash(value if isinstance(value, str) else repr(value)))
        if isinstance(value, int | float):
            self.numbers += 1
            self.lengths.append(1)
            return
        text = value if isinstance(value, str) else str(value)
        words = text.split()
        self.lengths.append(len(words))
        self.letters.update(text)
        self.numbers += _NUMBER.fullmatch(text) is not None
        self.times += _is_time(value)
        self.sounds += _is_sound(value, text)
        if self.vocabulary is not None:
            self.vocabulary.update(words)
            if len(self.vocabulary) > _WORDS:
                self.vocabulary = None

    def facts(self) -> ColumnFacts:
        """The statistics."""
        lengths = np.array(self.lengths, dtype=np.int64)
        return ColumnFacts(
            self.name,
            self.filled,
            self.numbers,
            self.times,
            self.sounds,
            len(self.different),
            int(lengths.sum()),
            lengths,
            len(self.letters),
            self.vocabulary,
        )


def look_at(
    plugin: TaskPlugin, files: Sequence[FileConfig], minutes: float, asked: Mapping[str, Any], say: Callable[[str], object]
) -> tuple[Look, Records]:
    """Look at files as a task would read them; also returns the records. `asked` holds the user's own settings, by dotted path.

    Raises DataError for files that cannot be read, or in which there is nothing.
    """
    settings = {key.removeprefix("task."): value for key, value in asked.items() if key.startswith("task.")}

    def reopened(changes: Mapping[str, Any]) -> Records:
        return opened(plugin, files, {**settings, **changes})

    columns: dict[str, _Column] = {}
    records, count = reopened({}), 0
    for count, record in enumerate(records, start=1):
        for name, value in _flat(record):
            (columns.get(name) or columns.setdefault(name, _Column(name))).add(value)
        if count % 100_000 == 0:
            say(f"{count:,} records looked at")
    if not count:
        skipped = ", ".join(f"{one.count:,} {reason}" for reason, one in records.skipped().items())
        raise DataError(f"There is nothing to learn from in these files: 0 records{f'; left out: {skipped}' if skipped else ''}.")
    return Look(count, {name: column.facts() for name, column in columns.items()}, reopened, minutes, asked), records


def opened(plugin: TaskPlugin, files: Sequence[FileConfig], settings: Mapping[str, Any]) -> Records:
    """The records of files, as a task with these settings opens them; no columns are required."""
    task = _task(plugin, settings)
    first, *others = task.columns
    opened_by = partial(
        open_records,
        tuple(files),
        source_column=first,
        target_column=others[0] if others else "target",
        open_file=task.open_file if isinstance(task, OpensFiles) else None,
    )
    wanted = opened_by(required=task.columns)
    try:
        next(iter(wanted), None)
    except DataError:  # columns of other names, which are to be guessed
        return opened_by()
    return wanted  # only where a target is required are units without one left out


def _task(plugin: TaskPlugin, settings: Mapping[str, Any]) -> Task:
    """The task, as far as it is known."""
    fields = plugin.Config.__dataclass_fields__
    known = {name: value for name, value in settings.items() if name in fields}
    needed = {"horizon": 1} if "horizon" in fields and "horizon" not in known else {}
    task: Task = plugin.build(validate(plugin.Config, {"name": plugin.name, **needed, **known}, trust=OWN))
    return task


def _flat(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The values of a record; fields within a column get dotted names, unless they are audio."""
    for name, value in record.items():
        if isinstance(value, Mapping) and not {"path", "bytes", "array"} & set(value):
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        else:
            yield str(name), value


def _is_time(value: Any) -> bool:
    if isinstance(value, str) and (len(value) > 40 or not _DIGITS.match(value) or value.isdigit()):
        return False
    try:
        read_time(value)
    except DataError:
        return False
    return True


def _is_sound(value: Any, text: str) -> bool:
    return isinstance(value, Mapping) or (len(text) < 1000 and Path(text).suffix.lower() in AUDIO_SUFFIXES)
