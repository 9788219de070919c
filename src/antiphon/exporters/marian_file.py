"""Writes Marian's model files: `.bin` in single precision or 8 bits, as Bergamot reads it, and `.npz` (read by `importers/marian_file.py`).

8 bits are intgemm's form for any processor: integers from -127 to 127, transposed but for embeddings, and behind them the factor that they
were multiplied by; 127 / the largest weight, rounded half to even. Everything is little-endian, and fills blocks of 256 bytes, so that an
engine can use a file in place.

Unusual here: the grid of 8 bits. A model that was imported from 8 bits lies on its grid still, and one that was trained on a little lies
near it: there, rounding to the same grid would undo nearly all that was learned since, so a coarser one is taken, that fits the old one
nowhere.
"""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from antiphon.importers.marian_file import BYTES, FLOAT32, INTGEMM8, LOOKED_UP, SETTINGS
from antiphon.store.json_text import json_text

Arrays = Mapping[str, Float[np.ndarray, "rows columns"]]
_BLOCK = 256
_OTHER_GRID = 0.93
# Distances to the grid, in its steps, are 0.25 on average where weights know nothing of it.
_ON_GRID, _NEAR_GRID = 1e-3, 0.2


def write_binary(path: Path, arrays: Arrays, settings: Mapping[str, Any], alphas: Mapping[str, float] | None = None) -> None:
    """Write arrays in single precision, or in 8 bits where a matrix has an alpha: the factor of its input before rounding."""
    named: dict[str, tuple[int, tuple[int, ...], bytes]] = {}
    for name, array in arrays.items():
        whole = np.ascontiguousarray(array, np.float32)
        if alphas is not None and name in alphas:
            named[name] = INTGEMM8, array.shape, _in_8_bits(name, whole)
        else:
            named[name] = FLOAT32, array.shape, _filled(whole.astype("<f4").tobytes())
    for name, alpha in (alphas or {}).items():
        named[f"{name}_QuantMultA"] = FLOAT32, (1, 1), _filled(struct.pack("<f", alpha))
    text = settings_text(settings)
    named[SETTINGS] = BYTES, (len(text),), text
    entries = sorted(named.items(), key=lambda entry: (entry[0] == SETTINGS, entry[0]))
    names = [name.encode() + b"\0" for name, _ in entries]
    head = struct.pack("<QQ", 1, len(entries))
    for encoded, (_, (code, shape, data)) in zip(names, entries, strict=True):
        head += struct.pack("<QQQQ", len(encoded), code, len(shape), len(data))
    head += b"".join(names) + b"".join(struct.pack(f"<{len(shape)}i", *shape) for _, (_, shape, _) in entries)
    skipped = -(len(head) + 8) % _BLOCK or _BLOCK  # a whole block where it fits already, as Marian has it
    with open(path, "wb") as file:
        file.write(head + struct.pack("<Q", skipped) + bytes(skipped))
        for _, (_, _, data) in entries:
            file.write(data)


def write_npz(path: Path, arrays: Arrays, settings: Mapping[str, Any]) -> None:
    """Write all arrays in single precision, for Marian's own programs."""
    whole = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
    np.savez(path, **whole, **{SETTINGS: np.frombuffer(settings_text(settings), np.int8)})  # type: ignore[arg-type]


def settings_text(settings: Mapping[str, Any]) -> bytes:
    """Settings as YAML, with the trailing zero byte that Marian expects."""
    return "".join(f"{name}: {json_text(value, ascii_only=True)}\n" for name, value in settings.items()).encode() + b"\0"


def factor_of(array: Float[np.ndarray, "rows columns"]) -> np.float32:
    """The factor by which weights are multiplied before they are rounded to 8 bits."""
    largest = np.abs(array).max()
    if largest == 0:
        return np.float32(1)
    factor = np.float32(127) / np.float32(largest)
    scaled = array * factor
    distance = float(np.abs(scaled - np.rint(scaled)).mean())
    return np.float32(_OTHER_GRID) * factor if _ON_GRID < distance < _NEAR_GRID else factor


def _in_8_bits(name: str, array: Float[np.ndarray, "rows columns"]) -> bytes:
    factor = factor_of(array)
    rounded = np.clip(np.rint(array * factor), -127, 127).astype(np.int8)
    stored = np.ascontiguousarray(rounded if name in LOOKED_UP else rounded.T)
    return _filled(stored.tobytes() + struct.pack("<f", factor) + bytes(_BLOCK - 4))


def _filled(data: bytes) -> bytes:
    return data + bytes(-len(data) % _BLOCK)
