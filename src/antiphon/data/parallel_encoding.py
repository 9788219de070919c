"""Encodes blocks of records with several processes of a machine, this one included.

This process reads the records. It gives a block to another process that has room, or else encodes it itself: so nobody waits for a process
that has only just been started, and a slow one does less. Blocks come back in the order of the records, and so do errors, wherever they
were encoded: whoever writes them does not notice.

Unusual here: blocks do not travel through the pipes. Those hold less than a block, so that whoever sends would wait until the other one
looks. A block stands in a file without a name that both have open, which then takes what became of it, and the pipe says no more than how
many bytes to read.
"""

import contextlib
import os
import tempfile
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, final

import torch

from antiphon.data import processes
from antiphon.data.encoded_blocks import Block, EncodedBlock, encode_block
from antiphon.data.encoding import Encoding
from antiphon.errors import AntiphonError, ConfigError, DataError, TrainingError

_ROOM = 3
"""How many blocks a process has at a time: one that it encodes, one that it finds when it has, and one that waits for its turn."""
_AHEAD = 4
"""How many blocks for each process are begun before the first of them is done, so that memory does not grow when one is slow."""


def encoded(blocks: Iterator[Block], encoding: Encoding, count: int) -> Generator[EncodedBlock]:
    """What becomes of each block, in their order.

    count   how many processes encode, this one included

    Raises what reading and encoding raise, in the order in which one process would meet it; TrainingError when a process has ended, and
    ConfigError when the records, or what encodes them, cannot be sent to another process.
    """
    if count == 1:
        for block in blocks:
            yield encode_block(block, encoding)
        return
    order, threads = _packed(encoding), torch.get_num_threads()
    with contextlib.ExitStack() as ending:
        try:
            helpers = [ending.enter_context(_Helper(order)) for _ in range(count - 1)]
        except OSError as error:
            raise TrainingError(f"{count} processes cannot encode the data: {error}. Lower `data.workers`.") from error
        torch.set_num_threads(1)  # the other cores have work
        ending.callback(torch.set_num_threads, threads)
        yield from _in_turn(blocks, encoding, helpers)


def _in_turn(blocks: Iterator[Block], encoding: Encoding, helpers: "Sequence[_Helper]") -> Iterator[EncodedBlock]:
    begun: deque[_Here | _Away] = deque()
    while True:
        while begun and (begun[0].is_done() or len(begun) == _AHEAD * (len(helpers) + 1)):
            yield begun.popleft().result()
        try:
            block = next(blocks, None)
        except AntiphonError as error:  # its turn comes after those of the blocks before it
            begun.append(_Here(None, error))
            break
        if block is None:
            break
        helper = next((one for one in helpers if one.has_room()), None)
        begun.append(_here(block, encoding) if helper is None else helper.give(block))
    while begun:
        yield begun.popleft().result()


@dataclass(frozen=True)
class _Here:
    """What became of a block in this process."""

    made: EncodedBlock | None
    error: AntiphonError | None = None

    def is_done(self) -> bool:
        return True

    def result(self) -> EncodedBlock:
        if self.error is not None:
            raise self.error
        assert self.made is not None, "it was made, or could not be"
        return self.made


def _here(block: Block, encoding: Encoding) -> _Here:
    try:
        return _Here(encode_block(block, encoding))
    except AntiphonError as error:
        return _Here(None, error)


@dataclass(frozen=True)
class _Away:
    """A block that another process has. What they say comes in the order of their blocks, and is read in it."""

    helper: "_Helper"
    file: int

    def is_done(self) -> bool:
        return self.helper.has_said()

    def result(self) -> EncodedBlock:
        return self.helper.taken(self.file)


@final
class _Helper:
    """A process that encodes blocks beside this one.

    order   the encoding, packed

    Raises OSError when it cannot be started.
    """

    def __init__(self, order: bytes):
        with contextlib.ExitStack() as ending:
            files = [ending.enter_context(tempfile.TemporaryFile(buffering=0)).fileno() for _ in range(_ROOM)]
            _write(files[0], order)
            environment = {**processes.with_threads(1), "CUDA_VISIBLE_DEVICES": ""}
            self._connection, self._process = processes.start(__name__, environment, files)
            ending.callback(self._connection.close)
            ending.callback(processes.end, [self._process])
            self._tell(tuple(files), len(order))
            self._free: list[int] = []
            self._later = files  # they are free when it has started
            self._ending = ending.pop_all()

    def __enter__(self) -> "_Helper":
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def has_said(self) -> bool:
        """Whether it has said something that was not heard yet, or has ended."""
        return self._connection.poll()

    def has_room(self) -> bool:
        """Whether it has started, and can take another block."""
        if self._later and self.has_said():
            self._heard()
            self._free, self._later = self._later, []
        return bool(self._free)

    def give(self, block: Block) -> _Away:
        """Give it a block, for which it has room."""
        file = self._free.pop()
        try:
            self._tell(file, _write(file, _packed(block)))
        except OSError as error:
            raise TrainingError(
                f"Records cannot be handed to other processes: {error}. Set TMPDIR to a folder with more room, or lower `data.workers`."
            ) from error
        return _Away(self, file)

    def taken(self, file: int) -> EncodedBlock:
        """What became of the first block that it was given and that was not taken yet."""
        block: EncodedBlock = processes.unpacked(_read(file, self._heard()))
        self._free.append(file)
        return block

    def _tell(self, *message: Any) -> None:
        with contextlib.suppress(ConnectionError):  # it has ended: this shows when it is listened to
            self._connection.send(message)

    def _heard(self) -> int:
        try:
            said: int | Exception = self._connection.recv()
        except (EOFError, OSError) as error:
            how = processes.status(self._process)
            raise TrainingError(
                f"A process that encoded data has ended ({how}). Run the command again; if memory is short, lower `data.workers`."
            ) from error
        if isinstance(said, Exception):
            raise said
        return said


def _packed(what: Any) -> bytes:
    try:
        return processes.packed(what)
    except Exception as error:  # whatever a part of a task, or of records from Python, raises
        raise ConfigError(
            f"`data.workers` must be 1 for this data, since it cannot be sent to other processes ({type(error).__name__}: {error})."
        ) from error


def _write(file: int, content: bytes) -> int:
    """Write a file from its beginning; how many bytes that is. By offsets, since the processes share the place in the file."""
    written = 0
    while written < len(content):
        written += os.pwrite(file, memoryview(content)[written:], written)
    return written


def _read(file: int, size: int) -> bytes:
    parts, read = [], 0
    while read < size:
        parts.append(os.pread(file, size - read, read))
        read += len(parts[-1])
    return b"".join(parts)


# ----------------------------------------------------------------------------------------------------------- in the process


def serve(handle: int) -> None:
    """The main function of a worker process: encode the blocks announced at the file descriptor `handle`, until that is closed."""
    with Connection(handle) as connection, contextlib.suppress(EOFError, ConnectionError):
        files, size = connection.recv()
        try:
            encoding: Encoding = processes.unpacked(_read(files[0], size))
        except Exception as error:
            connection.send(_failure(error))
            return
        connection.send(0)  # it is here
        while True:
            file, size = connection.recv()
            try:
                said: int | Exception = _write(file, _packed(encode_block(processes.unpacked(_read(file, size)), encoding)))
            except Exception as error:
                said = _failure(error)
            connection.send(said)


def _failure(error: Exception) -> Exception:
    if isinstance(error, AntiphonError):
        return error
    return DataError(f"The data cannot be encoded ({type(error).__name__}: {error}).")


__all__ = ["encoded", "serve"]
