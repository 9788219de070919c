"""Folders of arrays on disk: written atomically, read through memory maps.

A folder is written beside its place (`store.atomic`) and renamed, so a kill at any moment leaves no half of one behind. Its manifest,
written last, says what it holds, the sizes of its files, and the identity of what it was made from: when that is unchanged, the folder is
opened as it is.
"""

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, final

import numpy as np

from antiphon.data.identity import contents_of
from antiphon.errors import DataError
from antiphon.store.atomic import beside
from antiphon.store.json_text import json_text

FORMAT_VERSION = 1

DTYPES = ("uint8", "uint16", "uint32", "int64", "float16", "float32", "float64")
"""What is ever written, and therefore read: a manifest may come from elsewhere."""


def is_current(folder: Path, identity: str) -> bool:
    """Whether the folder holds exactly this data, completely. Otherwise it is written again."""
    try:
        return bool(read_manifest(folder)["identity"] == identity)
    except (DataError, KeyError, AttributeError):
        return False


def move_into_place(partial: Path, folder: Path, identity: str) -> None:
    """Rename the finished folder. If another process has built the same meanwhile, its folder is kept."""
    if folder.exists() and not is_current(folder, identity):
        if any(folder.iterdir()) and not (folder / "manifest.json").exists():
            raise DataError(f"`{folder}` must be an encoded corpus or not exist, but holds other files. Choose another folder.")
        with beside(folder) as old, contextlib.suppress(FileNotFoundError):  # another process took it away first
            os.rename(folder, old / "corpus")
    try:
        os.rename(partial, folder)
    except OSError:
        if not is_current(folder, identity):
            raise


@final
class ArrayWriter:
    """Appends arrays to one file, `name.bin`, and their offsets to another. `channels` is None for one-dimensional arrays."""

    def __init__(self, folder: Path, name: str, dtype: np.dtype[Any], channels: int | None):
        assert dtype.name in DTYPES, f"arrays of {dtype.name} are not stored"
        self._dtype, self._channels = dtype, channels
        self._values = open(folder / f"{name}.bin", "wb")  # noqa: SIM115 -- closed by `close`
        self._offsets = open(folder / f"{name}_offsets.bin", "wb")  # noqa: SIM115
        self._offsets.write(np.zeros(1, dtype=np.int64).tobytes())
        self._end = 0

    @property
    def layout(self) -> dict[str, Any]:
        """What `MappedArrays` needs to read the files."""
        return {"dtype": self._dtype.name, "channels": self._channels}

    def append(self, arrays: Sequence[np.ndarray]) -> None:
        """Append arrays (T,) or (T, channels)."""
        self.append_joined(np.concatenate(arrays), [len(array) for array in arrays])

    def append_joined(self, joined: np.ndarray, lengths: Sequence[int] | np.ndarray) -> None:
        """Append arrays that are concatenated in one."""
        ends = self._end + np.cumsum(lengths, dtype=np.int64)
        self._values.write(np.ascontiguousarray(joined, dtype=self._dtype).tobytes())
        self._offsets.write(ends.tobytes())
        self._end = int(ends[-1])

    def close(self) -> None:
        """Write to disk and close."""
        finish(self._values)
        finish(self._offsets)


@final
class MappedArrays:
    """Arrays of different lengths in one file, with their offsets in another.

    Raises DataError when the layout, which may come from elsewhere, is none that `ArrayWriter` writes.
    """

    def __init__(self, folder: Path, name: str, layout: Any):
        _check_layout(folder, name, layout)
        self.channels: int | None = layout["channels"]
        values = map_file(folder / f"{name}.bin", np.dtype(layout["dtype"]))
        self.values = values if self.channels is None else values.reshape(-1, self.channels) if self.channels else values
        self.offsets = map_file(folder / f"{name}_offsets.bin", np.dtype(np.int64))

    def lengths(self, indices: np.ndarray) -> np.ndarray:
        """The lengths of some arrays."""
        lengths: np.ndarray = self.offsets[indices + 1] - self.offsets[indices]
        return lengths

    def array(self, index: int) -> np.ndarray:
        """One array, as a view of the file."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]


def _check_layout(folder: Path, name: str, layout: Any) -> None:
    found = layout if isinstance(layout, dict) else {}
    dtype, channels = found.get("dtype"), found.get("channels")
    if dtype not in DTYPES:
        allowed = ", ".join(DTYPES)
        raise DataError(
            f"`{folder}` must hold `{name}` as one of {allowed}, but its manifest says {dtype!r}. Delete the folder to encode it again."
        )
    if channels is not None and (type(channels) is not int or channels < 0):
        raise DataError(
            f"`{folder}` must hold `{name}` with a number of channels or null, but its manifest says {channels!r}. Delete the folder to"
            " encode it again."
        )


def map_file(path: Path, dtype: np.dtype[Any]) -> np.ndarray:
    """A file as a read-only array. It is a view of the map: slicing the np.memmap class itself costs microseconds each time."""
    if path.stat().st_size == 0:
        return np.empty(0, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r").view(np.ndarray)


def write_manifest(folder: Path, facts: dict[str, Any]) -> None:
    """Write the folder's manifest, last of all; `facts` has the layout of each array by its name."""
    sizes = {path.name: path.stat().st_size for path in sorted(folder.glob("*.bin"))}
    with open(folder / "manifest.json", "w", encoding="utf-8") as file:
        whole = {"format_version": FORMAT_VERSION, "sizes": sizes, "contents": contents_of(folder, facts), **facts}
        file.write(json_text(whole, indent=1, ascii_only=True))
        _sync(file)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a corpus.

    Raises DataError when the folder holds none, or one that another version of this package wrote.
    """
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"`{folder}` must be an encoded corpus, but has no readable manifest.json. Build it again.") from error
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version != FORMAT_VERSION:
        raise DataError(
            f"The corpus `{folder}` must have format {FORMAT_VERSION}, but has {version}. Delete the folder to encode it again."
        )
    sizes = manifest.get("sizes")
    foreign = [name for name in sizes if Path(name).name != name or not name.endswith(".bin")] if isinstance(sizes, dict) else [sizes]
    if foreign:
        raise DataError(
            f"`{folder / 'manifest.json'}` must name files of its own folder, such as source.bin, but names {foreign[0]!r}. Delete the"
            " folder to encode the corpus again."
        )
    for name, size in manifest["sizes"].items():
        found = (folder / name).stat().st_size if (folder / name).exists() else 0
        if found != size:
            raise DataError(f"`{folder / name}` must have {size} bytes, but has {found}. Delete the folder to encode the corpus again.")
    return manifest  # type: ignore[no-any-return]


def finish(file: IO[Any]) -> None:
    """Flush a file to disk and close it."""
    _sync(file)
    file.close()


def _sync(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())
