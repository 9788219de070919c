"""Worker processes that prepare batches beside the trainer: useful when encoding takes longer than training, as with sampled subwords.

Each worker walks through the epoch by itself and prepares every n-th batch; the trainer takes them in turns. Since a batch is a pure
function of (seed, epoch, number), nothing else travels to a worker but where to begin, and any process may go on where one has ended.
"""

import contextlib
import threading
import weakref
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, final

import torch

from antiphon.contracts.sequences import Batch, Padded
from antiphon.data import processes
from antiphon.data.prefetch import ahead
from antiphon.data.preparation import Preparation

_POLL_SECONDS = 0.1
_PREFETCH = 2  # batches that a worker prepares while the trainer has not taken the one before

_HERE, _BATCH, _END, _FAILED = "here", "batch", "end", "failed"


class WorkerError(Exception):
    """A worker cannot go on; the message says why."""


@final
class Workers:
    """Running worker processes. They end with `close`, when this object is deleted, and when the process that started them ends.

    Raises WorkerError when none can be started, or a part of the preparation cannot be sent to another process.
    """

    def __init__(self, preparation: Preparation, count: int):
        self.count = count
        try:
            self._order = ForkingPickler.dumps(preparation)
        except Exception as error:  # whatever a part of a task raises
            raise WorkerError(f"cannot be told what to prepare ({_described(error)})") from error
        self._processes: list[processes.Process] = []
        self._connections: list[Connection[Any, Any]] = []
        self._closed = threading.Event()
        self._told = 0  # so many know what to prepare
        self._taken = False
        self.close = weakref.finalize(self, _end, self._processes, self._closed)
        try:
            for _ in range(count):
                self._start()
        except (OSError, ValueError) as error:
            self.close()
            raise WorkerError(f"cannot be started: {error}") from error

    @property
    def closed(self) -> bool:
        """Whether the workers have been told to end."""
        return self._closed.is_set()

    def ready(self, seconds: float = 0.0) -> bool:
        """Whether the workers can provide batches: all have started, and nothing else takes their batches.

        Raises WorkerError when one has ended.
        """
        while self._told < self.count and self._connections[self._told].poll(seconds):
            self._receive(self._told)
            with contextlib.suppress(OSError):  # it has ended: this shows when its batch is asked for
                self._connections[self._told].send_bytes(self._order)
            self._told += 1
        return self._told == self.count and not self._taken

    def batches(self, epoch: int, start: int) -> Iterator[Batch | None]:
        """Yield the batches of an epoch from number `start` on.

        Raises WorkerError in the place of a batch that a worker could not prepare, or did not live to.
        """
        self._taken = True
        for number, connection in enumerate(self._connections):
            with contextlib.suppress(OSError):  # it has ended: this shows when its batch is asked for
                connection.send((epoch, start + number, self.count))
        worker = 0
        while (message := self._receive(worker))[0] == _BATCH:
            yield _unpacked(message[1])
            worker = (worker + 1) % self.count
        for other in range(self.count):
            if other != worker:
                self._receive(other)  # that it has come to the end, too
        self._taken = False

    def _start(self) -> None:
        connection, process = processes.start(__name__, {**processes.with_threads(1), "CUDA_VISIBLE_DEVICES": ""})
        self._connections.append(connection)
        self._processes.append(process)

    def _receive(self, worker: int) -> Sequence[Any]:
        """The next message of a worker: (its kind, its content)."""
        connection = self._connections[worker]
        try:
            while not connection.poll(_POLL_SECONDS):
                if self.closed:
                    raise WorkerError("was told to end")
            message: Sequence[Any] = connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerError(f"has ended ({processes.status(self._processes[worker])})") from error
        if message[0] == _FAILED:
            raise WorkerError(f"has failed ({message[1]})")
        return message


def _end(workers: Sequence[processes.Process], closed: threading.Event) -> None:
    closed.set()
    processes.end(workers)


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


# Arrays travel several times faster than tensors, which pickle their storages one by one.


def _packed(batch: Batch | None) -> Any:
    if batch is None:
        return None
    weights = None if batch.weights is None else batch.weights.numpy()
    return _arrays(batch.source), _arrays(batch.target), batch.records, weights, _arrays(batch.links), batch.packing is not None


def _unpacked(packed: Any) -> Batch | None:
    if packed is None:
        return None
    source, target, records, weights, links, in_rows = packed
    read = _padded(source)
    assert read is not None, "a batch has sources"
    batch = Batch(read, _padded(target), records, None if weights is None else torch.from_numpy(weights), _padded(links))
    return batch.packed() if in_rows else batch


def _arrays(padded: Padded | None) -> Any:
    if padded is None:
        return None
    return padded.values.numpy(), padded.lengths.numpy(), None if padded.factors is None else padded.factors.numpy()


def _padded(arrays: Any) -> Padded | None:
    if arrays is None:
        return None
    values, lengths, factors = arrays
    return Padded(torch.from_numpy(values), torch.from_numpy(lengths), None if factors is None else torch.from_numpy(factors))


# ----------------------------------------------------------------------------------------------------------- in the worker


def serve(handle: int) -> None:
    """The main function of a worker: prepare batches of the epochs that it is told, until the pipe at file descriptor `handle` is
    closed."""
    torch.set_num_threads(1)
    with Connection(handle) as connection, contextlib.suppress(EOFError, ConnectionError):
        try:
            connection.send((_HERE, None))
            preparation: Preparation = connection.recv()
            while True:
                epoch, start, every = connection.recv()
                for batch in ahead(preparation.batches(epoch, start, every), _PREFETCH):
                    connection.send((_BATCH, _packed(batch)))
                connection.send((_END, None))
        except (EOFError, ConnectionError):
            raise
        except Exception as error:  # the trainer meets the same error where it prepares the batch itself, or tells this one
            connection.send((_FAILED, _described(error)))


__all__ = ["WorkerError", "Workers", "serve"]
