"""Checkpoints: directories that describe themselves and need nothing else.

    checkpoint.json      format, package version, model name, revision and config, specs, task, step, scores
    model.safetensors    the weights
    features/            what the task fitted (vocabularies)
    training/            optimizer, position in the data, early stopping: only for resuming
    manifest.json        sha256 of every file above

A checkpoint is written beside its final place, synced to disk and renamed, so a kill at any moment leaves the old one or the new one,
never half of one. `best` and `last` in a run are links that are replaced in one step. Only safetensors and JSON: loading runs no code.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from antiphon.errors import CheckpointError

FORMAT = 1
HEADER, WEIGHTS, FEATURES, TRAINING, MANIFEST = "checkpoint.json", "model.safetensors", "features", "training", "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint on disk."""

    folder: Path
    header: dict[str, Any]

    def weights(self) -> dict[str, Tensor]:
        """The model's tensors, on the CPU."""
        return read_tensors(self.folder / WEIGHTS)

    @property
    def features(self) -> Path:
        """The folder of fitted features."""
        return self.folder / FEATURES

    @property
    def training(self) -> Path:
        """The folder of what resuming needs."""
        return self.folder / TRAINING


def write(folder: Path, header: Mapping[str, Any], weights: Mapping[str, Tensor], parts: Callable[[Path], None] | None = None) -> None:
    """Write a checkpoint atomically; `parts` adds files of its own to the folder it is given.

    Raises CheckpointError when the disk is full or the folder cannot be written; what was there before is intact.
    """
    temporary = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        write_json(temporary / HEADER, {"format": FORMAT, **header})
        write_tensors(temporary / WEIGHTS, weights)
        if parts is not None:
            parts(temporary)
        files = sorted(path for path in temporary.rglob("*") if path.is_file())
        write_json(temporary / MANIFEST, {str(path.relative_to(temporary).as_posix()): digest(path) for path in files})
        for path in (*files, temporary / MANIFEST, *(path for path in temporary.rglob("*") if path.is_dir()), temporary):
            _sync(path)
        remove_later = folder.with_name(f".{folder.name}.partial-old-{os.getpid()}")
        if folder.exists():
            os.replace(folder, remove_later)
        os.replace(temporary, folder)
        _sync(folder.parent)
        shutil.rmtree(remove_later, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        _put_back(folder.parent)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CheckpointError(
            f"The checkpoint {folder} cannot be written: {reason}. Earlier checkpoints are intact; make room or choose another `--out`."
        ) from error


def find_checkpoint(path: Path | str, *, prefer: str = "best") -> Path:
    """The checkpoint that a path means: itself, or the best (or last) one of a run."""
    path = Path(path)
    if (path / HEADER).is_file():
        return path
    for name in (prefer, "best", "last"):
        if (path / name).exists():
            return path / name
    if not path.exists():
        raise CheckpointError(f"There is no run or checkpoint {path}.")
    raise CheckpointError(f"{path} is no run with a checkpoint, nor a checkpoint. Train first: antiphon train RECIPE --out {path}.")


def read(folder: Path) -> Checkpoint:
    """Open a checkpoint after checking every file against the manifest.

    Raises CheckpointError when it is missing, incomplete, damaged, or of a newer format.
    """
    if not folder.is_dir():
        raise CheckpointError(f"There is no checkpoint {folder}.")
    manifest, header = read_json(folder / MANIFEST), read_json(folder / HEADER)
    found = header.get("format")
    if not isinstance(found, int) or found > FORMAT:
        raise CheckpointError(
            f"The checkpoint {folder} has format {found} (written by antiphon {header.get('version', '?')}), but this version reads up to"
            f" {FORMAT}. Install a newer antiphon."
        )
    for name, expected in manifest.items():
        path = folder / name
        if not path.is_file():
            raise CheckpointError(f"The checkpoint {folder} is incomplete: {name} is missing. Use another checkpoint of the run.")
        if digest(path) not in ([expected] if isinstance(expected, str) else expected):
            raise CheckpointError(f"The checkpoint {folder} is damaged: {name} has changed since it was written. Use another one.")
    return Checkpoint(folder, header)


def amend(folder: Path, header: Mapping[str, Any]) -> None:
    """Replace what a checkpoint says about itself, and leave all else.

    A kill at any moment leaves the old header or the new one, and a manifest that knows it: meanwhile it knows both.

    Raises CheckpointError when the folder holds no intact checkpoint or cannot be written.
    """
    read(folder)
    manifest = read_json(folder / MANIFEST)
    new = folder / f".{HEADER}.partial-{os.getpid()}"
    try:
        write_json(new, {"format": FORMAT, **header})
        fresh = digest(new)
        _sync(new)
        _replace_json(folder / MANIFEST, {**manifest, HEADER: [digest(folder / HEADER), fresh]})
        os.replace(new, folder / HEADER)
        _sync(folder)
        _replace_json(folder / MANIFEST, {**manifest, HEADER: fresh})
    except OSError as error:
        new.unlink(missing_ok=True)
        raise CheckpointError(f"The checkpoint {folder} cannot be written: {error.strerror}. It is as it was.") from error


def _replace_json(path: Path, value: Any) -> None:
    """Write JSON into the place of an older file, in one step."""
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        write_json(partial, value)
        _sync(partial)
        os.replace(partial, path)
        _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def point(link: Path, target: Path) -> None:
    """Make `link` (such as `best`) lead to `target`, replacing an older link in one step."""
    temporary = link.with_name(f".{link.name}.partial-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        temporary.symlink_to(os.path.relpath(target, link.parent), target_is_directory=True)
        os.replace(temporary, link)
    except OSError as error:
        raise CheckpointError(f"The link {link} cannot be written: {error.strerror}. The checkpoint {target} is intact.") from error


def remove(folder: Path) -> None:
    """Remove a checkpoint; it disappears in one step."""
    temporary = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    if folder.exists():
        os.replace(folder, temporary)
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other processes from training in a run's folder meanwhile; the system lets go of it when a process dies.

    Raises CheckpointError when another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w", encoding="utf-8") as file:
        try:
            import fcntl  # Windows has none; then nobody is kept away

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckpointError(f"Another process is training in {folder}. Wait for it, or choose another `--out`.") from None
        except (ImportError, OSError):  # some network file systems cannot lock
            pass
        yield


def clean(folder: Path) -> None:
    """Remove what interrupted writes left behind; a checkpoint whose replacement never came is put back."""
    _put_back(folder)
    for path in folder.glob(".*.partial*"):
        path.unlink() if path.is_symlink() or path.is_file() else shutil.rmtree(path, ignore_errors=True)


def _put_back(folder: Path) -> None:
    for path in folder.glob(".*.partial-old-*"):
        place = path.with_name(path.name[1:].rsplit(".partial-old-", 1)[0])
        if not place.exists():
            os.replace(path, place)


def write_json(path: Path, value: Any) -> None:
    """Write JSON that a person can read."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors; those that are the same memory (tied embeddings) are written once, under the first name."""
    seen: dict[tuple[Any, ...], str] = {}
    kept: dict[str, Tensor] = {}
    shared: dict[str, str] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        key = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, tensor.device)
        if tensor.numel() and key in seen:
            shared[name] = seen[key]
            continue
        seen[key] = name
        here = tensor.detach().cpu().contiguous()
        storage = here.untyped_storage().data_ptr()
        kept[name] = here.clone() if storage in storages else here  # safetensors refuses views of one memory
        storages.add(storage)
    save_file(kept, path, metadata={"shared": json.dumps(shared)} if shared else None)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read tensors, restoring shared names. Raises CheckpointError when the file is no safetensors file."""
    from safetensors import safe_open

    try:
        tensors = load_file(path)
        with safe_open(path, framework="pt") as file:
            shared: dict[str, str] = json.loads((file.metadata() or {}).get("shared", "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as safetensors: {error}.") from error
    return {**tensors, **{name: tensors[first] for name, first in shared.items()}}


def digest(path: Path) -> str:
    """The sha256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of a checkpoint. Raises CheckpointError when there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path.parent} is no checkpoint: it has no {path.name}.") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"The checkpoint {path.parent} is damaged: {path.name} cannot be read.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"The checkpoint {path.parent} is damaged: {path.name} is no JSON object.")
    return value


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
