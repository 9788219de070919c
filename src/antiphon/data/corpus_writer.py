"""Appends encoded blocks to the files of a corpus."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from antiphon.data.encoded_blocks import EncodedBlock, RecordError, some_only, storages
from antiphon.data.encoding import Encoding
from antiphon.data.folders import ArrayWriter, finish, write_manifest
from antiphon.data.weights import WeightWriter
from antiphon.errors import DataError

BLOCKS = "blocks.bin"
"""Of a part: how many examples each of its blocks of records gave."""

_OPTIONAL = {"target": "a target", "links": "an alignment"}
"""What examples may have or not, all alike."""


@final
class CorpusWriter:
    """Appends encoded blocks to the files of a corpus."""

    def __init__(self, folder: Path, encoding: Encoding):
        self.folder, self._storages = folder, storages(encoding)
        self._arrays = {name: self._array_writer(name) for name in self._storages if name not in _OPTIONAL}
        self._weights = None if encoding.weight_column is None else WeightWriter(folder, encoding.weight_column)
        self._numbers = open(folder / "numbers.bin", "wb")  # noqa: SIM115 -- closed by __exit__
        self._empty = True

    def __enter__(self) -> "CorpusWriter":
        return self

    def __exit__(self, *_: object) -> None:
        for side in (*self._arrays.values(), self._weights):
            if side is not None:
                side.close()
        finish(self._numbers)

    def append(self, block: EncodedBlock) -> None:
        """Append the examples of a block. Raises DataError where the blocks before it had a target, an alignment or weights, and it has
        none, or the other way round."""
        if self._weights is not None:
            try:
                self._weights.expect(block.weighed)
            except DataError as error:
                raise RecordError(block.first, f"A record: {error}") from error
        if not block.arrays:
            return
        for name, what in _OPTIONAL.items():
            if name in block.arrays and self._empty:
                self._arrays[name] = self._array_writer(name)
            if (name in block.arrays) != (name in self._arrays):
                raise some_only(what, int(block.numbers[0]), has_it=name in block.arrays)
        self._empty = False
        for name, joined in block.arrays.items():
            self._arrays[name].append_joined(joined.values, joined.lengths)
        if self._weights is not None:
            self._weights.append(block.weights)
        self._numbers.write(block.numbers.tobytes())

    def write_manifest(self, facts: Mapping[str, Any]) -> None:
        """Write the manifest, last of all."""
        weights = {} if self._weights is None else {"weighing": self._weights.facts()}
        write_manifest(self.folder, {**self._layouts(), **weights, **facts})

    def write_part(self, blocks: Sequence[int], facts: Mapping[str, Any]) -> None:
        """Write a part's manifest, last of all, with the number of examples from each of its blocks."""
        with open(self.folder / BLOCKS, "wb") as file:
            file.write(np.array(blocks, dtype=np.int64).tobytes())
            finish(file)
        weights = {} if self._weights is None else {"weighing": {"column": self._weights.column, "present": self._weights.present}}
        write_manifest(self.folder, {**self._layouts(), **weights, **facts})

    def _array_writer(self, name: str) -> ArrayWriter:
        return ArrayWriter(self.folder, name, *self._storages[name])

    def _layouts(self) -> dict[str, Any]:
        layouts = {name: self._arrays[name].layout for name in ("source", "target", "links", "factors") if name in self._arrays}
        return {"source": None, "target": None} | layouts
