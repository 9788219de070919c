"""Opens the inputs that a command line names: files, folders, recordings, or the lines of standard input.

Unusual here: standard input is read by blocks, straight from the system, so that it can be asked whether a line is there. A line that is
no UTF-8 keeps its place: its bytes stay in the text (`surrogateescape`), for the predictor to refuse that input alone.
"""

import os
import select
import shlex
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from antiphon.contracts.abilities import Tabular
from antiphon.contracts.files import FileConfig, is_remote
from antiphon.contracts.records import Records, Skipped
from antiphon.contracts.task import Task
from antiphon.data.audio_archives import in_archive
from antiphon.data.documents import FILE, DocumentFolder
from antiphon.data.file_records import FileRecords
from antiphon.data.formats import recognized
from antiphon.data.records import JoinedRecords, TextRows
from antiphon.errors import ConfigError, DataError
from antiphon.recipe.assembly import read_given

_BLOCK = 1 << 16
_EXACT = 20  # so many inputs are named by line, also where lines must be counted for it
_MOMENT = 0.05  # seconds to wait for a line before those that are there are answered


def runs_and_files(named: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The runs, and the files after them: a run is a folder, so a file must be an input. Raises ConfigError for what is neither."""
    files = [path for path in named if path.is_file() or in_archive(path) is not None]
    runs = [path for path in named if path not in files]
    if not runs:
        raise ConfigError(f"`antiphon predict` needs a run before the inputs, but {files[0]} is a file.")
    for path in runs[1:]:
        if is_remote(path):
            continue
        if not path.exists():
            raise ConfigError(
                f"There is no file {path} to predict, nor a run of this name. A text is given on standard input:"
                f" echo {shlex.quote(str(path))} | antiphon predict {runs[0]}"
            )
        if not any((path / name).exists() for name in ("best", "last", "checkpoint.json")):
            raise ConfigError(f"{path} is no run. A folder of inputs is named by `--input {path}`.")
    return runs, files


def open_inputs(named: Sequence[Path | FileConfig], task: Task) -> "Inputs":
    """The records of files or of one folder; without any, the lines of standard input, which are csv for a task with tables."""
    if not named:
        lines = StandardInput(sys.stdin.buffer)
        tabular = isinstance(task, Tabular)
        items = TextRows(lines.decoded(strict=True), "standard input") if tabular else _texts(lines)
        return Inputs(items, task, live=lines, are_lines=not tabular)
    records = read_given(named[0] if len(named) == 1 else tuple(named), task, with_targets=False)
    if isinstance(records, DocumentFolder):
        return Inputs(records, task, documents=records.names, paths=[records.folder / name for name in records.names])
    files = records.parts if isinstance(records, JoinedRecords) else (records,)
    paths: Iterable[Path] = paths_of(records) or [one.expanduser() for one in named if isinstance(one, Path)]
    read = [file for file in files if isinstance(file, FileRecords)]
    if isinstance(named[0], Path) and named[0].is_dir() and not read:
        paths = (Path(str(record[task.source_columns[0]])) for record in records)  # recordings
    all_read = len(read) == len(files)
    are_lines = all_read and all(file.format == "txt" for file in read)
    return Inputs(records, task, paths=paths, are_lines=are_lines, places=records if all_read else None, files=read if all_read else ())


def _texts(lines: "StandardInput") -> Iterator[str]:
    """The lines of standard input as texts. Raises DataError if they look like another file format."""
    if (plugin := recognized(lines.opening())) is not None and plugin.back is not None:
        suffix = plugin.suffixes[0]
        raise DataError(
            f"Standard input must be lines of text, but looks like a {suffix} file. Name the file:"
            f" `--input in{suffix} --output out{suffix}`."
        )
    yield from lines.decoded()


def paths_of(records: Records) -> list[Path]:
    """The files that records are read from; none where they come from elsewhere."""
    files = records.parts if isinstance(records, JoinedRecords) else (records,)
    return [path for file in files if isinstance(file, FileRecords) for path in file.paths]


@final
class Inputs:
    """Inputs one by one; the record of each (its source, an id, a title, a file name) is kept for its prediction.

    documents   the names of the documents where each is a file of a folder
    paths       the files that are read; looked at once at most
    are_lines   whether each is a line of a text, in which blank lines may stand
    places      records that know where each of them stands
    files       the files that are read, where a reader reads all of them
    whole       all of them as records, for a task that makes something else of rows; None where they come one by one
    """

    def __init__(
        self,
        items: Iterable[Any],
        task: Task,
        *,
        documents: Sequence[str] | None = None,
        paths: Iterable[Path] = (),
        live: "StandardInput | None" = None,
        are_lines: bool = False,
        places: Records | None = None,
        files: Sequence[FileRecords] = (),
    ):
        self.documents, self.paths, self.are_lines, self.files = documents, paths, are_lines, files
        self.whole = items if isinstance(items, Records) else None
        self._places, self._named = places, 0
        self._items, self._live = iter(items), live
        self._source = None if isinstance(task, Tabular) else task.source_columns[0]
        self._records: deque[Mapping[str, Any]] = deque()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        item = next(self._items)
        if self._source is not None:  # rows of a table are no inputs by themselves
            self._records.append(item if isinstance(item, Mapping) else {self._source: item})
        return item

    def stream(self) -> Iterator[Any]:
        """The inputs as an iterator, which has `is_ready` only if they may have to be waited for."""
        return (item for item in self) if self._live is None else self

    def is_ready(self) -> bool:
        """Whether the next input is available; always true for files."""
        return self._live is None or self._live.is_ready()

    @property
    def are_typed(self) -> bool:
        """Whether the inputs are typed into a terminal."""
        return self._live is not None and self._live.is_terminal

    def answered(self) -> Mapping[str, Any]:
        """The record of the next input that gets its prediction; call it once for each prediction. None for rows of a table."""
        return self._records.popleft() if self._records else {}

    def skipped(self) -> Mapping[str, Skipped]:
        """The entries of the files that are no inputs, by reason, once all inputs have been read."""
        return {} if self.whole is None else self.whole.skipped()

    def name(self, number: int, record: Mapping[str, Any]) -> str:
        """The name of input `number`, from 1, for messages: its file, or file and line; empty if only the number identifies it."""
        if FILE in record and self.documents is not None:
            return str(record[FILE])
        if self._source is None or self._places is None:
            return ""
        self._named += 1  # to find a line may mean to read the file again
        return self._places.place(number - 1) if self._named <= _EXACT else self._places.label(number - 1)


@final
class StandardInput:
    """Lines of bytes, without line ends; can tell whether the next one is available."""

    def __init__(self, stream: Any):
        try:
            descriptor: int | None = stream.fileno()
        except (AttributeError, OSError):  # what stands in for it in memory
            descriptor = None
        self._descriptor = descriptor
        self._read: Callable[[], bytes] = (lambda: stream.read(_BLOCK)) if descriptor is None else (lambda: os.read(descriptor, _BLOCK))
        self.is_terminal = descriptor is not None and os.isatty(descriptor)
        self._lines: deque[bytes] = deque()
        self._rest = bytearray()
        self._ended = False

    def is_ready(self) -> bool:
        """Whether the next line, or the end, is available; waits a moment for it, unless it is typed by a person, who waits for the
        answer."""
        until = time.monotonic() + (0.0 if self.is_terminal else _MOMENT)
        while not self._lines and not self._ended:
            if self._descriptor is not None:
                readable, _, _ = select.select([self._descriptor], [], [], max(0.0, until - time.monotonic()))
                if not readable:
                    return False
            self._fill()
        return True

    def opening(self) -> bytes:
        """The first bytes, without consuming them; waits until they are available."""
        if not self._lines and not self._ended:
            self._fill()
        return b"\n".join([*self._lines, bytes(self._rest)])

    def decoded(self, *, strict: bool = False) -> Iterator[str]:
        """The lines as texts. Bytes that are not UTF-8 are kept in them, or with `strict` raise a DataError that names the line."""
        number = 0
        while (line := self._line()) is not None:
            number += 1
            try:
                text = line.decode("utf-8", "strict" if strict else "surrogateescape")
            except UnicodeDecodeError as error:
                raise DataError(f"Standard input, line {number}, must be UTF-8, but byte {error.start + 1} is not.") from error
            yield (text.removeprefix("\ufeff") if number == 1 else text).rstrip("\r")

    def _line(self) -> bytes | None:
        """The next line, after waiting for it; None at the end."""
        while not self._lines and not self._ended:
            self._fill()
        return self._lines.popleft() if self._lines else None

    def _fill(self) -> None:
        block = self._read()
        self._rest += block
        self._ended = not block
        if b"\n" in block:
            *lines, rest = bytes(self._rest).split(b"\n")
            self._lines.extend(lines)
            self._rest = bytearray(rest)
        elif self._ended and self._rest:
            self._lines.append(bytes(self._rest))
            self._rest.clear()
