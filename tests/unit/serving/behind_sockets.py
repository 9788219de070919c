"""A service of toys in a process of its own, for tests that need sockets and signals."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.package.source_files import ROOT

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
WAIT = 120  # seconds, on a machine that has much else to do


class Service:
    """A service of toys, with its port."""

    def __init__(self, process: "subprocess.Popen[str]", port: int):
        self.process, self.port = process, port

    def workers(self) -> list[int]:
        """The processes that hold a model."""
        return [int(one) for one in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()]

    def megabytes(self) -> float:
        """What it has in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]

    async def connect(self) -> tuple[Reader, Writer]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@contextmanager
def serving(seconds: float, **settings: float | str) -> Iterator[Service]:
    """A service whose batches take so long."""
    command = [sys.executable, "-m", "tests.toy_process", str(seconds), *(f"{name}={value}" for name, value in settings.items())]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        try:
            assert process.stderr is not None
            found = re.search(r"http://\S+:(\d+)", process.stderr.readline())
            assert found
            yield Service(process, int(found[1]))
        finally:
            process.kill()
