"""The sources of records: files in a recipe, or Python objects. Both become a stream that can be opened anew and is never held in memory.

In a recipe a file is a path, a mapping, or a list of either:

    train: data/train.tsv.gz
    train: [{path: clean.tsv, weight: 2}, {path: crawled.csv.zst, columns: [source, target]}]
    train: {source: train.en, target: train.de}            two line-aligned text files

In Python it may also be any iterable of mappings, a function that returns one, or a polars or pandas frame.
"""

import csv
import hashlib
import json
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from glob import has_magic
from itertools import islice
from pathlib import Path
from typing import Any, final

import numpy as np

from antiphon.contracts.files import FileConfig, as_file
from antiphon.contracts.records import Record, Records, RecordSource, Skipped
from antiphon.data.content import content
from antiphon.data.fields import check_columns, with_fields
from antiphon.data.file_records import FileRecords, skipped_in
from antiphon.data.formats import holds_lines
from antiphon.data.named_files import files_of
from antiphon.errors import ConfigError, DataError

__all__ = [
    "ChosenRecords",
    "FirstRecords",
    "FrameRecords",
    "JoinedRecords",
    "MemoryRecords",
    "OpenFile",
    "SourceRecords",
    "TextRows",
    "open_parts",
    "open_records",
]


@final
class JoinedRecords(Records):
    """Several sources, one after another; record numbers run through all of them, with the gaps that a source has in its own."""

    def __init__(self, parts: Sequence[Records]):
        self.parts = tuple(parts)
        self._starts: list[int] = []

    def __call__(self) -> Iterator[tuple[int, Record]]:
        start, starts = 0, []
        for part in self.parts:
            starts.append(start)
            number = start - 1
            for own, record in part():
                number = start + own
                yield number, record
            start = number + 1
        self._starts = starts

    def skipped(self) -> Mapping[str, Skipped]:
        """The entries that all sources together left out."""
        return skipped_in(self.parts)

    def place(self, number: int) -> str:
        part, own = self._locate(number)
        return part.place(own)

    def label(self, number: int) -> str:
        part, own = self._locate(number)
        return part.label(own)

    def _locate(self, number: int) -> tuple[Records, int]:
        """The part with a record, and the record's number there; the beginnings of the parts are known once all have been read."""
        if len(self._starts) < len(self.parts):
            deque(self(), maxlen=0)
        owner = bisect_right(self._starts, number) - 1
        return self.parts[owner], number - self._starts[owner]

    def signature(self) -> str:
        return hashlib.sha256(json.dumps([part.signature() for part in self.parts]).encode()).hexdigest()


@final
class FirstRecords(Records):
    """The first `most` records of another source."""

    def __init__(self, records: Records, most: int):
        self.inner, self.most = records, most

    def __call__(self) -> Iterator[tuple[int, Record]]:
        return islice(self.inner(), self.most)

    def place(self, number: int) -> str:
        """The place of the record in the other source."""
        return self.inner.place(number)

    def label(self, number: int) -> str:
        """The label of the record in the other source."""
        return self.inner.label(number)

    def signature(self) -> str:
        """Depends on the other source and on the number."""
        return f"{self.inner.signature()}:{self.most}"


@final
class ChosenRecords(Records):
    """The records of another source with chosen numbers, or with `keep=False` all others."""

    def __init__(self, records: Records, numbers: frozenset[int], *, keep: bool):
        self.inner, self.numbers, self.keep = records, numbers, keep

    def __call__(self) -> Iterator[tuple[int, Record]]:
        return ((number, record) for number, record in self.inner() if (number in self.numbers) == self.keep)

    def place(self, number: int) -> str:
        """The place of the record in the other source."""
        return self.inner.place(number)

    def label(self, number: int) -> str:
        """The label of the record in the other source."""
        return self.inner.label(number)

    def skipped(self) -> Mapping[str, Skipped]:
        """The entries that the other source left out; reported only with `keep=False`, so that two parts do not count them twice."""
        return {} if self.keep else self.inner.skipped()

    def signature(self) -> str:
        """Depends on the other source and on the choice."""
        numbers = np.array(sorted(self.numbers), dtype=np.int64)
        return f"{self.inner.signature()}:{hashlib.sha256(numbers.tobytes()).hexdigest()}:{self.keep}"


class _Numbered(Records):
    """Records outside of files: their place is their number, their signature a hash of their content."""

    def place(self, number: int) -> str:
        return f"record {number}"

    def signature(self) -> str:
        digest = hashlib.sha256()
        for number, record in self():
            digest.update(content([number, dict(record)]).encode("utf-8", "surrogatepass") + b"\n")
        return digest.hexdigest()


@final
class SourceRecords(_Numbered):
    """A plain RecordSource, such as a function."""

    def __init__(self, source: RecordSource):
        self._source = source

    def __call__(self) -> Iterator[tuple[int, Record]]:
        return self._source()


@final
class MemoryRecords(_Numbered):
    """Records from Python: `opened` returns a new iterator over mappings each time."""

    def __init__(self, opened: Callable[[], Iterable[Any]], required: Sequence[str] = ()):
        self._opened = opened
        self._required = tuple(required)

    def __call__(self) -> Iterator[tuple[int, Record]]:
        for number, record in enumerate(self._opened()):
            if not isinstance(record, Mapping):
                raise DataError(
                    f"Record {number} must be a mapping of columns to values such as {{'source': ...}}, but is a {type(record).__name__}."
                )
            whole = with_fields(record, self._required)
            check_columns(whole, self._required, f"Record {number}")
            yield number, whole


@final
class FrameRecords(_Numbered):
    """The rows of a polars frame."""

    def __init__(self, frame: Any, required: Sequence[str] = ()):
        self.frame = frame.collect() if hasattr(frame, "collect") else frame
        self._rows = MemoryRecords(lambda: self.frame.iter_rows(named=True), required)

    def __call__(self) -> Iterator[tuple[int, Record]]:
        return self._rows()


@final
class TextRows(_Numbered):
    """Rows of csv that arrive line by line, and can be read only once; `name` is that of the stream."""

    def __init__(self, lines: Iterable[str], name: str):
        self._lines, self._name = lines, name

    def __call__(self) -> Iterator[tuple[int, Record]]:
        return enumerate(csv.DictReader(self._lines))

    def place(self, number: int) -> str:
        """The number of the row after the header."""
        return f"{self._name}, row {number + 1}"


OpenFile = Callable[[FileConfig, Path, Sequence[str]], Records | None]
"""Opens a file (relative to a folder, with columns that records must have) in a way of its own, or returns None."""


def open_records(
    source: Any,
    *,
    base: Path = Path(),
    required: Sequence[str] = (),
    source_column: str = "source",
    target_column: str = "target",
    open_file: OpenFile | None = None,
) -> Records:
    """Open records from any source as one stream; weights are ignored (`open_parts` keeps them).

    source          a path, a FileConfig, a mapping that is one, or a list of paths and FileConfigs; or in Python an iterable of
                    mappings, a function that returns one, a polars or a pandas frame
    base            the folder that relative paths start from
    required        columns that each record must have
    source_column   the columns that two line-aligned text files become; a single text file becomes the first of them
    target_column
    open_file       opens a file in a way of its own, or returns None

    Raises DataError, now or while reading, with the file and the line.
    """
    opened = open_parts(source, base=base, required=required, source_column=source_column, target_column=target_column, open_file=open_file)
    parts = [records for records, _ in opened]
    return parts[0] if len(parts) == 1 else JoinedRecords(parts)


def open_parts(
    source: Any,
    *,
    base: Path = Path(),
    required: Sequence[str] = (),
    source_column: str = "source",
    target_column: str = "target",
    open_file: OpenFile | None = None,
) -> list[tuple[Records, float]]:
    """Open each file separately, with its weight. Arguments and errors are those of `open_records`."""
    if isinstance(source, Records):
        return [(source, 1.0)]
    files = _files_of(source)
    if files is None:
        if type(source).__module__.startswith("polars."):
            return [(FrameRecords(source, required), 1.0)]
        return [(MemoryRecords(_opener(source), required), 1.0)]
    names = (source_column, target_column)

    def opened(file: FileConfig, name: str | None) -> Records:
        own = None if open_file is None else open_file(file, base, required)
        if own is None:
            _refuse_sides(files, target_column in required)
            return FileRecords(file, base, required, names, name)
        return own

    return [(opened(one, name), file.weight) for file in files for one, name in files_of(file, base)]


def _files_of(source: Any) -> tuple[FileConfig, ...] | None:
    """The files that `source` names, or None when it is the records themselves."""
    named = isinstance(source, str | Path | FileConfig | Mapping)
    if isinstance(source, list | tuple):
        named = bool(source) and all(isinstance(entry, str | Path | FileConfig) for entry in source)
    if not named:
        return None
    try:
        return tuple(as_file(entry) for entry in (source if isinstance(source, list | tuple) else [source]))
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _refuse_sides(files: Sequence[FileConfig], with_targets: bool) -> None:
    """Raise DataError for a list of two texts that were meant as the two sides of pairs: the files in a list are read one after another."""
    paths = [Path(file.path) for file in files if file.path is not None and file.format in (None, "txt") and not has_magic(file.path)]
    if with_targets and len(files) == len(paths) == 2 and all(map(holds_lines, paths)):
        raise DataError(
            f"`{paths[0]}` and `{paths[1]}` have one text a line, and a list is read one file after another. Name two"
            " files whose lines belong"
            f" together like this: {{source: {paths[0].name}, target: {paths[1].name}}}."
        )


def _opener(source: Any) -> Callable[[], Iterable[Any]]:
    """A function that opens the records anew."""
    if hasattr(source, "iloc") and hasattr(source, "to_dict"):  # pandas, which we never import
        return lambda: _pandas_rows(source)
    if callable(source):
        return source  # type: ignore[no-any-return]
    if isinstance(source, Iterator):
        return _once(source)
    if isinstance(source, Iterable):
        return lambda: source
    raise DataError(f"Records must be files, an iterable of mappings, or a polars or pandas frame, but are a {type(source).__name__}.")


def _pandas_rows(frame: Any, size: int = 1024) -> Iterator[Record]:
    for start in range(0, len(frame), size):
        yield from frame.iloc[start : start + size].to_dict("records")


def _once(iterator: Iterator[Any]) -> Callable[[], Iterable[Any]]:
    """An iterator can be read only once; raise an error rather than yield nothing the second time."""
    fresh = [iterator]

    def opened() -> Iterable[Any]:
        if not fresh:
            raise DataError(
                "The records must be read more than once, but are an iterator. Pass a list, or a function that returns an iterator."
            )
        return fresh.pop()

    return opened
