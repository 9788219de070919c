"""A folder with atomic writes, on this machine or elsewhere; readers never see half-written files."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, final, runtime_checkable

from antiphon.errors import DataError
from antiphon.store import atomic


@runtime_checkable
class Place(Protocol):
    """Such a folder; names are relative to it, and may contain a subfolder. Raises DataError for files that cannot be read or written."""

    def sizes(self, within: str = "") -> dict[str, int]:
        """The names of the files in the folder, or in a subfolder, and their sizes in bytes; empty if there is no folder."""

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if it does not exist."""

    def writing(self, name: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """A file to write, which appears under its name when the block ends without an error."""

    def tidy(self) -> None:
        """Remove what interrupted writes left; to be called when nothing is being written any more."""


@final
class LocalPlace:
    """A folder on this machine, or on a shared disk."""

    def __init__(self, folder: Path):
        self._folder = folder

    def __str__(self) -> str:
        return str(self._folder)

    def sizes(self, within: str = "") -> dict[str, int]:
        """The names of files and their sizes, without unfinished ones."""
        folder = self._folder / within
        if not folder.exists():
            return {}
        if not folder.is_dir():
            raise DataError(f"{folder} must be a folder, but is a file. Choose another `--output`.")
        with os.scandir(folder) as entries:
            return {one.name: one.stat().st_size for one in entries if one.is_file() and not one.name.startswith(".")}

    def read(self, name: str) -> bytes | None:
        """The content of a file."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DataError(f"{self._folder / name} cannot be read: {error.strerror}.") from error

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """A temporary file beside the final place, which is renamed in the end."""
        path = self._folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic.replacing(path, "wb") as file:
                yield file
        except OSError as error:
            raise DataError(f"{path} cannot be written: {error.strerror or error}. What was finished before stays.") from error

    def tidy(self) -> None:
        """Remove files that a killed process has left unfinished."""
        atomic.clean(self._folder)
