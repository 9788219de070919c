"""Matrices in Kaldi's archives, such as features, by a path that ends in the byte offset of one: `feats.ark:1234`, or a file of one matrix.

Behind the mark of binary data a name says how values are stored: float32 (`FM`), float64 (`DM`), or compressed (`CM`, `CM2`, `CM3`) into
one or two bytes each (Povey et al. 2011, The Kaldi speech recognition toolkit; `matrix/compressed-matrix.h`). Behind the path there may be
a range of rows, and of columns, both with their last one: `feats.ark:1234[0:99]`, `[0:99,0:12]`, `[:,0:12]`.

Unusual here: as in Kaldi, the last row may lie up to three rows behind the end, since times of segments are rounded.
"""

import re
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Float

from antiphon.data.byte_streams import check_file
from antiphon.data.kaldi_archives import in_ark
from antiphon.errors import DataError

_RANGE = re.compile(r"(.+)\[(?:(\d+):(\d+)|:)(?:,(?:(\d+):(\d+)|:))?\]")
_TOLERANCE = 3  # rows
_QUARTERS = (0, 64, 192, 255)  # what a byte of CM means at the least value of a column, at its quartiles, and at the greatest

_Bounds = tuple[int, int] | None


def without_range(path: Path) -> Path:
    """The path of a matrix without a range that may follow it."""
    if not path.name.endswith("]") or path.exists():
        return path
    found = _RANGE.fullmatch(str(path))
    return path if found is None else Path(found[1])


def read_matrix(path: Path) -> Float[np.ndarray, "S C"]:
    """The matrix at an offset in an archive, or in a file of its own, or a range of it. Raises DataError when there is none, or it is cut
    off."""
    plain = without_range(path)
    archive, place = in_ark(plain) or (plain, 0)
    check_file(archive)
    with open(archive, "rb") as file:
        file.seek(place)
        matrix = _matrix(file, archive, place)
    found = None if plain == path else _RANGE.fullmatch(str(path))
    if found is None:
        return matrix
    rows, columns = (_bounds(found[one], found[one + 1]) for one in (2, 4))
    return matrix[_slice(rows, len(matrix), _TOLERANCE, "row", path), _slice(columns, matrix.shape[1], 0, "column", path)]


def _bounds(first: str | None, last: str | None) -> _Bounds:
    return None if first is None or last is None else (int(first), int(last))


def _slice(bounds: _Bounds, size: int, tolerance: int, what: str, path: Path) -> slice:
    """The rows or columns of a range, whose last number is included."""
    first, last = (0, size - 1) if bounds is None else bounds
    if not first <= last < size + tolerance or first >= size:
        raise DataError(
            f"The range of `{path}` must lie within the matrix, whose last {what} is {size - 1}, but goes from {first} to {last}."
        )
    return slice(first, last + 1)


def _matrix(file: IO[bytes], archive: Path, place: int) -> Float[np.ndarray, "S C"]:
    """The matrix that begins at this position."""
    head = file.read(15)
    kind = head[2:].split(b" ", 1)[0].decode("latin-1") if head[:2] == b"\0B" else ""
    if kind in ("FM", "DM"):
        dtype = np.dtype("<f4" if kind == "FM" else "<f8")
        if head[5:6] + head[10:11] != b"\4\4":
            raise _unlike(archive, place, head)
        rows, columns = (int.from_bytes(head[one : one + 4], "little", signed=True) for one in (6, 11))
        values = _values(file, dtype, rows, columns, archive, place)
        return values.reshape(rows, columns)
    if kind in ("CM", "CM2", "CM3"):
        file.seek(place + len(kind) + 3)
        least, spread = _values(file, np.dtype("<f4"), 2, 1, archive, place).astype(np.float64)
        rows, columns = _values(file, np.dtype("<i4"), 2, 1, archive, place).tolist()
        if kind == "CM":
            corners = least + spread / 65535 * _values(file, np.dtype("<u2"), columns, 4, archive, place).reshape(columns, 4)
            coded = _values(file, np.dtype("u1"), columns, rows, archive, place).reshape(columns, rows)
            return np.stack([np.interp(coded[one], _QUARTERS, corners[one]) for one in range(columns)], axis=1).astype(np.float32)
        wide = kind == "CM2"
        coded = _values(file, np.dtype("<u2" if wide else "u1"), rows, columns, archive, place).reshape(rows, columns)
        return np.asarray(least + spread / (65535 if wide else 255) * coded, dtype=np.float32)
    raise _unlike(archive, place, head)


def _values(file: IO[bytes], dtype: np.dtype, rows: int, columns: int, archive: Path, place: int) -> np.ndarray:
    """The next `rows` times `columns` values."""
    wanted = rows * columns * dtype.itemsize
    content = file.read(max(wanted, 0))
    if rows < 0 or columns < 0 or len(content) < wanted:
        raise DataError(
            f"`{archive}` is cut off or damaged: {len(content):,} of {wanted:,} bytes are there of the matrix at byte {place:,}. Copy it"
            " again."
        )
    return np.frombuffer(content, dtype=dtype)


def _unlike(archive: Path, place: int, head: bytes) -> DataError:
    """A description of what is there instead of a matrix."""
    if head[:4] == b"RIFF" or head[:5] == b"AUDIO":
        what = "a sound"
    elif head[:2] == b"\0B":
        what = f"something else (`{head[2:].split(b' ', 1)[0].decode('latin-1')}`)"
    else:
        what = "no binary data"
    return DataError(
        f"`{archive}` must have a matrix at byte {place:,} (float, double or compressed), but has {what} there. Write it again by Kaldi:"
        " copy-feats scp:feats.scp ark,scp:new.ark,new.scp."
    )
