"""Encoded examples that training reads in any order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Example

Block = TypeVar("Block")


@runtime_checkable
class Corpus(Protocol):
    """Encoded examples with random access; lengths are known without reading the examples."""

    @property
    def source_lengths(self) -> np.ndarray:
        """The length of every source, int64 (N,)."""

    @property
    def target_lengths(self) -> np.ndarray:
        """The length of every target, its start element included, int64 (N,); 0 where there is none."""

    def __len__(self) -> int: ...

    def lengths(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lengths of some sources and of their targets."""

    def example(self, index: int, seed: int | None = None) -> Example:
        """An example; with a seed encoded anew, where encodings are drawn."""

    def record(self, index: int) -> Record:
        """The record behind an example, where it was kept."""


@runtime_checkable
class StoredCorpus(Corpus, Protocol):
    """A corpus in a folder, which knows what became of the records that it was made of."""

    @property
    def tally(self) -> Mapping[str, Any]:
        """How many were read and kept, and per reason how many were dropped or truncated, with the first few."""

    @property
    def numbers(self) -> np.ndarray:
        """The record number of each example, int64 (N,)."""

    @property
    def has_targets(self) -> bool:
        """Whether examples have targets."""


@dataclass(frozen=True)
class Share:
    """What one of several processes or machines does of work that is cut into blocks of records: of all blocks every `count`-th, from block
    `number` on, both counted from 0. So no share has only the long records of sorted files."""

    number: int
    count: int

    def of(self, blocks: Sequence[Block]) -> list[Block]:
        """Those of all blocks that are in it."""
        return list(blocks[self.number :: self.count])

    @property
    def is_all(self) -> bool:
        """Whether there is nobody else."""
        return self.count == 1

    def __str__(self) -> str:
        """As people count: 3/8 is the third of eight."""
        return f"{self.number + 1}/{self.count}"


WHOLE = Share(0, 1)
"""The share of who has nobody beside."""
