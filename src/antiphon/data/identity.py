"""Identifies the data of a run by its encoded examples, regardless of where files lie and when they were written.

Symbols, times and targets are hashed. Values that were computed, such as the frames of a recording, may differ in their last bits from
one processor to another, so of them a sketch is kept: mean and mean size of sixteen parts, compared with a tolerance.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from antiphon.contracts.corpus import StoredCorpus
from antiphon.data.lengths import lengths_in_blocks

PARTS, BLOCK, TOLERANCE = 16, 1 << 22, 1e-3
# What depends on where the records stood, or is there for people to read.
_LEFT_OUT = ("numbers", "records", "series")


@runtime_checkable
class InFolder(Protocol):
    """A corpus of arrays in a folder with a manifest."""

    folder: Path
    manifest: dict[str, Any]


def contents_of(folder: Path, layouts: Mapping[str, Any]) -> dict[str, Any]:
    """A hash or a sketch of each array in a folder; `layouts` comes from a manifest, and says how they are stored."""
    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*.bin")):
        name = path.stem.removesuffix("_offsets")
        if name in _LEFT_OUT:
            continue
        layout = layouts.get(name)
        computed = path.stem == name and isinstance(layout, Mapping) and layout["dtype"] in ("float32", "float16")
        found[path.name] = _sketch(path, np.dtype(layout["dtype"])) if computed and layout else _digest(path)
    return found


def identity_of(corpora: Sequence[StoredCorpus]) -> dict[str, Any]:
    """The identity of a split's corpora that a checkpoint stores, as plain values: the number of examples, their lengths, and their
    contents."""
    lengths = hashlib.sha256()
    for corpus in corpora:
        for side in (0, 1):
            for both in lengths_in_blocks(corpus):
                lengths.update(np.asarray(both[side], dtype=np.int64).tobytes())
    contents = [
        corpus.manifest.get("contents") or contents_of(corpus.folder, corpus.manifest) for corpus in corpora if isinstance(corpus, InFolder)
    ]
    return {"examples": sum(map(len, corpora)), "lengths": lengths.hexdigest(), "contents": contents}


def is_same(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two identities belong to the same data. One written by an older version, without contents, is compared by its lengths."""
    if any(then[key] != now[key] for key in ("examples", "lengths")):
        return False
    before, after = then.get("contents"), now["contents"]
    return before is None or (len(before) == len(after) and all(map(_same_contents, before, after)))


def _same_contents(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return then.keys() == now.keys() and all(_same_array(then[name], now[name]) for name in then)


def _same_array(then: Any, now: Any) -> bool:
    if isinstance(then, str) or isinstance(now, str):
        return bool(then == now)
    (means, sizes), (other_means, other_sizes) = np.array(then), np.array(now)
    scale = np.maximum(sizes, other_sizes) * TOLERANCE
    return bool((np.abs(means - other_means) <= scale).all() and (np.abs(sizes - other_sizes) <= scale).all())


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sketch(path: Path, dtype: np.dtype[Any]) -> list[list[float]]:
    """Means of the values and of their magnitudes, for each part of the file; missing values count as 0."""
    count = path.stat().st_size // dtype.itemsize
    edges = np.linspace(0, count, PARTS + 1).astype(np.int64)
    means, sizes = np.zeros(PARTS), np.zeros(PARTS)
    for part, (start, end) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        for begin in range(start, end, BLOCK):
            values = np.fromfile(path, dtype, min(BLOCK, end - begin), offset=begin * dtype.itemsize).astype(np.float64)
            values = np.nan_to_num(values)
            means[part] += values.sum() / (end - start)
            sizes[part] += np.abs(values).sum() / (end - start)
    return [means.tolist(), sizes.tolist()]
