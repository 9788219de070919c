"""One measured system: sets itself up, then does named tasks whenever it is told to.

Needs nothing but the standard library, so that a peer in an environment of its own can import it. The parent (`turns.py`) writes the name
of a task on a line; the answer is one JSON document with the amount of work done, the seconds
that passed (`wall`) and those that all threads computed (`cpu`). What libraries print goes to standard error.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Task = Callable[[], float]
"""Does its work once and returns how much it was: tokens, sentences."""


@dataclass(frozen=True)
class Ready:
    """What a system says when it is set up: its tasks, and how many numbers its model learns."""

    tasks: Mapping[str, Task]
    parameters: int | None = None


def peak_megabytes() -> float:
    """The most memory that this process had in use; Linux keeps it apart from what the parent had when it forked."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    unit = 2**20 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _answers() -> Callable[[Mapping[str, object]], None]:
    """What writes an answer to the parent; from now on all else that is printed goes to standard error."""
    stream = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(content: Mapping[str, object]) -> None:
        stream.write(json.dumps(content) + "\n")
        stream.flush()

    return answer


def serve(set_up: Callable[[], Ready | Mapping[str, Task]]) -> None:
    """Set up, say so, then do tasks until standard input ends; last, report the peak of memory."""
    answer = _answers()
    prepared = set_up()
    ready = prepared if isinstance(prepared, Ready) else Ready(prepared)
    answer({"tasks": list(ready.tasks), "parameters": ready.parameters})
    for line in sys.stdin:
        began, began_computing = time.perf_counter(), time.process_time()
        amount = ready.tasks[line.strip()]()
        answer({"amount": amount, "wall": time.perf_counter() - began, "cpu": time.process_time() - began_computing})
    answer({"peak_megabytes": peak_megabytes()})


class HeldLoop:
    """Serves a training loop that cannot be called step by step: the loop calls `before_update` before each update, and is held there.

    A turn is `updates` times around the loop, with all that the loop does between two updates. The first `warm_up` are not timed. When
    the parent wants no more, the process ends then and there.
    """

    def __init__(self, updates: int, *, warm_up: int = 5):
        self._answer = _answers()
        self._updates, self._left = updates, warm_up
        self._began: tuple[float, float] | None = None
        self._done = 0.0

    def before_update(self, parameters: int, done: float | None = None) -> None:
        """Go on, or wait for the next turn. `parameters` is how many numbers the model learns.

        `done` is the work of all updates so far, where a turn's amount is not the number of its updates.
        """
        if self._left == 0:
            if self._began is None:
                self._answer({"tasks": ["training"], "parameters": parameters})
            else:
                wall, cpu = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
                self._answer({"amount": self._updates if done is None else done - self._done, "wall": wall, "cpu": cpu})
            if not sys.stdin.readline():
                self._answer({"peak_megabytes": peak_megabytes()})
                os._exit(0)  # no library gets to save a model or to finish an epoch
            self._done = done or 0.0
            self._left, self._began = self._updates, (time.perf_counter(), time.process_time())
        self._left -= 1
