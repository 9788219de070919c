"""Checkpoints: self-contained folders that describe themselves.

    checkpoint.json      format, package version, model name, revision and config, specs, task, step, scores
    model.safetensors    the weights, or
    engine/              what an engine has in their place (`contracts/engine.py`)
    features/            what the task fitted (vocabularies)
    training/            optimizer, position in the data, early stopping: only for resuming
    manifest.json        sha256 of every file above

A checkpoint is written as `atomic` says, so a kill at any moment leaves the old one or the new one. `best` and `last` in a run are links
that are replaced in one step. Only safetensors and JSON: loading runs no code.

Unusual here: opening a checkpoint checks its header alone. Each other file is checked against the manifest when it is first asked for, once
for each opened checkpoint, so what only resuming needs (twice as large as the weights, or more) costs nothing to anybody else.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from antiphon.contracts.engine import FOLDER as ENGINE
from antiphon.contracts.files import is_remote
from antiphon.errors import CheckpointError
from antiphon.store import atomic
from antiphon.store.json_text import json_text
from antiphon.store.remote_runs import fetched_checkpoint

FORMAT = 1
HEADER, WEIGHTS, FEATURES, TRAINING, MANIFEST = "checkpoint.json", "model.safetensors", "features", "training", "manifest.json"


@final
@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint. Files are checked against the manifest before they are read.

    Raises CheckpointError, wherever a file is asked for, when that file has changed since it was written.
    """

    folder: Path
    header: dict[str, Any]
    _manifest: Mapping[str, str | list[str]] = field(repr=False)
    _hashes: dict[str, str] = field(repr=False, compare=False, default_factory=dict)
    """The hashes of the files that were checked already."""

    def weights(self) -> dict[str, Tensor]:
        """The model's tensors, on the CPU. Raises CheckpointError for an exported folder, which has none."""
        if "engine" in self.header:
            raise CheckpointError(
                f"{self.folder} was exported for the engine `{self.header['engine'].get('name')}`: it has no weights to learn from or to"
                " change. Name the run that it was made of."
            )
        self.checked(WEIGHTS)
        return read_tensors(self.folder / WEIGHTS)

    @property
    def features(self) -> Path:
        """The folder of fitted features."""
        return self._checked_folder(FEATURES)

    @property
    def engine(self) -> Path:
        """The folder of an engine's files, if the checkpoint has these instead of weights."""
        return self._checked_folder(ENGINE)

    @property
    def training(self) -> Path:
        """The folder with the state for resuming."""
        return self._checked_folder(TRAINING)

    def check(self) -> None:
        """Check every file."""
        for name in self._manifest:
            self.checked(name)

    def checked(self, name: str) -> str:
        """The sha256 of a file, checked against the manifest."""
        if name not in self._hashes:
            expected, found = self._manifest.get(name), digest(self.folder / name)
            if found not in (expected if isinstance(expected, list) else [expected]):
                raise CheckpointError(f"The checkpoint {self.folder} is damaged: {name} has changed since it was written. Use another one.")
            self._hashes[name] = found
        return self._hashes[name]

    def _checked_folder(self, name: str) -> Path:
        for file in self._manifest:
            if file.startswith(f"{name}/"):
                self.checked(file)
        return self.folder / name


def write(
    folder: Path, header: Mapping[str, Any], weights: Mapping[str, Tensor] | None, parts: Callable[[Path], None] | None = None
) -> None:
    """Write a checkpoint atomically; `parts` adds further files to the folder it is given. Without weights, these are an engine's.

    Raises CheckpointError when the disk is full or the folder cannot be written; what was there before is intact.
    """
    try:
        with atomic.replacing_folder(folder) as temporary:
            write_json(temporary / HEADER, {"format": FORMAT, **header})
            if weights is not None:
                write_tensors(temporary / WEIGHTS, weights)
            if parts is not None:
                parts(temporary)
            files = sorted(path for path in temporary.rglob("*") if path.is_file())
            write_json(temporary / MANIFEST, {str(path.relative_to(temporary).as_posix()): digest(path) for path in files})
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CheckpointError(
            f"The checkpoint {folder} cannot be written: {reason}. Earlier checkpoints are intact; make room or choose another `--out`."
        ) from error


def find_checkpoint(path: Path | str, *, prefer: str = "best") -> Path:
    """The checkpoint that a path means: itself, or the best (or last) one of a run. One in a remote storage is downloaded."""
    if is_remote(path):
        return fetched_checkpoint(path, prefer)
    path = Path(path)
    if (path / HEADER).is_file():
        return path
    for name in (prefer, "best", "last"):
        if (path / name).exists():
            return path / name
    if not path.exists():
        raise CheckpointError(f"There is no run or checkpoint {path}.")
    if path.is_file():
        recipe = path.suffix in (".yaml", ".yml")
        hint = (
            f"It is trained by `antiphon train {path}`, which says where it writes the run"
            if recipe
            else "Name the folder that `antiphon train` wrote"
        )
        raise CheckpointError(f"A run is a folder, but {path} is a file{', a recipe' if recipe else ''}. {hint}.")
    within = sorted(str(run) for run in path.iterdir() if any((run / name).exists() for name in ("best", "last", HEADER)))
    if within:
        raise CheckpointError(f"{path} is no run, but holds {'runs' if len(within) > 1 else 'one'}: {', '.join(within[:10])}. Name one.")
    raise CheckpointError(f"{path} is no run with a checkpoint, nor a checkpoint. Train first: antiphon train RECIPE --out {path}.")


def read(folder: Path) -> Checkpoint:
    """Open a checkpoint: check that it is complete, and its header. Other files are checked when they are read.

    Raises CheckpointError when it is missing, incomplete, or of a newer format, or when its header is damaged.
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
    for name in manifest:
        if not (folder / name).is_file():
            raise CheckpointError(f"The checkpoint {folder} is incomplete: {name} is missing. Use another checkpoint of the run.")
    opened = Checkpoint(folder, header, manifest)
    opened.checked(HEADER)
    return opened


def amend(folder: Path, header: Mapping[str, Any]) -> None:
    """Replace the header of a checkpoint, and leave everything else unchanged.

    A kill at any moment leaves the old header or the new one, and a manifest that knows it: meanwhile it knows both.

    Raises CheckpointError when the folder holds no intact checkpoint or cannot be written.
    """
    opened, manifest = read(folder), read_json(folder / MANIFEST)
    opened.check()
    header = {"format": FORMAT, **header}
    before, after = opened.checked(HEADER), hashlib.sha256(_as_json(header)).hexdigest()
    try:
        replace_json(folder / MANIFEST, {**manifest, HEADER: [before, after]})
        replace_json(folder / HEADER, header)
        replace_json(folder / MANIFEST, {**manifest, HEADER: after})
    except OSError as error:
        raise CheckpointError(f"The checkpoint {folder} cannot be written: {error.strerror}. It is as it was.") from error


def point(link: Path, target: Path) -> None:
    """Make `link` (such as `best`) point to `target`, atomically replacing an older link."""
    temporary = atomic.partial_name(link)
    try:
        temporary.symlink_to(os.path.relpath(target, link.parent), target_is_directory=True)
        os.replace(temporary, link)
    except OSError as error:
        raise CheckpointError(f"The link {link} cannot be written: {error.strerror}. The checkpoint {target} is intact.") from error


def remove(folder: Path) -> None:
    """Remove a checkpoint atomically."""
    temporary = atomic.partial_name(folder)
    if folder.exists():
        os.replace(folder, temporary)
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """A context in which no other process can train in a run's folder; the lock is released when the process dies.

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


def write_json(path: Path, value: Any) -> None:
    """Write JSON in a readable format."""
    path.write_bytes(_as_json(value))


def replace_json(path: Path, value: Any) -> None:
    """Write JSON in a readable format, atomically. Raises OSError when it cannot be written; the earlier file is then intact."""
    with atomic.replacing(path, "wb") as file:
        file.write(_as_json(value))


def _as_json(value: Any) -> bytes:
    return (json_text(value, indent=1) + "\n").encode()


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors; those that share memory (tied embeddings) are written once, under the first name."""
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
    save_file(kept, path, metadata={"shared": json_text(shared, ascii_only=True)} if shared else None)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read tensors, restoring shared names. Raises CheckpointError when the file is not in safetensors format."""
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
