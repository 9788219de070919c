"""Marian's model files: `.npz`, as written by training, and a binary format, as in Bergamot's translation models for browsers.

    version u64 (1) | count u64 | for each array: length of the name, type, length of the shape, bytes (u64 each)
    names with zeros behind them | shapes i32 | bytes to skip u64, and those | the data of all arrays

That is the binary file. Its arrays of 8-bit integers (intgemm) end with one real number, and stand for integer / number. They are stored
transposed, but for the embedding, whose rows are looked up. What they were rounded from is not in the file, so the rounding stays.
"""

import zipfile
import zlib
from math import prod
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from torch import Tensor

from antiphon.errors import CheckpointError
from antiphon.importers.binary import BinaryReader, elements

_VERSION = 1
BYTES, FLOAT32, FLOAT16, INTGEMM8 = 0x101, 0x404, 0x402, 0x4101
SETTINGS = "special:model.yml"
LOOKED_UP = ("Wemb", "encoder_Wemb", "decoder_Wemb")
_MOST_ARRAYS, _MOST_DIMENSIONS = 100_000, 8


@final
class MarianFile:
    """The weights of a model, each of which is taken once, and the settings that it was trained with."""

    def __init__(self, path: Path):
        self.reader = BinaryReader(path, "Marian model")
        self.arrays: dict[str, Float[np.ndarray, "..."]] = {}
        self.settings: dict[str, Any] | None = None
        if path.suffix == ".npz":
            self._read_npz(path)
        else:
            self._read_binary()

    def _read_npz(self, path: Path) -> None:
        try:
            with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as archive:
                found = {name: archive[name] for name in archive.files if not name.endswith("QuantMultA")}
        except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
            raise CheckpointError(f"{path} must be an .npz file of arrays, but cannot be read as one: {error}.") from error
        for name, array in found.items():
            if name == SETTINGS:
                self.settings = self._parsed(array)
            elif not np.issubdtype(array.dtype, np.floating):
                raise self.reader.refuse(f"`{name!r:.60}` must hold real numbers, but holds {array.dtype}")
            else:
                self.arrays[name] = array.astype(np.float32)

    def _read_binary(self) -> None:
        version, count = self.reader.number(8), self.reader.number(8)
        if version != _VERSION:
            raise self.reader.refuse(f"its version must be {_VERSION}, but is {version}")
        if count > _MOST_ARRAYS:
            raise self.reader.refuse(f"it claims to hold {count:,} arrays")
        headers = [tuple(self.reader.number(8) for _ in range(4)) for _ in range(count)]
        names = [self.reader.text(header[0]) for header in headers]
        shapes = [self._shape(name, header[2]) for name, header in zip(names, headers, strict=True)]
        self.reader.take(self.reader.number(8))
        for name, (_, code, _, size), shape in zip(names, headers, shapes, strict=True):
            data = self.reader.take(size)
            if name == SETTINGS and code == BYTES:
                self.settings = self._parsed(data)
            elif not name.endswith("QuantMultA"):  # ranges of activations, for arithmetic in 8 bits
                self.arrays[name] = self._real(name, code, data, shape)

    def taken(self, name: str, *shape: int | None) -> Float[Tensor, "..."]:
        """Weights in single precision, of this shape; None stands for any size."""
        array = self.arrays.pop(name, None)
        if array is None:
            raise self.reader.refuse(f"it lacks `{name}`")
        fits = array.ndim == len(shape) and all(size in (None, found) for size, found in zip(shape, array.shape, strict=True))
        if not fits:
            raise self.reader.refuse(f"`{name}` must have the shape {shape}, but has {array.shape}")
        return torch.from_numpy(np.ascontiguousarray(array))

    def _shape(self, name: str, rank: int) -> tuple[int, ...]:
        if rank > _MOST_DIMENSIONS:
            raise self.reader.refuse(f"`{name!r:.60}` has {rank} dimensions")
        shape = tuple(self.reader.number(4, signed=True) for _ in range(rank))
        if any(size < 0 for size in shape):
            raise self.reader.refuse(f"`{name!r:.60}` has the shape {shape}")
        return shape

    def _real(self, name: str, code: int, data: np.ndarray, shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
        """An array in single precision; files may have more bytes than an array needs, for alignment."""
        widths = {FLOAT32: 4, FLOAT16: 2, INTGEMM8: 1}
        if code not in widths:
            raise self.reader.refuse(f"`{name!r:.60}` must be real or 8-bit (intgemm8, for any processor), but is of the type {code:#x}")
        size = prod(shape) * widths[code]
        if len(data) < size + (4 if code == INTGEMM8 else 0):
            raise self.reader.refuse(f"`{name!r:.60}` has the shape {shape}, which {len(data):,} bytes do not fill")
        if code != INTGEMM8:
            return elements(data[:size], np.float32 if code == FLOAT32 else np.float16, shape).astype(np.float32)
        multiplier = elements(data[size : size + 4], np.float32, ())
        if len(shape) != 2 or not np.isfinite(multiplier) or multiplier <= 0:
            raise self.reader.refuse(f"`{name!r:.60}` must be an 8-bit matrix with a factor above 0, but has the factor {multiplier}")
        stored = shape if name in LOOKED_UP else shape[::-1]
        whole: Float[np.ndarray, "rows columns"] = elements(data[:size], np.int8, stored).astype(np.float32) / multiplier
        return whole if name in LOOKED_UP else whole.T

    def _parsed(self, data: np.ndarray) -> dict[str, Any]:
        try:
            found = YAML(typ="safe", pure=True).load(data.tobytes().rstrip(b"\0").decode())
        except (YAMLError, UnicodeDecodeError) as error:
            raise self.reader.refuse(f"its settings ({SETTINGS}) cannot be read") from error
        if not isinstance(found, dict):
            raise self.reader.refuse(f"its settings ({SETTINGS}) are no mapping")
        return found
