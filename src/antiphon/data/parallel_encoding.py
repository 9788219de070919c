"""Encodes a corpus with several processes, here or on several machines that share a disk.

Each process reads all records and encodes every n-th block of them: reading a row is quick beside encoding it, and nobody has to hand out
work. Its part appears beside the corpus at once or not at all, so after a kill only parts that were not finished are encoded again.
"""

import contextlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

from antiphon.contracts.abilities import EncodesParts
from antiphon.contracts.asking import unfolded
from antiphon.contracts.corpus import Share
from antiphon.contracts.limits import Limits
from antiphon.contracts.records import Records
from antiphon.contracts.task import Task
from antiphon.data import processes
from antiphon.data.corpus_parts import join_parts
from antiphon.errors import AntiphonError, ConfigError, DataError, TrainingError

_EVERY_SECONDS = 0.5

_READ, _DONE, _FAILED = "read", "done", "failed"

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Work:
    """What is to be encoded."""

    task: Task
    """One that `EncodesParts`."""
    records: Records
    folder: Path
    """Where the corpus will be; the parts are in a folder beside it until they are joined."""
    limits: Limits
    keep_records: bool

    def folder_of(self, part: Share) -> Path:
        """The folder of a part until all are joined."""
        return self._parts / f"{part.number + 1}-of-{part.count}"

    @property
    def _encoder(self) -> EncodesParts:
        assert isinstance(self.task, EncodesParts), "whoever makes work has asked"
        return self.task

    @property
    def _parts(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.parts")

    def is_done(self) -> bool:
        """Whether the corpus exists."""
        return self._encoder.is_encoded(self.records, self.folder, limits=self.limits, keep_records=self.keep_records)

    def build(self, part: Share, progress: Progress | None = None) -> None:
        """Encode a part, unless it exists."""
        self._encoder.build_part(
            self.records, self.folder_of(part), part, limits=self.limits, keep_records=self.keep_records, progress=progress
        )

    def join(self, count: int) -> list[Share]:
        """Join the parts and remove them if all exist; returns the missing ones.

        Raises DataError when they are not of one corpus, or nothing is left of the records.
        """
        parts = [Share(number, count) for number in range(count)]
        missing = [part for part in parts if not (self.folder_of(part) / "manifest.json").exists()]
        if missing and self.is_done():  # another machine has joined them
            return []
        if not missing:
            join_parts([self.folder_of(part) for part in parts], self.folder, unfolded(self.task, self.records))
            shutil.rmtree(self._parts, ignore_errors=True)
        return missing


def encode_together(work: Work, count: int, progress: Progress | None = None) -> None:
    """Encode the corpus with `count` processes on this machine, unless it exists: the files are the same as with one process.

    Raises what encoding raises, and TrainingError when a process has ended.
    """
    if not work.is_done():
        encode_parts(work, [Share(number, count) for number in range(count)], progress)
        work.join(count)


def encode_parts(work: Work, parts: Sequence[Share], progress: Progress | None = None) -> None:
    """Encode some parts, each in a process of its own; a single one is encoded in this process.

    progress   called with the number of records encoded so far

    Raises what encoding raises, and TrainingError when a process has ended. Parts that are finished stay.
    """
    if len(parts) == 1:
        work.build(parts[0], progress)
        return
    orders = [_sendable(work, part) for part in parts]
    started: list[processes.Process] = []
    connections: list[processes.Channel] = []
    try:
        for order in orders:
            connection, process = processes.start(__name__, {**processes.with_threads(1), "CUDA_VISIBLE_DEVICES": ""})
            connections.append(connection)
            started.append(process)
            with contextlib.suppress(OSError):  # it has ended: this shows when it is listened to
                connection.send_bytes(order)
        _listen(connections, started, progress)
    except OSError as error:
        raise TrainingError(f"{len(parts)} processes cannot encode the data: {error}. Lower `data.workers`.") from error
    finally:
        processes.end(started)
        for connection in connections:
            connection.close()


def _sendable(work: Work, part: Share) -> bytes:
    try:
        return bytes(ForkingPickler.dumps((work, part)))
    except Exception as error:  # whatever a part of a task, or of records from Python, raises
        raise ConfigError(
            f"`data.workers` must be 1 for this data, since it cannot be sent to other processes ({type(error).__name__}: {error})."
        ) from error


def _listen(connections: Sequence[processes.Channel], started: Sequence[processes.Process], progress: Progress | None) -> None:
    """Wait until all are done. Raises the first error in any of them."""
    read, working = [0] * len(connections), set(range(len(connections)))
    while working:
        ready = wait([connections[number] for number in working])
        for number in [number for number in working if connections[number] in ready]:
            try:
                kind, said = connections[number].recv()
            except (EOFError, OSError) as error:
                how = processes.status(started[number])
                raise TrainingError(
                    f"A process that encoded data has ended ({how}). Finished parts stay: run the command again, or lower `data.workers`."
                ) from error
            if kind == _FAILED:
                raise said
            if kind == _DONE:
                working.remove(number)
            else:
                read[number] = said
                if progress is not None:
                    progress(sum(read))


# ----------------------------------------------------------------------------------------------------------- in the process


def serve(handle: int) -> None:
    """The main function of a worker process: encode the part that is received at the file descriptor `handle`."""
    with Connection(handle) as connection, contextlib.suppress(EOFError, ConnectionError):
        try:
            work, part = connection.recv()
            work.build(part, _telling(connection))
            connection.send((_DONE, None))
        except (EOFError, ConnectionError):
            raise
        except AntiphonError as error:
            connection.send((_FAILED, error))
        except Exception as error:
            connection.send((_FAILED, DataError(f"The data cannot be encoded ({type(error).__name__}: {error}).")))


def _telling(connection: processes.Channel) -> Progress:
    """A context that reports every half second how many records have been encoded."""
    told = time.monotonic()

    def tell(read: int) -> None:
        nonlocal told
        if time.monotonic() - told > _EVERY_SECONDS:
            told = time.monotonic()
            connection.send((_READ, read))

    return tell


__all__ = ["Work", "encode_parts", "encode_together", "serve"]
