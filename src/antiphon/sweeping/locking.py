"""A file lock for several processes and machines, which is released when its process dies.

Optuna's own locks are files that the dead leave behind, for which everybody else waits half a minute, or without end. The kernel's lock
ends with the process that holds it, also on NFS since version 4. Where a file system has none, Optuna's is taken.
"""

import errno
import os
import time
from pathlib import Path
from typing import IO, Any, final

from antiphon.errors import CheckpointError

_CANNOT = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
_PATIENCE = 600.0  # seconds; who holds it needs a fraction of one


@final
class FileLock:
    """A lock held from `acquire` to `release`, or within `with`. It has the two methods that Optuna calls."""

    def __init__(self, path: Path):
        self.path = path.absolute()
        self._file: IO[bytes] | None = None
        self._other: Any = None

    def acquire(self) -> bool:
        """Wait for the lock and take it. Raises CheckpointError after ten minutes."""
        try:
            import fcntl
        except ImportError:  # Windows
            return self._acquire_other()
        file = open(self.path, "ab")  # noqa: SIM115 - closed in `release`
        began = time.monotonic()
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() - began > _PATIENCE:
                    file.close()
                    raise CheckpointError(
                        f"{self.path} has been locked by another process for {_PATIENCE / 60:.0f} minutes. End that process."
                    ) from None
                time.sleep(0.02)
            except OSError as error:
                file.close()
                if error.errno not in _CANNOT:
                    raise
                return self._acquire_other()
            else:
                self._file = file
                return True

    def _acquire_other(self) -> bool:
        from optuna.storages.journal import JournalFileOpenLock

        self._other = JournalFileOpenLock(os.fspath(self.path))
        return bool(self._other.acquire())

    def release(self) -> None:
        """Release the lock."""
        if self._other is not None:
            self._other.release()
        elif self._file is not None:
            self._file.close()
        self._file = self._other = None

    def __enter__(self) -> "FileLock":
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
