"""Divides inputs into numbered blocks, which are the same for every process that reads the same files with the same block size.

A block is a range of records of one file; where a task makes its items of all rows together, as of series, a range of these items.
Unusual here: each block must be found from its number alone, but most formats can only be read from the beginning. So a process that takes
its blocks in ascending order reads each file once, from block to block.
"""

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, final

from antiphon.contracts.abilities import Tabular
from antiphon.contracts.asking import Items, items_of
from antiphon.contracts.files import FileConfig
from antiphon.contracts.reader import settings_of
from antiphon.contracts.records import Records
from antiphon.contracts.task import Task
from antiphon.data.content import content
from antiphon.data.file_records import FileRecords
from antiphon.data.records import JoinedRecords
from antiphon.errors import DataError
from antiphon.prediction.documents import Continues
from antiphon.recipe.assembly import read_given
from antiphon.store.checkpoint import digest


@dataclass(frozen=True)
class Block:
    """The records of one part of the inputs from `start` up to, but without, `stop`, counted from 0; `number` is the block's own, from
    0."""

    number: int
    part: int
    start: int
    stop: int


@dataclass(frozen=True)
class Entry:
    """An input: what is predicted, its record, and its number in its part."""

    number: int
    item: Any
    record: Mapping[str, Any]


def divided(counts: Sequence[int], size: int | None) -> list[Block]:
    """The blocks of parts with the given numbers of inputs; with `size` None every part is one block."""
    found = list[Block]()
    for part, count in enumerate(counts):
        step = size or max(1, count)
        for start in range(0, count, step):
            found.append(Block(len(found), part, start, min(start + step, count)))
    return found


def is_cut(task: Task) -> bool:
    """Whether a part may be divided: not where an output depends on the outputs for earlier inputs."""
    return not (isinstance(task, Continues) and task.continues)


@final
class Part:
    """A file of the inputs, or all files if they belong together.

    name       what people call it
    are_lines  whether each input is a line of a text, in which blank lines may stand
    """

    def __init__(self, records: Records, task: Task, number: int):
        files = [one for one in (records.parts if isinstance(records, JoinedRecords) else (records,)) if isinstance(one, FileRecords)]
        self.records, self._task = records, task
        self.name = ", ".join(str(path) for file in files for path in file.paths) or f"input {number + 1}"
        self.are_lines = bool(files) and all(file.format == "txt" for file in files)
        self.paths: Sequence[Path] = [path for file in files for path in file.paths]

    def __iter__(self) -> Iterator[Entry]:
        """All inputs, from the first."""
        if isinstance(self._task, Tabular):
            yield from (Entry(number, item, {}) for number, item in enumerate(items_of(self._task, self.records)))
            return
        given: deque[tuple[int, Any]] = deque()
        column = self._task.source_columns[0]

        def noted() -> Iterator[Any]:
            for number, record in self.records():
                given.append((number, record))
                yield record

        for item in items_of(self._task, noted()):
            number, record = given.popleft()
            yield Entry(number, item, record if isinstance(record, Mapping) else {column: record})

    def digest(self) -> str:
        """A hash of the content: of the files' bytes, or of the records if they come from no file."""
        total = hashlib.sha256()
        for one in self.records.parts if isinstance(self.records, JoinedRecords) else (self.records,):
            if isinstance(one, FileRecords):
                total.update(f"{one.format} {content(settings_of(one.file))}\n".encode())
                for path in one.files():
                    if path.is_file():
                        total.update(f"{path.name} {digest(path)}\n".encode("utf-8", "surrogateescape"))
            else:
                for number, record in one():
                    total.update(content([number, dict(record)]).encode("utf-8", "surrogatepass") + b"\n")
        return total.hexdigest()

    def place(self, number: int) -> str:
        """The place of an input, for messages; empty if only its number identifies it."""
        return "" if isinstance(self._task, Tabular) else self.records.label(number)


def open_input_parts(named: Sequence[Path | FileConfig], task: Task) -> list[Part]:
    """The parts of the inputs that a command line names."""
    records = read_given(named[0] if len(named) == 1 else tuple(named), task, with_targets=False)
    found = records.parts if isinstance(records, JoinedRecords) and not isinstance(task, Tabular) else (records,)
    return [Part(one, task, number) for number, one in enumerate(found)]


@final
class BlockReader:
    """Reads blocks; in ascending order each part is read once."""

    def __init__(self, parts: Sequence[Part]):
        self._parts = parts
        self._part, self._at = -1, 0
        self._open: Iterator[Entry] = iter(())

    def read(self, block: Block) -> list[Entry]:
        """The inputs of a block. Raises DataError when the file has become shorter."""
        if block.part != self._part or block.start < self._at:
            self._part, self._at, self._open = block.part, 0, iter(self._parts[block.part])
        deque(islice(self._open, block.start - self._at), maxlen=0)
        found = list(islice(self._open, block.stop - block.start))
        self._at = block.stop
        if len(found) < block.stop - block.start:
            raise DataError(f"{self._parts[block.part].name} has changed since it was counted: it has fewer than {block.stop:,} inputs.")
        return found


def made(entries: Sequence[Entry]) -> Items:
    """The items to predict for a block."""
    return Items(entry.item for entry in entries)
