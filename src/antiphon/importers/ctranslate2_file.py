"""CTranslate2's binary format: named arrays, and aliases for some of them.

    version u32 | spec name | revision u32 | count u32, then for each array: name, rank u8, dimensions u32, type u8, bytes u32, data
    count u32, then for each alias: name, name

A name is its length u16, then its letters with a zero behind them. Quantized weights (int8) come with an array `..._scale` that has a
number for each row, and stand for weight / scale.
"""

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from antiphon.importers.binary import BinaryReader, elements

_VERSIONS = (4, 5, 6)
_TYPES: dict[int, type[np.generic]] = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_MOST_DIMENSIONS = 8


@final
class CTranslate2File:
    """The arrays of a model, each of which is taken once; arrays left over at the end show that the model has parts unknown to us."""

    def __init__(self, path: Path, spec: str, newest: int):
        self.reader = BinaryReader(path, "CTranslate2 model")
        version = self.reader.number(4)
        if version not in _VERSIONS:
            raise self.reader.refuse(f"its version must be {', '.join(map(str, _VERSIONS))}, but is {version}")
        found, revision = self._name(), self.reader.number(4)
        if found != spec:
            raise self.reader.refuse(f"it must hold a {spec}, but holds a {found!r:.40}")
        if revision > newest:
            raise self.reader.refuse(f"its {spec} must have a revision up to {newest}, but has {revision}")
        self.arrays: dict[str, np.ndarray] = {}
        for _ in range(self.reader.number(4)):
            name = self._name()
            self.arrays[name] = self._array(name)
        self.aliases = {self._name(): self._name() for _ in range(self.reader.number(4))}

    def number(self, name: str, default: int) -> int:
        """The value of a setting."""
        array = self.arrays.pop(name, np.array(default))
        if array.size != 1:
            raise self.reader.refuse(f"`{name}` must be one number, but has the shape {array.shape}")
        return int(array.reshape(()))

    def real(self, name: str, *dimensions: int | None) -> Float[Tensor, "..."]:
        """Weights in single precision, of this shape; None stands for any size."""
        array = self.arrays.pop(name, None)
        if array is None:
            raise self.reader.refuse(f"it lacks `{name}`")
        wanted = [place if size is None else size for place, size in zip(array.shape, dimensions, strict=False)]
        if array.ndim != len(dimensions) or list(array.shape) != wanted:
            raise self.reader.refuse(f"`{name}` must have the shape {dimensions}, but has {array.shape}")
        scale = self.arrays.pop(f"{name}_scale", None)
        if np.issubdtype(array.dtype, np.floating) and scale is None:
            return torch.from_numpy(array.astype(np.float32))
        if array.dtype != np.int8 or scale is None or scale.size not in (1, len(array)) or not scale.all():
            raise self.reader.refuse(f"`{name}` must be real numbers, or int8 with a scale for each row, but is {array.dtype}")
        return torch.from_numpy(array.astype(np.float32) / scale.astype(np.float32).reshape(-1, *[1] * (array.ndim - 1)))

    def same(self, name: str, other: str) -> bool:
        """Whether a name is an alias of another array; if so, it counts as taken."""
        return self.aliases.pop(name, None) == other or self.aliases.pop(other, None) == name

    def left_over(self) -> Iterator[str]:
        """The names that were not taken."""
        yield from (*self.arrays, *self.aliases)

    def _name(self) -> str:
        return self.reader.text(self.reader.number(2))

    def _array(self, name: str) -> np.ndarray:
        rank = self.reader.number(1)
        if rank > _MOST_DIMENSIONS:
            raise self.reader.refuse(f"`{name!r:.60}` has {rank} dimensions")
        shape = tuple(self.reader.number(4) for _ in range(rank))
        code, size = self.reader.number(1), self.reader.number(4)
        if code not in _TYPES:
            raise self.reader.refuse(f"`{name!r:.60}` is of the unknown type {code}")
        if size != prod(shape) * np.dtype(_TYPES[code]).itemsize:
            raise self.reader.refuse(f"`{name!r:.60}` has the shape {shape}, which {size:,} bytes do not fill")
        return elements(self.reader.take(size), _TYPES[code], shape)
