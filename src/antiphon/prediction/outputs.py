"""Writes predictions to standard output, to a file, or to a folder with a file for each.

Unusual here: a file is written beside its place, as NAME.partial, and takes that place when it is complete. So an earlier output is never
lost to a run that fails, and what such a run has answered in hours stays, too, under a name that says what it is.
"""

import hashlib
import itertools
import os
import stat
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, final

from antiphon.contracts.abilities import Tabular, WritesFiles
from antiphon.contracts.asking import writes_files
from antiphon.contracts.files import is_remote
from antiphon.contracts.sequences import Prediction
from antiphon.contracts.task import Task
from antiphon.errors import DataError
from antiphon.prediction.inputs import Inputs
from antiphon.prediction.output_kinds import Kind, kind_of
from antiphon.prediction.writers import TextFile, Writer, writer_for
from antiphon.store.atomic import replacing
from antiphon.store.remote import Storage, cache_folder


class Output(ABC):
    """Receives predictions within a `with` block; at its end they are in place."""

    count: int = 0
    """How many were written."""
    is_seen: bool = True
    """Whether something of each appears on standard output."""
    left: Sequence[str] = ()
    """What could not be written where it belongs, a sentence each."""
    has_details: bool = False
    """Whether it shows `details`, or values alone."""

    @abstractmethod
    def write(self, prediction: Prediction, record: Mapping[str, Any]) -> None:
        """Write a prediction for a record."""

    @property
    def remark(self) -> str:
        """A sentence that readers of the output should know; empty if there is nothing to say."""
        return ""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the predictions written so far are after a failure, as the end of a sentence."""

    @abstractmethod
    def open(self) -> None:
        """Begin."""

    @abstractmethod
    def close(self, failure: type[BaseException] | None) -> None:
        """End writing; `failure` is the error that ended the block, if any."""

    def __enter__(self) -> "Output":
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close(kind)


def open_output(name: str, task: Task, inputs: Inputs, *, as_json: bool) -> Output:
    """The output that `name` asks for; - is standard output, and a name that ends in / or is a folder asks for a file for each.

    Raises DataError when it would replace one of the inputs, or a file in a folder, or has the suffix of what is not written.
    """
    if name == "-":
        table = isinstance(task, Tabular)
        kind: Kind = "json" if as_json else "file" if writes_files(task) else "csv" if table else "lines"
        return _showing(kind, StandardOutput(writer_for(sys.stdout, kind, task, name="standard output")))
    if is_remote(name):
        return _sent_output(name, task, as_json=as_json)
    path = Path(name)
    if not as_json and (name.endswith("/") or path.is_dir()):
        return FolderOutput(path, task, inputs)
    refuse_inputs(path, inputs.paths)
    kind = kind_of(path, task, as_json=as_json)
    return _showing(kind, FileOutput(path, lambda file: writer_for(file, kind, task, name=str(path))))


def _sent_output(url: str, task: Task, *, as_json: bool) -> Output:
    """An output that is written on this machine and uploaded to a remote storage when it is complete."""
    if url.endswith("/"):
        raise DataError(f"`--output {url}` cannot hold a file for each input. Write them into a folder of this machine, and copy that.")
    kind = kind_of(Path(url), task, as_json=as_json)
    path = cache_folder() / "outputs" / hashlib.sha256(url.encode()).hexdigest()[:12] / url.rpartition("/")[2]
    storage = Storage(url)
    storage.exists()  # a storage that cannot be reached says so before anything is predicted
    path.parent.mkdir(parents=True, exist_ok=True)
    return _showing(kind, SentOutput(FileOutput(path, lambda file: writer_for(file, kind, task, name=url)), path, storage))


def _showing(kind: Kind, output: Output) -> Output:
    output.has_details = kind in ("json", "jsonl")
    return output


def refuse_inputs(path: Path, read: Iterable[Path]) -> None:
    """Raise DataError when an output would overwrite an input."""
    for one in read if path.exists() else ():
        if one.exists() and os.path.samefile(path, one):
            raise DataError(f"`--output` must be another file than the input {one}, which would be replaced.")


@final
class StandardOutput(Output):
    """Writes each prediction at once, so that the next program in a pipe can read it."""

    def __init__(self, writer: Writer):
        self._writer = writer

    @property
    def remark(self) -> str:
        """The remark of the writer."""
        return self._writer.remark

    @property
    def place(self) -> str:
        """Standard output."""
        return "on standard output"

    def write(self, prediction: Prediction, record: Mapping[str, Any]) -> None:
        """Write and flush."""
        self._writer.write(prediction, record)
        self.count += 1  # first, since who reads it may stop us at once
        sys.stdout.flush()

    def open(self) -> None:
        """Nothing to open."""

    def close(self, failure: type[BaseException] | None) -> None:
        """Write the end of the format, unless the reader is gone."""
        if failure is None or not issubclass(failure, OSError):
            self._writer.finish()


@final
class FileOutput(Output):
    """A file, written as NAME.partial beside its place. A device or a pipe is written directly."""

    is_seen = False

    def __init__(self, path: Path, writer_into: Callable[[TextFile], Writer]):
        self._writer_into, self._path = writer_into, path
        self._is_file = not path.exists() or stat.S_ISREG(path.stat().st_mode)
        target = path.resolve() if path.is_symlink() else path  # of a link the file behind it is written
        self._target, self._partial = target, target.with_name(f"{target.name}.partial") if self._is_file else target
        self._file: IO[str] | None = None
        self._writer: Writer | None = None

    @property
    def remark(self) -> str:
        """The remark of the writer."""
        return "" if self._writer is None else self._writer.remark

    @property
    def place(self) -> str:
        """The partial file."""
        left = f"; {self._path} is as it was before" if self._is_file and self._target.exists() else ""
        return f"in {self._partial}{left}"

    def write(self, prediction: Prediction, record: Mapping[str, Any]) -> None:
        """Write to the file, which is buffered."""
        assert self._writer is not None, "written within a `with` block"
        with _naming(self._partial):
            self._writer.write(prediction, record)
        self.count += 1

    def open(self) -> None:
        """Open the partial file. Raises DataError when it cannot be written, or is left from another run."""
        try:
            with _naming(self._partial):
                # What is no UTF-8, such as a file's name, becomes an escape, which JSON reads, too.
                self._file = open(self._partial, "x" if self._is_file else "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
        except FileExistsError as error:
            raise DataError(
                f"{self._partial} is there already: another run writes it, or one that was stopped has left it. Move it, or remove it."
            ) from error
        self._writer = self._writer_into(self._file)

    def close(self, failure: type[BaseException] | None) -> None:
        """Move the file to its place, or after a failure keep what was written under its partial name."""
        assert self._file is not None, "opened before"
        assert self._writer is not None, "opened before"
        if failure is not None:
            with suppress(OSError):  # the first error is told
                self._writer.finish()
            with suppress(OSError):
                self._file.close()
            if self._is_file and not self.count:
                self._partial.unlink(missing_ok=True)
            return
        with _naming(self._partial):
            self._writer.finish()
            self._file.flush()
            if self._is_file:
                os.fsync(self._file.fileno())
            self._file.close()
            if self._is_file:
                os.replace(self._partial, self._target)


@final
class SentOutput(Output):
    """A file on this machine, which is uploaded to a remote storage once it is complete. Until then nothing is there."""

    is_seen = False

    def __init__(self, inner: FileOutput, path: Path, storage: Storage):
        self._inner, self._path, self._storage = inner, path, storage

    @property
    def remark(self) -> str:
        """The remark of the file."""
        return self._inner.remark

    @property
    def place(self) -> str:
        """The file on this machine."""
        return self._inner.place

    def write(self, prediction: Prediction, record: Mapping[str, Any]) -> None:
        """Write to the file."""
        self._inner.write(prediction, record)
        self.count += 1

    def open(self) -> None:
        """Open the file."""
        self._inner.open()

    def close(self, failure: type[BaseException] | None) -> None:
        """Close the file and upload it. Raises DataError if that fails, and says where the file is."""
        self._inner.close(failure)
        if failure is None:
            try:
                self._storage.send(self._path)
            except DataError as error:
                self.count = 0  # the error says where they are
                raise DataError(f"{error} All that was predicted is in {self._path}.") from error
            self._path.unlink()


@final
class FolderOutput(Output):
    """A file for each prediction, named after its document or recording; the names are printed. Nothing is overwritten."""

    def __init__(self, folder: Path, task: Task, inputs: Inputs):
        self._folder = folder
        self._task = task if isinstance(task, WritesFiles) and writes_files(task) else None
        self._documents: Iterator[str] = iter(inputs.documents or ())
        self._made: set[Path] = set()
        if self._task is None and inputs.documents is None:
            raise DataError(
                f"`--output` must be a file unless `--input` is a folder of texts, but {folder} is a folder. Name one, such as out.jsonl."
            )
        if self._task is None:
            self._refuse([folder / name for name in inputs.documents or ()])

    @property
    def place(self) -> str:
        """The folder."""
        return f"in {self._folder}"

    def write(self, prediction: Prediction, record: Mapping[str, Any]) -> None:
        """Write a complete file and print its name; prints an empty line if there is no prediction."""
        path: Path | None
        if self._task is None:
            path, content = self._folder / next(self._documents), f"{prediction.value}\n" if prediction.value else ""
        else:
            own = self._task.file_of(prediction)
            path, content = (None, "") if own is None else (self._free(own.name), own.content)
        if path is not None:
            self._refuse([path])
            with _naming(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                with replacing(path) as file:
                    file.write(content)
        print("" if path is None else path, flush=True)
        self.count += 1

    def _free(self, name: str) -> Path:
        """A name that no other prediction has: among recordings of the same name, in several folders, the second becomes `name-2.srt`."""
        wanted = self._folder / name
        places = (wanted.with_stem(f"{wanted.stem}{again}") for again in itertools.chain([""], itertools.count(-2, -1)))
        path = next(place for place in places if place not in self._made)
        self._made.add(path)
        return path

    @staticmethod
    def _refuse(paths: Sequence[Path]) -> None:
        there = next((path for path in paths if path.exists()), None)
        if there is not None:
            raise DataError(f"{there} exists already. Choose another folder, or remove it.")

    def open(self) -> None:
        """Nothing to open: each file is opened separately."""

    def close(self, failure: type[BaseException] | None) -> None:
        """Nothing to close: written files are complete."""


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in errors about writing it."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from error
