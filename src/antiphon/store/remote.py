"""Files in a remote storage (S3, Google Cloud, Azure, HDFS, SFTP), through fsspec: downloaded once, uploaded as a whole.

What is read is fetched into a cache on this machine first, under a name that has what tells its version (an ETag, or size and time), and
fetched again when that changes. What is written is written here and then sent. Object stores show an object when all of it is there; in
others it is sent under another name and renamed.
"""

import copy
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, final

from antiphon.contracts.files import restored
from antiphon.errors import AntiphonError, DataError, MissingPackageError
from antiphon.store import atomic

_TELLING = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime", "created", "size")
_OBJECT_STORES = ("s3", "gs", "gcs", "az", "abfs", "abfss")
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "abfss": "adlfs", "sftp": "paramiko"}
_HELP = {
    "s3": " It needs a bucket that is there, and credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile; AWS_ENDPOINT_URL"
    " where it is not Amazon's).",
}


def cache_folder() -> Path:
    """The folder for downloaded files: ANTIPHON_CACHE, or `antiphon` in the user's cache folder."""
    named = os.environ.get("ANTIPHON_CACHE")
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "antiphon"
    return Path(named) if named else usual


@final
class Storage:
    """The storage of a path. All methods raise errors as a DataError of one sentence with the path.

    Raises MissingPackageError where what reads it is not installed.
    """

    def __init__(self, url: Path | str):
        self.url = restored(url).rstrip("/")
        self._protocol = self.url.partition("://")[0]
        with self._asked("opened"):
            from fsspec.core import url_to_fs

            self._files, self._root = url_to_fs(self.url)
            self._files.invalidate_cache()  # listings that are minutes old

    def __str__(self) -> str:
        return self.url

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else str(self._root)

    def exists(self, name: str = "") -> bool:
        """Whether a file or folder exists."""
        with self._asked("read"):
            return bool(self._files.exists(self._path(name)))

    def is_folder(self) -> bool:
        """Whether the path is a folder."""
        with self._asked("read"):
            return bool(self._files.isdir(self._root))

    def read(self, name: str = "") -> bytes | None:
        """The content of a file; None if it does not exist."""
        with self._asked("read"):
            try:
                return bytes(self._files.cat_file(self._path(name)))
            except FileNotFoundError:
                return None

    def sizes(self, within: str = "", *, deep: bool = False) -> dict[str, int]:
        """The names of files and their sizes in bytes, including those in subfolders if `deep`; empty if there is no folder."""
        base = self._path(within)
        with self._asked("read"):
            self._files.invalidate_cache()
            try:
                found = self._files.find(base, detail=True) if deep else {one["name"]: one for one in self._files.ls(base, detail=True)}
            except FileNotFoundError:
                return {}
        known = {str(path).rstrip("/"): one for path, one in found.items() if one["type"] == "file"}
        start = base.strip("/")
        names = {path: path.strip("/").removeprefix(start).strip("/") for path in known}
        return {name: int(known[path]["size"] or 0) for path, name in names.items() if name and not name.rpartition("/")[2].startswith(".")}

    def fetch(self, name: str, path: Path) -> None:
        """Download a file to a place on this machine, atomically. Raises DataError if it does not exist, too."""
        with self._asked("read"):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = atomic.partial_name(path)
            try:
                self._files.get_file(self._path(name), str(partial))
                os.replace(partial, path)
            finally:
                partial.unlink(missing_ok=True)

    def send(self, path: Path, name: str = "") -> None:
        """Upload a file from this machine; it appears completely, or not at all."""
        target = self._path(name)
        with self._asked("written"):
            if self._protocol in _OBJECT_STORES:
                self._files.put_file(str(path), target)
                return
            folder, _, last = target.rpartition("/")
            partial = f"{folder}/{atomic.partial_name(Path(last)).name}"
            self._files.makedirs(folder, exist_ok=True)
            try:
                self._files.put_file(str(path), partial)
                self._files.mv(partial, target)
            except BaseException:
                if self._files.exists(partial):
                    self._files.rm_file(partial)
                raise

    def remove(self, name: str) -> None:
        """Remove a file or a folder, if it exists."""
        with self._asked("written"):
            if self._files.exists(self._path(name)):
                self._files.rm(self._path(name), recursive=True)

    def matching(self) -> "list[Storage]":
        """The files that match the path, which is a pattern, sorted by name."""
        with self._asked("read"):
            found = self._files.glob(self._root, detail=True)
        return [self._at(str(path)) for path in sorted(found) if found[path]["type"] == "file"]

    def _at(self, root: str) -> "Storage":
        other = copy.copy(self)
        other._root, other.url = root, f"{self._protocol}://{root.lstrip('/')}"
        return other

    def version(self) -> str:
        """An identifier of the file's version. Raises DataError if it does not exist."""
        with self._asked("read"):
            info = self._files.info(self._root)
            if info["type"] != "file":
                raise DataError(f"`{self.url}` is a folder. Name files, for instance by a pattern such as {self.url}/*.tsv.")
            known = [str(info.get(name)) for name in _TELLING]
        return hashlib.sha256("|".join(known).encode()).hexdigest()[:12]

    @contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        """A context that adds to every error the path, and a remedy."""
        try:
            yield
        except AntiphonError:
            raise
        except ImportError as error:
            package = _PACKAGES.get(self._protocol, str(error.name or "fsspec"))
            if package == "s3fs":
                raise MissingPackageError(f"`{self.url}`", package, "remote") from error
            raise DataError(f"`{self.url}` needs the package `{package}`. Install it with: pip install {package}") from error
        except Exception as error:  # each storage has errors of its own
            reason = " ".join(str(error).split()) or type(error).__name__
            if isinstance(error, FileNotFoundError) and what == "read":
                raise DataError(f"There is no `{self.url}`.{_HELP.get(self._protocol, '')}") from error
            raise DataError(f"`{self.url}` cannot be {what}: {reason.rstrip('.')}.{_HELP.get(self._protocol, '')}") from error


def fetched(url: Path | str) -> Path:
    """A file of a storage, downloaded to this machine. Raises DataError if it does not exist, or is a folder."""
    return _fetched(Storage(url))


def _fetched(storage: Storage) -> Path:
    folder, _, name = storage.url.rpartition("/")
    if name in ("", ".", ".."):
        raise DataError(f"`{storage}` must name a file.")
    of_folder = hashlib.sha256(folder.encode()).hexdigest()[:16]  # whose own name may say anything, `..` too
    path = cache_folder() / "files" / of_folder / storage.version() / name
    if not path.exists():
        storage.fetch("", path)
    return path


def fetched_all(url: Path | str) -> list[Path]:
    """The files that match a pattern, downloaded to this machine. Raises DataError if there are none."""
    storage = Storage(url)
    found = storage.matching()
    if not found:
        raise DataError(f"No file matches `{storage}`. In a pattern * stands for any characters, and ** for any folders.")
    return [_fetched(one) for one in found]


@final
class RemotePlace:
    """A folder in a remote storage with atomic writes; a `Place`."""

    def __init__(self, url: Path | str):
        self._storage = Storage(url)

    def __str__(self) -> str:
        return str(self._storage)

    def sizes(self, within: str = "") -> dict[str, int]:
        """The names of files and their sizes."""
        return self._storage.sizes(within)

    def read(self, name: str) -> bytes | None:
        """The content of a file."""
        return self._storage.read(name)

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """A file on this machine, which is uploaded in the end."""
        with tempfile.TemporaryDirectory(prefix="antiphon-") as folder:
            path = Path(folder) / "file"
            with open(path, "wb") as file:
                yield file
            self._storage.send(path, name)

    def tidy(self) -> None:
        """Nothing to do: unfinished files are not stored there."""


__all__ = ["RemotePlace", "Storage", "cache_folder", "fetched", "fetched_all"]
