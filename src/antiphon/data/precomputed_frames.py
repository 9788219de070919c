"""Features of recordings computed by another program: a matrix (S, C) from Kaldi's archives, a `.npy` file, or memory."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from antiphon.data.audio_archives import in_archive, read_member
from antiphon.data.byte_streams import check_file
from antiphon.data.kaldi_archives import in_ark
from antiphon.data.kaldi_matrices import read_matrix, without_range
from antiphon.errors import DataError

SUFFIX = ".npy"
BESIDE = ("offset", "num_frames", "frame_shift", "statistics")
"""What a format may tell of a matrix: at which second of its recording it begins, how many frames it has, how many seconds there are from
one to the next, and the place of Kaldi's statistics of its speaker."""

_LEAST_VARIANCE = 1e-20  # as in Kaldi's apply-cmvn, which then warns


def read_frames(value: Any) -> tuple[Float[np.ndarray, "S C"], str]:
    """(frames, their name for messages), float32.

    value   a path of a `.npy` file, also of one in a zip or tar, or of a place in an archive of Kaldi (`feats.ark:1234`, `[0:99]`); the
            bytes of a `.npy` file; numbers (S, C); or a mapping with `path`, `array`, `bytes`, or `base64` with `dtype` and `shape`

    Raises DataError that names them and says what to do.
    """
    if isinstance(value, Mapping):
        return _mapped(value)
    if isinstance(value, str | Path) and value:
        path = Path(value).expanduser()
        return _checked(_of_path(path), f"`{path}`"), f"`{path}`"
    name = "The matrix of features"
    if isinstance(value, bytes | bytearray | memoryview):
        return _checked(_of_numpy(bytes(value), name), name), name
    return _checked(value, name), name


def kaldi_normalized(frames: Float[np.ndarray, "S C"], statistics: Path, name: str) -> Float[np.ndarray, "S C"]:
    """Frames normalized to mean 0 and variance 1 over all frames behind Kaldi's statistics (2, C + 1): those of a speaker.

    Their first row holds sums and at its end the count, the second one sums of squares, as `compute-cmvn-stats` writes them; equal to
    `apply-cmvn --norm-vars=true`. Raises DataError where they are of other features.
    """
    found = read_matrix(statistics).astype(np.float64)
    if found.shape != (2, frames.shape[1] + 1) or not found[0, -1] > 0:
        raise DataError(
            f"The statistics `{statistics}` must have 2 rows of {frames.shape[1] + 1} numbers for {name}, sums and a count above 0, but"
            f" have the shape {found.shape}. Run Kaldi's steps/compute_cmvn_stats.sh again."
        )
    mean, squares = found[:, :-1] / found[0, -1]
    deviation = np.sqrt(np.maximum(squares - mean**2, _LEAST_VARIANCE))
    return np.asarray((frames - mean) / deviation, dtype=np.float32)


def _mapped(value: Mapping[str, Any]) -> tuple[Float[np.ndarray, "S C"], str]:
    name = str(value.get("path") or "The matrix of features")
    if value.get("array") is not None:
        return _checked(value["array"], name), name
    if value.get("bytes") is not None:
        return _checked(_of_numpy(value["bytes"], name), name), name
    if value.get("base64") is not None:
        content = base64.b64decode(value["base64"])
        if value.get("dtype") is None:
            return _checked(_of_numpy(content, name), name), name
        return _checked(np.frombuffer(content, dtype=value["dtype"]).reshape(value["shape"]), name), name
    if value.get("path") is not None:
        return read_frames(str(value["path"]))
    raise DataError(f"Features must have `path`, `array`, `bytes` or `base64`, but have: {', '.join(map(str, value)) or 'nothing'}.")


def _of_path(path: Path) -> np.ndarray:
    """A matrix from a file, a member of an archive, or an offset in one of Kaldi's archives."""
    inside = in_archive(path)
    if inside is not None:
        return _of_numpy(read_member(*inside), f"`{path}`")
    plain = without_range(path)
    if plain != path or in_ark(plain) is not None:
        return read_matrix(path)
    check_file(path)
    with open(path, "rb") as file:
        head = file.read(2)
    if head == b"\0B":
        return read_matrix(path)
    return _of_numpy(path.read_bytes(), f"`{path}`")


def _of_numpy(content: bytes, name: str) -> np.ndarray:
    try:
        return np.asarray(np.lib.format.read_array(io.BytesIO(content), allow_pickle=False))
    except (ValueError, EOFError, OSError) as error:
        raise DataError(
            f"{name} must be features: a file that `numpy.save` wrote, or a place in an archive of Kaldi (`feats.ark:1234`), but cannot be"
            f" read as such ({error})."
        ) from error


def _checked(values: Any, name: str) -> Float[np.ndarray, "S C"]:
    """The matrix, checked: finite numbers (S, C) with at least one frame."""
    try:
        matrix = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{name} must be a matrix of numbers (frames, channels), but its rows differ in length.") from error
    if matrix.ndim != 2 or matrix.dtype.kind not in "iuf":
        raise DataError(f"{name} must be a matrix of numbers (frames, channels), but is {matrix.dtype} of shape {matrix.shape}.")
    frames = matrix.astype(np.float32)
    if not len(frames):
        raise DataError(f"{name} must have at least one frame, but has none. Leave it out.")
    if not np.isfinite(frames).all():
        place = int(np.argmin(np.isfinite(frames).all(axis=1)))
        raise DataError(f"{name} must hold numbers, but has NaN or infinity in frame {place}. Repair it or leave it out.")
    return frames
