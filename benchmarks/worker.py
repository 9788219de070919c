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
from pathlib import Path

Task = Callable[[], float]
"""Does its work once and returns how much it was: tokens, sentences."""


def peak_megabytes() -> float:
    """The most memory that this process had in use; Linux keeps it apart from what the parent had when it forked."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    unit = 2**20 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def serve(set_up: Callable[[], Mapping[str, Task]]) -> None:
    """Set up, say so, then do tasks until standard input ends; last, report the peak of memory."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(content: Mapping[str, object]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    tasks = set_up()
    answer({"tasks": list(tasks)})
    for line in sys.stdin:
        began, began_computing = time.perf_counter(), time.process_time()
        amount = tasks[line.strip()]()
        answer({"amount": amount, "wall": time.perf_counter() - began, "cpu": time.process_time() - began_computing})
    answer({"peak_megabytes": peak_megabytes()})
