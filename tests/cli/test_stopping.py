"""A command that is stopped says so in a line, tidies up, and exits as shells expect it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# A command in the middle of its work: it has ended a process of its own, and is writing a file.
PROGRAM = """
import multiprocessing, signal, sys, time
from pathlib import Path
from antiphon.cli.main import app, main
from antiphon.store.atomic import replacing

def wait(started):
    started.set()
    time.sleep(60)

def work(path: Path):
    context = multiprocessing.get_context("fork")
    started = context.Event()
    worker = context.Process(target=wait, args=(started,), daemon=True)
    worker.start()
    started.wait()
    worker.terminate()
    worker.join()
    with replacing(path) as file:
        print(worker.exitcode, flush=True)
        time.sleep(60)

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let programs in the background ignore it
app.command("work")(work)
main()
"""


@pytest.mark.parametrize(("number", "status", "name"), [(signal.SIGTERM, 143, "SIGTERM"), (signal.SIGINT, 130, "Ctrl-C")])
def test_stopped_in_the_middle(tmp_path: Path, number: signal.Signals, status: int, name: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "200"}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "work", str(tmp_path / "file")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == f"{-signal.SIGTERM}\n", "a worker that is told to end just ends"
    process.send_signal(number)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out, error) == (status, "", f"antiphon: stopped by {name}.\n")
    assert list(tmp_path.iterdir()) == [], "what is half written goes away"
