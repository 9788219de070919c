"""Encoded examples that training reads in random order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Example

Block = TypeVar("Block")


@runtime_checkable
class Corpus(Protocol):
    """Encoded examples with random access; their lengths are known without reading the examples."""

    @property
    def source_lengths(self) -> np.ndarray:
        """The length of every source, int64 (N,)."""

    @property
    def target_lengths(self) -> np.ndarray:
        """The length of every target, its start element included, int64 (N,); 0 where there is none."""

    def __len__(self) -> int: ...

    def lengths(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lengths of some sources and of their targets, by example number."""

    def example(self, index: int, seed: int | None = None) -> Example:
        """The example with this number; with a seed it is encoded anew, where the encoding is sampled."""

    def record(self, index: int) -> Record:
        """The record behind an example, where records were kept."""


@runtime_checkable
class StoredCorpus(Corpus, Protocol):
    """A corpus in a folder, with statistics about the records that it was made from."""

    @property
    def tally(self) -> Mapping[str, Any]:
        """How many records were read and kept, and for each reason how many were dropped or truncated, with the first few."""

    @property
    def numbers(self) -> np.ndarray:
        """The record's number for each example, int64 (N,)."""

    @property
    def has_targets(self) -> bool:
        """Whether examples have targets."""


@dataclass(frozen=True)
class Share:
    """The share of one process or machine, where several divide work that is cut into blocks of records: every `count`-th block from block
    `number` on, both counted from 0. Thus no share gets only the long records of sorted files."""

    number: int
    count: int

    def of(self, blocks: Sequence[Block]) -> list[Block]:
        """The blocks of this share, out of all blocks."""
        return list(blocks[self.number :: self.count])

    @property
    def is_all(self) -> bool:
        """Whether this share is all of the work."""
        return self.count == 1

    def __str__(self) -> str:
        """Counted from 1: 3/8 is the third of eight."""
        return f"{self.number + 1}/{self.count}"


WHOLE = Share(0, 1)
"""The share of who has nobody beside."""
