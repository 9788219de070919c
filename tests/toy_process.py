"""Workers in processes of their own that need no model: they shout, take `run[0]` seconds for each batch, sleep over "sleep SECONDS", and
die over "poison".

`serve` is what such a process does. Run as a program this is a service of them, for tests that need sockets and signals:
`python -m tests.toy_process SECONDS SETTING=VALUE ...`.
"""

import contextlib
import os
import signal
import sys
import time
from multiprocessing.connection import Connection

from pydantic import TypeAdapter

from antiphon.serving.pool import Served, WorkerProcess
from antiphon.serving.server import run_server
from antiphon.serving.settings import ServeConfig
from tests.toy_worker import CARD


def serve(handle: int) -> None:
    """Answer until the line is closed."""
    with Connection(handle) as line, contextlib.suppress(EOFError, ConnectionError):
        (seconds,), _, _ = line.recv()
        line.send(CARD)
        while True:
            asked = line.recv()
            time.sleep(float(seconds))
            words = [[record["source"] for record in one.records] for one in asked]
            time.sleep(sum(float(word.split()[1]) for own in words for word in own if word.startswith("sleep ")))
            if any("poison" in own for own in words):
                os.kill(os.getpid(), signal.SIGKILL)
            line.send([[{"prediction": word.upper(), "score": -0.5} for word in own] for own in words])


class ToyProcess(WorkerProcess):
    """The line to one."""

    def __init__(self, served: Served, threads: int):
        super().__init__(served, threads, "tests.toy_process")


if __name__ == "__main__":
    settings = TypeAdapter(ServeConfig).validate_python(dict(one.split("=") for one in sys.argv[2:]))
    run_server([Served("en-de", (sys.argv[1],))], settings, host="127.0.0.1", port=0, make=ToyProcess)
