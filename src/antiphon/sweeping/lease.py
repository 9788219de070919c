"""Which worker has a trial: a file in the trial's folder, which the worker touches as long as it lives.

A worker of this machine is dead when its process is gone, at once. One of another machine is dead when it has not touched its file for two
minutes by the clock of the file system, to which both write: clocks of machines differ.

Who takes over writes a lease of its own. A worker that was only asleep finds that out at its next event, and leaves the trial alone.
"""

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

from antiphon.errors import CheckpointError
from antiphon.store.checkpoint import read_json, replace_json

FILE = "lease.json"
EVERY = 15.0
"""Seconds between two signs of life."""
PATIENCE = 120.0
"""Seconds without one after which a worker elsewhere counts as dead."""


@final
@dataclass(frozen=True)
class Lease:
    """A worker's claim to a trial: host and process, for people; the machine as its kernel knows it; the checkpoint that it began from, and
    the number of the attempt to come further than that."""

    host: str
    pid: int
    machine: str
    began: str
    """When the process began, as the kernel counts: numbers of processes are given again."""
    checkpoint: str
    attempt: int
    name: str

    @property
    def worker(self) -> str:
        """Who that is, in words."""
        return f"{self.host}, process {self.pid}"


def own_lease(checkpoint: str = "", before: Lease | None = None) -> Lease:
    """A lease for this process, which begins from a checkpoint, `before` which another one may have had it."""
    attempt = before.attempt + 1 if before is not None and before.checkpoint == checkpoint else 1
    return Lease(socket.gethostname(), os.getpid(), _machine(), _began(os.getpid()), checkpoint, attempt, uuid.uuid4().hex)


def read_lease(folder: Path) -> Lease | None:
    """Who is, or was, at the trial in a folder; None where nobody is."""
    try:
        return Lease(**read_json(folder / FILE))
    except (CheckpointError, TypeError):
        return None


def is_alive(lease: Lease, folder: Path) -> bool:
    """Whether the worker lives, as far as can be told from here."""
    if lease.machine == _machine():
        return _began(lease.pid) == lease.began
    probe = folder / f".probe-{uuid.uuid4().hex[:8]}"
    try:
        probe.touch()
        return probe.stat().st_mtime - (folder / FILE).stat().st_mtime < PATIENCE
    except FileNotFoundError:  # it has just come to its end
        return True
    finally:
        probe.unlink(missing_ok=True)


def write_lease(folder: Path, lease: Lease) -> None:
    """Say who is at the trial. Raises CheckpointError when the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_json(folder / FILE, asdict(lease))
    except OSError as error:
        raise CheckpointError(f"{folder / FILE} cannot be written: {error.strerror}. Make room or choose another `--out`.") from error


def is_held(folder: Path, lease: Lease) -> bool:
    """Whether the trial is still this worker's."""
    return read_lease(folder) == lease


def release(folder: Path, lease: Lease) -> None:
    """Leave the trial to whoever comes next."""
    if is_held(folder, lease):
        (folder / FILE).unlink(missing_ok=True)


@contextmanager
def kept_alive(folder: Path) -> Iterator[None]:
    """Within it the lease shows signs of life."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(EVERY):
            with suppress(OSError):  # somebody else's now, or a disk that is away for a moment
                os.utime(folder / FILE)

    thread = threading.Thread(target=beat, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _machine() -> str:
    """What tells this machine from others, and a container from the next, in which processes have other numbers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no Linux
        return f"{socket.gethostname()} {uuid.getnode()}"


def _began(pid: int) -> str:
    """When a process began; nothing where it is gone, or where it cannot be told although it is there."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "unknown" if not Path("/proc/self/stat").exists() and _exists(pid) else ""
    except OSError:
        return ""
    state, *rest = text.rpartition(")")[2].split()
    return "" if state in "ZX" else rest[18]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
