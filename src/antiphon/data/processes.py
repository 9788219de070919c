"""Worker processes, each connected by a pipe.

Unusual here: they are not started by `multiprocessing`. Its `fork` copies a process whose threads (of torch, of CUDA) do not come along;
its `spawn` runs the user's script once more, which without a guard would do everything again. Such a process is a Python of its own that
imports one module and nothing else. It is in a session of its own, so Ctrl-C in the terminal reaches its parent only, and ends when its
pipe does. What they tell each other is pickled, but it goes only between a process and those that it has started: nothing pickled is
ever read from a file that has a name. This is the only module that may pickle (`tests/package/test_safety.py`).
"""

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, Pipe
from typing import TYPE_CHECKING, Any, TypeAlias

_PROGRAM = """\
import gc, importlib, json, sys
gc.disable()  # what is imported stays: to look through it again and again takes a fifth of a start
sys.path[:] = json.loads(sys.argv[3])
module = importlib.import_module(sys.argv[2])
gc.freeze()
gc.enable()
module.serve(int(sys.argv[1]))
"""
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

Process = subprocess.Popen[bytes]

if TYPE_CHECKING:
    Channel: TypeAlias = Connection[Any, Any]
else:  # where it takes no parameters
    Channel = Connection


def start(module: str, environment: Mapping[str, str], files: Sequence[int] = ()) -> tuple[Channel, Process]:
    """Start a process that runs `module.serve(handle)` on a pipe's file descriptor; returns it and our end of the pipe. The process has
    `files` open under the same file descriptors, too. Raises OSError if it cannot be started."""
    ours, theirs = Pipe()
    with theirs:
        try:
            process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), module, json.dumps([*map(str, sys.path)], allow_nan=False)],
                pass_fds=[theirs.fileno(), *files],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
    return ours, process


def packed(what: Any) -> bytes:
    """An object as bytes for another of these processes. Raises whatever an object raises that cannot be pickled."""
    return pickle.dumps(what, pickle.HIGHEST_PROTOCOL)


def unpacked(content: bytes) -> Any:
    """The object that another of these processes has packed; bytes from anywhere else must never come here."""
    return pickle.loads(content)  # noqa: S301 -- of a process that we have started, or that has started this one


def with_threads(count: int) -> dict[str, str]:
    """Environment variables for a process that uses the given number of threads."""
    return dict.fromkeys(_THREADS, str(count))


def end(processes: Sequence[Process]) -> None:
    """Kill processes that have nothing to write."""
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()


def status(process: Process) -> str:
    """How a process that has closed its pipe has ended."""
    try:
        code = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return "its pipe is closed"
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
