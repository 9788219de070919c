"""Runs and checkpoints in a remote storage, which has no links and no renaming of folders.

A run is trained in a folder of this machine, and sent after each checkpoint, in an order that leaves what is there usable at any moment:

    1. the files of new checkpoints, their manifests last
    2. links.json, which says in one step what `best` and `last` are
    3. all else (the recipe, the log, features); then what is gone here goes there

So who opens the run meanwhile, or after a kill, finds the checkpoints of before or those of now, each of them whole.
"""

import hashlib
import os
import shutil
from pathlib import Path
from typing import final

from antiphon.contracts.files import is_remote, restored
from antiphon.errors import CheckpointError, DataError
from antiphon.store import atomic
from antiphon.store.json_text import json_object, json_text
from antiphon.store.remote import Storage, cache_folder

LINKS = "links.json"
_NAMES = ("best", "last")
_KEPT_HERE = ("corpus", LINKS)  # encoded data is made again from the records
_MANIFEST, _HEADER, _TRAINING = "manifest.json", "checkpoint.json", "training/"
_TRIES = 3


def fetched_checkpoint(path: Path | str, prefer: str) -> Path:
    """A checkpoint, or the best (or last) one of a run, downloaded to this machine, without what only resuming needs.

    Raises CheckpointError when there is none.
    """
    storage = Storage(path)
    for left in reversed(range(_TRIES)):
        folder = _within(storage, prefer)
        try:
            return _fetched(storage, folder)
        except DataError:
            if not left:  # of a run that is being trained, a checkpoint may go while it is fetched: then there is a newer one
                raise
    raise AssertionError("returned or raised")


def _within(storage: Storage, prefer: str) -> str:
    """The location, within a storage, of the checkpoint that a path means."""
    links = json_object(storage.read(LINKS))
    for name in (prefer, *_NAMES):
        if name in links:
            return str(links[name])
    if storage.exists(_HEADER):
        return ""
    found = next((name for name in (prefer, *_NAMES) if storage.exists(f"{name}/{_HEADER}")), None)  # a run that was copied with its links
    if found is None:
        raise CheckpointError(f"There is no run or checkpoint {storage}: it has no {LINKS} and no {_HEADER}.")
    return found


def _fetched(storage: Storage, folder: str) -> Path:
    inside = f"{folder}/" if folder else ""
    text = storage.read(f"{inside}{_MANIFEST}")
    manifest = {name: value for name, value in json_object(text).items() if not name.startswith(_TRAINING)}
    if text is None or any(Path(name).is_absolute() or ".." in Path(name).parts for name in manifest):
        raise DataError(f"{storage}/{folder} is no checkpoint: it has no sound {_MANIFEST}.")
    key = hashlib.sha256(f"{storage}\n{folder}\n".encode() + text).hexdigest()[:16]
    local = cache_folder() / "checkpoints" / key
    if local.exists():
        return local
    names = [name for name in storage.sizes(folder, deep=True) if not name.startswith(_TRAINING) and name != _MANIFEST]
    with atomic.beside(local) as partial:
        for name in names:
            if ".." not in Path(name).parts:
                storage.fetch(f"{inside}{name}", partial / name)
        (partial / _MANIFEST).write_text(json_text(manifest, indent=1) + "\n", encoding="utf-8")
        try:
            os.replace(partial, local)
        except OSError:
            if not local.exists():  # another process has fetched it meanwhile
                raise
    return local


def working_folder(out: Path | str) -> Path:
    """The folder to train a run in: its own, or for a run in a remote storage a folder on this machine."""
    if not is_remote(out):
        return Path(out)
    url = restored(out).rstrip("/")
    return cache_folder() / "runs" / f"{hashlib.sha256(url.encode()).hexdigest()[:12]}-{url.rpartition('/')[2]}"


@final
class RemoteRun:
    """A run in a remote storage, with its folder on this machine.

    What is there counts: to resume means to fetch it, whatever this machine had. Encoded data stays.
    """

    def __init__(self, out: Path | str):
        self.storage, self.folder = Storage(out), working_folder(out)
        self._sent: dict[str, tuple[int, int]] = {}

    def open(self, *, resume: bool) -> None:
        """Make the local folder equal to the remote one, or empty for a new run. Raises CheckpointError when there is a run that is not to
        be resumed."""
        is_there = bool(json_object(self.storage.read(LINKS)))
        if is_there and not resume:
            raise CheckpointError(f"{self.storage} already holds a run. Continue it with `--resume`, or choose another `--out`.")
        self.folder.mkdir(parents=True, exist_ok=True)
        for entry in self.folder.iterdir():
            if entry.name not in _KEPT_HERE and entry.name != ".lock":
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        if is_there:
            self._fetch()

    def _fetch(self) -> None:
        links = json_object(self.storage.read(LINKS))
        for name in self.storage.sizes(deep=True):
            if ".." not in Path(name).parts and name != LINKS:
                self.storage.fetch(name, self.folder / name)
                self._sent[name] = _state(self.folder / name)
        for name, target in links.items():
            if name in _NAMES and (self.folder / str(target)).is_dir() and ".." not in Path(str(target)).parts:
                (self.folder / name).symlink_to(str(target), target_is_directory=True)

    def send(self) -> None:
        """Make the remote run equal to the local one. Raises DataError if that fails; the remote run is then unchanged, or newer."""
        here = {name: _state(self.folder / name) for name in self._files()}
        waiting = [name for name, state in here.items() if self._sent.get(name) != state]
        for name in sorted(waiting, key=_order):
            if name.startswith("checkpoints/"):
                self._send(name, here[name])
        links = {name: os.readlink(self.folder / name) for name in _NAMES if (self.folder / name).is_symlink()}
        if links:
            path = self.folder / LINKS
            with atomic.replacing(path) as file:
                file.write(json_text(links, indent=1) + "\n")
            self.storage.send(path, LINKS)
        for name in waiting:
            if not name.startswith("checkpoints/"):
                self._send(name, here[name])
        gone = [name for name in self._sent if name not in here]
        for name in sorted(gone, key=lambda name: not name.endswith(f"/{_HEADER}")):
            self.storage.remove(name)
            del self._sent[name]

    def _send(self, name: str, state: tuple[int, int]) -> None:
        self.storage.send(self.folder / name, name)
        self._sent[name] = state

    def _files(self) -> list[str]:
        """The files of the run, those of `best` and `last` in the checkpoints that they point to; without unfinished ones."""
        found = list[str]()
        for base, folders, files in os.walk(self.folder):
            inner = Path(base).relative_to(self.folder)
            folders[:] = [one for one in folders if not one.startswith(".") and not (inner == Path() and one in _KEPT_HERE)]
            names = ((inner / one).as_posix() for one in files if not one.startswith("."))
            found.extend(name for name in names if name not in _KEPT_HERE)
        return found


def _order(name: str) -> tuple[bool, str]:
    return name.endswith(f"/{_MANIFEST}"), name


def _state(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns
