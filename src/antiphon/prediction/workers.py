"""Worker processes that decode in parallel: `antiphon predict --workers 4`.

This process reads inputs, prepares them and puts outputs in order, as it does without workers; in place of decoding a batch it sends it to
a process that is idle. Batches are the same ones, so results are. Each worker opens the model for itself, which takes as much memory again.
"""

import contextlib
import os
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any, final

from antiphon.contracts.sequences import Example, Prediction, Request
from antiphon.data import processes
from antiphon.errors import AntiphonError, TrainingError
from antiphon.prediction.decoding import batches_of_like_length

_HERE, _DONE, _FAILED = "here", "done", "failed"


@dataclass(frozen=True)
class Way:
    """How batches are decoded: the settings of the search, whether copied symbols and the score of each step are reported, and the number
    of examples at once."""

    search: Mapping[str, Any]
    copies: bool
    step_scores: bool
    batch_size: int


@final
class DecodingWorkers:
    """Running worker processes, which end with `close`, when this object is deleted, and when the process that started them ends.

    arguments   those of `load`, by which each opens the model
    count       how many; each computes with its share of the cores, unless OMP_NUM_THREADS has a wish

    Raises TrainingError when they cannot be started.
    """

    def __init__(self, arguments: Mapping[str, Any], count: int):
        self.count = count
        self._started: list[processes.Process] = []
        self._connections: list[processes.Channel] = []
        self._idle: list[processes.Channel] = []
        self.close = weakref.finalize(self, _end, self._started, self._connections)
        try:
            for _ in range(count):
                connection, process = processes.start(__name__, _environment(count))
                self._connections.append(connection)
                self._started.append(process)
                with contextlib.suppress(OSError):  # it has ended: this shows when it is asked for something
                    connection.send(arguments)
        except OSError as error:
            self.close()
            raise TrainingError(f"{count} workers cannot be started: {error}. Take fewer.") from error

    def decode(self, examples: Sequence[Example], requests: Sequence[Request], way: Way) -> list[Prediction]:
        """The predictions for examples, in their order. Raises the errors of decoding, and TrainingError when a worker has ended."""
        if not self.close.alive:
            raise TrainingError("The workers have ended. Load the model again.")
        waiting = batches_of_like_length(examples, way.batch_size)[::-1]
        found: dict[int, Prediction] = {}
        at_work: dict[processes.Channel, list[int]] = {}
        try:
            while waiting or at_work:
                while waiting and self._idle:
                    chosen, connection = waiting.pop(), self._idle.pop()
                    at_work[connection] = chosen
                    with contextlib.suppress(ConnectionError):  # it has ended, which is noticed when its answer is read
                        connection.send((way, [examples[place] for place in chosen], [requests[place] for place in chosen]))
                ready = wait(self._connections)
                for connection in (one for one in self._connections if one in ready):
                    said = self._received(connection)
                    found.update(zip(at_work.pop(connection, ()), said, strict=True))
                    self._idle.append(connection)
        except BaseException:
            self.close()  # some are still at work on batches that nobody will ask for
            raise
        return [found[place] for place in range(len(examples))]

    def _received(self, connection: processes.Channel) -> Sequence[Prediction]:
        """The next message of a worker: that it is ready, which holds no predictions, or those for its batch."""
        try:
            kind, said = connection.recv()
        except (EOFError, OSError) as error:
            raise self._ended(connection) from error
        if kind == _FAILED:
            raise said
        return () if kind == _HERE else said

    def _ended(self, connection: processes.Channel) -> TrainingError:
        how = processes.status(self._started[self._connections.index(connection)])
        return TrainingError(
            f"A worker has ended ({how}) before it had decoded its batch. If memory was short, take fewer workers or a smaller"
            " `evaluation.batch_size`."
        )


def _environment(count: int) -> dict[str, str]:
    """The environment variables for a worker's threads."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {} if "OMP_NUM_THREADS" in os.environ else processes.with_threads(max(1, cores // count))


def _end(started: Sequence[processes.Process], connections: Sequence[processes.Channel]) -> None:
    processes.end(started)
    for connection in connections:
        connection.close()


# ----------------------------------------------------------------------------------------------------------- in the worker


def serve(handle: int) -> None:
    """The main function of a worker: open the model, and decode what arrives until the pipe at file descriptor `handle` is closed."""
    from antiphon.prediction.loading import load

    with Connection(handle) as connection, contextlib.suppress(EOFError, ConnectionError):
        try:
            predictor = load(**connection.recv())
            connection.send((_HERE, ()))
            ways: dict[str, Any] = {}
            while True:
                way, examples, requests = connection.recv()
                if repr(way) not in ways:
                    ways = {repr(way): predictor.decoding_by(way)}
                found = ways[repr(way)].decode(examples, requests)
                connection.send((_DONE, found if way.step_scores else [_without_scores(one) for one in found]))
        except (EOFError, ConnectionError):
            raise
        except AntiphonError as error:
            connection.send((_FAILED, error))
        except Exception as error:
            connection.send((_FAILED, TrainingError(f"A worker has failed ({type(error).__name__}: {error}).")))


def _without_scores(prediction: Prediction) -> Prediction:
    """The prediction without its step scores: some engines compute these when they are read, which sending would do."""
    alternatives = tuple(_without_scores(one) for one in prediction.alternatives)
    return replace(prediction, hypothesis=replace(prediction.hypothesis, step_scores=()), alternatives=alternatives)


__all__ = ["DecodingWorkers", "Way", "serve"]
