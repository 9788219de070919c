"""Rows of the user's data, wherever they come from."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]
"""One row of the user's data: column name -> value."""


RecordSource = Callable[[], Iterator[tuple[int, Record]]]
"""Opens the records anew: (record number, record)."""


@dataclass(frozen=True)
class Skipped:
    """The number of entries that are no records for one reason, and the places of the first few."""

    count: int
    first: tuple[str, ...]


class Records(ABC):
    """A RecordSource with more information: the number of records, the place of each, and a signature."""

    @abstractmethod
    def __call__(self) -> Iterator[tuple[int, Record]]:
        """Open the records anew: (record number from 0, record)."""

    def __iter__(self) -> Iterator[Record]:
        """Open the records anew, without their numbers."""
        return (record for _, record in self())

    @abstractmethod
    def place(self, number: int) -> str:
        """The place of a record, for messages: "train.tsv:12", or "record 11"."""

    @abstractmethod
    def signature(self) -> str:
        """Equal for equal records: a hash of the files' names, sizes and times of change, or of the records themselves."""

    def label(self, number: int) -> str:
        """Like `place`, but always quick: never reads a file again to count its lines."""
        return self.place(number)

    def count(self) -> int:
        """The number of records; reads all of them."""
        return sum(1 for _ in self())

    def skipped(self) -> Mapping[str, Skipped]:
        """The entries that were left out, by reason; if the records have not been read to the end yet, reads them."""
        return {}
