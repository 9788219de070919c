"""Leases: which worker has a trial is recorded in a file in the trial's folder, which the worker touches as long as it is alive.

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
"""Seconds between two updates of the file."""
PATIENCE = 120.0
"""Seconds without an update after which a worker on another machine counts as dead."""


@final
@dataclass(frozen=True)
class Lease:
    """A worker's claim to a trial: host and process, for display; the machine as its kernel identifies it; the checkpoint that it began
    from, and the number of the attempt to get beyond that checkpoint."""

    host: str
    pid: int
    machine: str
    began: str
    """The start time of the process as the kernel counts it, since process numbers are reused."""
    checkpoint: str
    attempt: int
    name: str

    @property
    def worker(self) -> str:
        """The worker, described for people."""
        return f"{self.host}, process {self.pid}"


def own_lease(checkpoint: str = "", before: Lease | None = None) -> Lease:
    """A lease for this process, which begins from a checkpoint; `before` is an earlier lease of the trial."""
    attempt = before.attempt + 1 if before is not None and before.checkpoint == checkpoint else 1
    return Lease(socket.gethostname(), os.getpid(), _machine(), _began(os.getpid()), checkpoint, attempt, uuid.uuid4().hex)


def read_lease(folder: Path) -> Lease | None:
    """The current, or last, lease of the trial in a folder; None where there is none."""
    try:
        return Lease(**read_json(folder / FILE))
    except (CheckpointError, TypeError):
        return None


def is_alive(lease: Lease, folder: Path) -> bool:
    """Whether the worker is alive, as far as this machine can tell."""
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
    """Write the lease of a trial. Raises CheckpointError when the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_json(folder / FILE, asdict(lease))
    except OSError as error:
        raise CheckpointError(f"{folder / FILE} cannot be written: {error.strerror}. Make room or choose another `--out`.") from error


def is_held(folder: Path, lease: Lease) -> bool:
    """Whether this worker still has the trial."""
    return read_lease(folder) == lease


def release(folder: Path, lease: Lease) -> None:
    """Give the trial up, so that another worker can take it."""
    if is_held(folder, lease):
        (folder / FILE).unlink(missing_ok=True)


@contextmanager
def kept_alive(folder: Path) -> Iterator[None]:
    """A context in which the lease is kept up to date."""
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
    """An identifier of this machine, or container, within which process numbers are unique."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no Linux
        return f"{socket.gethostname()} {uuid.getnode()}"


def _began(pid: int) -> str:
    """When a process began; empty where it has ended, or where its start time cannot be read."""
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
