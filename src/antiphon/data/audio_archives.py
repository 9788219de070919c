"""Files inside zip and tar archives, by a path that continues after the archive's name: `clips.zip/one.mp3`.

Archives stay open, since a table of thousands of members takes a while to read; a lock keeps threads from reading one at the same time.
Nothing is unpacked to disk.
"""

import tarfile
import threading
import weakref
import zipfile
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import final

from antiphon.data.byte_streams import check_file
from antiphon.errors import DataError, nearest

ARCHIVE_SUFFIXES = (".zip", ".tar")
_COMPRESSED_TARS = (".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".7z", ".rar")


def is_archive(path: Path) -> bool:
    """Whether a path names an archive. Raises DataError for one without random access to its members."""
    name = path.name.lower()
    if name.endswith(_COMPRESSED_TARS):
        raise DataError(f"`{path}` must be a .zip or an uncompressed .tar, whose files can be read one by one. Unpack it, or make a .zip.")
    return path.suffix.lower() in ARCHIVE_SUFFIXES


def in_archive(path: Path) -> tuple[Path, str] | None:
    """(archive, member) for a path into an archive; None for any other path, and for a folder with the name of an archive."""
    for parent in path.parents:
        if parent.suffix.lower() in ARCHIVE_SUFFIXES and not parent.is_dir():
            return parent, path.relative_to(parent).as_posix()
    return None


def members(archive: Path) -> list[str]:
    """The names of all files in an archive, sorted."""
    return sorted(_opened(archive).names)


def names_in(archive: Path) -> Collection[str]:
    """The set of names of all files in an archive, for look-ups."""
    return _opened(archive).names


def read_member(archive: Path, member: str) -> bytes:
    """The content of a file in an archive. Raises DataError when there is none of this name, or it is damaged or encrypted."""
    opened = _opened(archive)
    if member not in opened.names:
        raise DataError(
            f"There is no file `{member}` in `{archive}`, which has {len(opened.names):,}.{nearest(member, list(opened.names)[:5000])}"
        )
    try:
        return opened.read(member)
    except (zipfile.BadZipFile, tarfile.TarError, RuntimeError, NotImplementedError, OSError, EOFError, ValueError) as error:
        raise DataError(f"`{member}` in `{archive}` cannot be read: {error}. Copy the archive again.") from error


@final
class _Archive:
    """An open archive."""

    def __init__(self, path: Path):
        self._lock = threading.Lock()
        self._zip = zipfile.ZipFile(path) if path.suffix.lower() == ".zip" else None
        self._tar = None if self._zip else tarfile.open(path, "r:")  # noqa: SIM115 -- stays open
        if self._tar is not None:
            weakref.finalize(self, self._tar.close)  # which a ZipFile does by itself
        if self._zip is not None:
            self.names = {info.filename: info.file_size for info in self._zip.infolist() if not info.is_dir()}
        else:
            assert self._tar is not None
            self.names = {info.name.removeprefix("./"): info.size for info in self._tar.getmembers() if info.isfile()}
            self._infos = {info.name.removeprefix("./"): info for info in self._tar.getmembers() if info.isfile()}

    def read(self, member: str) -> bytes:
        """The content of a file that is known to exist."""
        with self._lock:
            if self._zip is not None:
                return self._zip.read(member)
            assert self._tar is not None
            file = self._tar.extractfile(self._infos[member])
            assert file is not None, "only files are listed"
            return file.read()


def _opened(path: Path) -> _Archive:
    check_file(path)
    stat = path.stat()
    return _open(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _open(path: Path, size: int, changed: int) -> _Archive:
    """Open an archive, cached. Size and modification time are part of the key, so that a rewritten archive is read anew."""
    try:
        return _Archive(path)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"`{path}` cannot be read as an archive: {error}. Copy it again.") from error
