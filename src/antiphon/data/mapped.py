"""An encoded corpus on disk, read through memory maps: the operating system keeps in memory what is used, and ranks on a machine share it.

    manifest.json          format, dtypes, counts, hashes of the inputs and the features, what was dropped and why
    source.bin             all sources behind each other: symbols in the smallest unsigned type that fits, values as float32
    source_offsets.bin     int64 (N + 1,): example i is elements offsets[i] to offsets[i + 1]
    target.bin, target_offsets.bin, numbers.bin (int64 record numbers), records.bin, records_offsets.bin (JSON, where kept)
    links.bin, links_offsets.bin   uint32 (N, 2) behind each other: symbols of the source by steps of the target, where records are aligned
    factors.bin, factors_offsets.bin   (S, K) behind each other: features beside the symbols of the source
    weights.bin            float32 (N,): how much each example counts, where records say so

Unusual here: lengths are differences of offsets, so they need no file and no memory of their own. Ask `lengths(indices)` for some;
`source_lengths` computes all of them (8 bytes each).
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, final, runtime_checkable

import numpy as np

from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Example
from antiphon.data.folders import MappedArrays, map_file, read_manifest
from antiphon.errors import DataError


@runtime_checkable
class Encode(Protocol):
    """A function that encodes a record as an example, such as `task.encode`."""

    def __call__(self, record: Record, index: int = -1, *, seed: int | None = None) -> Example: ...


@final
class MappedCorpus:
    """A Corpus in a folder that `build_corpus` wrote.

    `encode` is needed for what is not stored: other encodings of a record (sampled subwords) and its context.
    """

    def __init__(self, folder: Path, encode: Encode | None = None):
        self.folder = folder
        self.manifest = read_manifest(folder)
        self._encode = encode
        self._source = MappedArrays(folder, "source", self.manifest["source"])
        self._target = MappedArrays(folder, "target", self.manifest["target"]) if self.manifest["target"] else None
        self._links = MappedArrays(folder, "links", self.manifest["links"]) if self.manifest.get("links") else None
        self._factors = MappedArrays(folder, "factors", self.manifest["factors"]) if self.manifest.get("factors") else None
        weighed = self.manifest.get("weighing") is not None
        self._weights = map_file(folder / "weights.bin", np.dtype(np.float32)) if weighed else None
        self.numbers = map_file(folder / "numbers.bin", np.dtype(np.int64))
        limits = self.manifest["limits"]
        self._most_source = limits["max_source_length"] or sys.maxsize
        self._most_target = (limits["max_target_length"] or sys.maxsize - 1) + 1
        self._records = MappedArrays(folder, "records", {"dtype": "uint8", "channels": None}) if self.manifest["keep_records"] else None

    def __len__(self) -> int:
        return len(self.numbers)

    def __reduce__(self) -> tuple[Any, ...]:
        """How the corpus is pickled: copies and worker processes map the files again instead of copying them."""
        return (MappedCorpus, (self.folder, self._encode))

    @property
    def keeps_records(self) -> bool:
        """Whether the records are stored, so that `example` can sample other encodings of them."""
        return self._records is not None

    @property
    def tally(self) -> dict[str, Any]:
        """What became of the records: read, kept, dropped and truncated for each reason, with the first record numbers of each."""
        return dict(self.manifest["tally"])

    @property
    def weights(self) -> dict[str, Any] | None:
        """Statistics of the records' weights: column, minimum, maximum, mean and how many are 0; None if there are none."""
        found: dict[str, Any] | None = self.manifest.get("weighing")
        return found

    @property
    def has_targets(self) -> bool:
        """Whether the examples have targets: all of them, or none."""
        return self._target is not None

    @cached_property
    def source_lengths(self) -> np.ndarray:
        """The length of every source, int64 (N,)."""
        return np.diff(self._source.offsets)

    @cached_property
    def target_lengths(self) -> np.ndarray:
        """The length of every target with its start element, int64 (N,); zeros where there are no targets."""
        return np.diff(self._target.offsets) if self._target else np.zeros(len(self), dtype=np.int64)

    def lengths(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lengths of some sources and of their targets, each int64 of the shape of `indices`."""
        targets = self._target.lengths(indices) if self._target else np.zeros(indices.shape, dtype=np.int64)
        return self._source.lengths(indices), targets

    def example(self, index: int, seed: int | None = None) -> Example:
        """The stored arrays; with a seed, if the records are kept, the record encoded anew with that seed.

        A new encoding that is longer than the corpus's limits gives way to the stored one, as batches and models count on the limits.
        Stored arrays come without a context; `encode_again` gives one.
        """
        if seed is not None and self._records is not None and self._encode is not None:
            drawn = replace(self.encode_again(index, seed), weight=self._weight(index))
            if len(drawn.source) <= self._most_source and (drawn.target is None or len(drawn.target) <= self._most_target):
                return drawn
        index = self._checked(index)
        target = self._target.array(index) if self._target else None
        links = None if self._links is None else self._links.array(index)
        factors = None if self._factors is None else self._factors.array(index)
        number, weight = int(self.numbers[index]), self._weight(index)
        return Example(self._source.array(index), target, number, weight=weight, links=links, factors=factors)

    def encode_again(self, index: int, seed: int | None = None) -> Example:
        """The record encoded anew, with its context. It is not truncated to the corpus's limits.

        Raises DataError when the records were not kept, or no encoder was given.
        """
        if self._encode is None:
            raise DataError(f"The corpus `{self.folder}` was opened without an encoder, so records cannot be encoded again.")
        return self._encode(self.record(index), int(self.numbers[self._checked(index)]), seed=seed)

    def record(self, index: int) -> Record:
        """The record as it was read.

        Raises DataError when the records were not kept.
        """
        if self._records is None:
            raise DataError(f"The corpus `{self.folder}` was built without its records. Build it with `keep_records`.")
        return json.loads(self._records.array(self._checked(index)).tobytes())  # type: ignore[no-any-return]

    def blocks(self, side: Literal["source", "target"], rows: int = 4096) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Iterate over one side in blocks of rows: (offsets (n + 1,) from 0, elements), for statistics of everything in little memory."""
        stored = self._source if side == "source" else self._target
        assert stored is not None, "a corpus without targets has no blocks of them"
        for start in range(0, len(self), rows):
            offsets = stored.offsets[start : start + rows + 1]
            yield offsets - offsets[0], stored.values[offsets[0] : offsets[-1]]

    def _weight(self, index: int) -> float:
        return 1.0 if self._weights is None else float(self._weights[self._checked(index)])

    def _checked(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(f"`index` must be from 0 to {len(self) - 1}, but is {index}.")
        return int(index)


@final
class MemoryCorpus:
    """A Corpus of examples in a list: for small sets, synthetic data, tests."""

    def __init__(self, examples: Sequence[Example], records: Sequence[Record] | None = None, encode: Encode | None = None):
        self._examples = examples
        self._records = records
        self._encode = encode
        self.source_lengths = np.array([len(example.source) for example in examples], dtype=np.int64)
        self.target_lengths = np.array([0 if example.target is None else len(example.target) for example in examples], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._examples)

    def lengths(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lengths of some sources and of their targets."""
        return self.source_lengths[indices], self.target_lengths[indices]

    def example(self, index: int, seed: int | None = None) -> Example:
        """The example; with a seed, if there are records and an encoder, the record encoded anew with that seed."""
        if seed is not None and self._records is not None and self._encode is not None:
            return self._encode(self._records[index], self._examples[index].record, seed=seed)
        return self._examples[index]

    def record(self, index: int) -> Record:
        """The record behind an example."""
        assert self._records is not None, "this corpus was made without its records"
        return self._records[index]
