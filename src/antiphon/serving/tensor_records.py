"""Tensors of texts or of sound -> records, and predictions -> tensors."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from antiphon.errors import nearest
from antiphon.serving.refused import RefusedError
from antiphon.serving.tensors import Tensor, texts
from antiphon.serving.worker import Card
from antiphon.store.json_text import json_text

_RATES = range(1, 2**20)  # samples a second


def records_of(card: Card, tensors: Sequence[Tensor], sample_rate: Any = None) -> list[dict[str, Any]]:
    """A record for each element; `sample_rate` is that of the samples, by default the model's own.

    Raises RefusedError for inputs that the model does not read, or of different sizes.
    """
    given = {tensor.name: tensor for tensor in tensors}
    check_names(given, card.columns, needed=card.columns)
    columns = {
        name: _sound(given[name], sample_rate or card.sample_rate) if card.hears and name == card.columns[0] else _column(given[name])
        for name in given
    }
    check_sizes({name: len(values) for name, values in columns.items()})
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def check_names(given: Mapping[str, Tensor], known: Sequence[str], *, needed: Sequence[str]) -> None:
    """Raise RefusedError for an unknown input, or for a missing one."""
    for name in given:
        if name not in known:
            raise RefusedError(400, f"This model has no input `{name[:80]}`; it has {', '.join(known)}.{nearest(name, known)}")
    missing = next((name for name in needed if name not in given), None)
    if missing is not None:
        raise RefusedError(400, f"This model reads `{missing}`, which is missing.")


def check_sizes(sizes: Mapping[str, int]) -> None:
    """Raise RefusedError unless all inputs have the same number of elements."""
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"`{name}` has {size}" for name, size in sizes.items())
        raise RefusedError(400, f"All inputs must have as many elements, but {shown}.")


def _column(tensor: Tensor) -> list[str]:
    if max(tensor.shape) != len(texts(tensor)):
        raise RefusedError(400, f"`{tensor.name}` must have the shape [n] or [n, 1], but has {list(tensor.shape)}.")
    return texts(tensor)


def _sound(tensor: Tensor, sample_rate: Any) -> list[bytes]:
    """Recordings as audio files: BYTES elements are files already, samples become a WAV file."""
    if isinstance(tensor.values, list):
        return tensor.values
    if type(sample_rate) is not int or sample_rate not in _RATES:
        raise RefusedError(400, f"`sample_rate` must be the samples of a second, but is {json_text(sample_rate, default=str)[:80]}.")
    if len(tensor.shape) > 2 or tensor.datatype not in ("FP16", "FP32", "FP64", "INT16"):
        raise RefusedError(
            400,
            f"`{tensor.name}` must be samples of FP32 or INT16, [samples] or [n, samples], but is {tensor.datatype} {list(tensor.shape)}.",
        )
    rows = tensor.values.reshape(-1, tensor.shape[-1]) if tensor.values.size else np.zeros((0, 0))
    with np.errstate(over="ignore", invalid="ignore"):
        return [_wav(row.astype("<i2" if tensor.datatype == "INT16" else "<f4"), sample_rate) for row in rows]


def _wav(samples: "np.ndarray", sample_rate: int) -> bytes:
    """A WAV file of one channel (Multimedia Programming Interface and Data Specifications 1.0, 1991): integers, or floats (format 3)."""
    size = samples.dtype.itemsize
    kind, body = (3 if samples.dtype.kind == "f" else 1), samples.tobytes()
    form = struct.pack("<HHIIHH", kind, 1, sample_rate, sample_rate * size, size, 8 * size)
    chunks = b"WAVE" + struct.pack("<4sI", b"fmt ", len(form)) + form + struct.pack("<4sI", b"data", len(body)) + body
    return struct.pack("<4sI", b"RIFF", len(chunks)) + chunks


def predictions_as_tensors(said: Sequence[Mapping[str, Any]]) -> list[Tensor]:
    """The predictions, their scores, and all other details as JSON; each tensor has one element for each record."""
    scores = [np.nan if one.get("score") is None else one["score"] for one in said]
    return [
        Tensor("prediction", "BYTES", (len(said),), [str(one["prediction"]).encode("utf-8", "replace") for one in said]),
        Tensor("score", "FP32", (len(said),), np.array(scores, dtype=np.float32)),
        Tensor("details", "BYTES", (len(said),), [json_text(one, default=str).encode("utf-8", "replace") for one in said]),
    ]
