"""The common part of tasks in which each record is one example: builds corpora from records."""

from abc import ABC
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from antiphon.contracts.asking import unfolded
from antiphon.contracts.corpus import Share
from antiphon.contracts.limits import Limits
from antiphon.contracts.records import Record, Records, RecordSource
from antiphon.contracts.sequences import Example
from antiphon.contracts.task import Task
from antiphon.data.corpus import build_corpus, build_part
from antiphon.data.encoding import BLOCK, Encoding
from antiphon.data.folders import is_current
from antiphon.data.mapped import MappedCorpus
from antiphon.data.records import SourceRecords
from antiphon.errors import DataError

_Made = TypeVar("_Made")


class ExamplePerRecord(Task, ABC):
    """A task in which each record, after unfolding, is one example. `block` of them are held in memory while a corpus is built."""

    block = BLOCK

    @property
    def half_precision(self) -> bool:
        """Whether a corpus stores the values of sources in 16 bits."""
        return False

    @property
    def weight_column(self) -> str | None:
        """The column with the weights of records in training."""
        return getattr(self.settings, "weight", None)

    @property
    def alignment_column(self) -> str | None:
        """The column with word alignments; only texts have one."""
        return getattr(self.settings, "alignment", None)

    def encode_many(self, records: Sequence[tuple[int, Record]]) -> list[Example]:
        """`encode` for (index, record) pairs; a task may do this faster."""
        return [self.encode(record, index) for index, record in records]

    def build_corpus(
        self,
        records: RecordSource,
        folder: Path,
        *,
        limits: Limits,
        keep_records: bool,
        progress: Callable[[int], None] | None = None,
    ) -> MappedCorpus:
        """Encode the records into `folder`, or open what is there when nothing changed."""
        return build_corpus(self._items(records), self._encoding(limits, keep_records), folder, progress)

    def is_encoded(self, records: RecordSource, folder: Path, *, limits: Limits, keep_records: bool) -> bool:
        """Whether `build_corpus` would only open existing files."""
        return is_current(folder, self._encoding(limits, keep_records).identity(self._items(records)))

    def build_part(
        self,
        records: RecordSource,
        folder: Path,
        part: Share,
        *,
        limits: Limits,
        keep_records: bool,
        workers: int = 1,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Encode a part of the records into `folder` with so many processes, unless it exists."""
        build_part(self._items(records), self._encoding(limits, keep_records), folder, part, progress, workers)

    def _items(self, records: RecordSource) -> Records:
        return unfolded(self, records if isinstance(records, Records) else SourceRecords(records))

    def _encoding(self, limits: Limits, keep_records: bool) -> Encoding:
        return Encoding(
            self.encode,
            source=self.source_spec,
            target=self.target_spec,
            limits=limits,
            fingerprint=self.fingerprint,
            keep_records=keep_records,
            encode_many=self.encode_many,
            block=self.block,
            half_precision=self.half_precision,
            weight_column=self.weight_column,
        )


def of_each(records: Iterable[Record], make: Callable[[Record], _Made]) -> Iterator[_Made]:
    """Apply a function to each record; errors get the place of the record, if it is known."""
    if not isinstance(records, Records):
        yield from map(make, records)
        return
    for number, record in records():
        try:
            made = make(record)
        except DataError as error:
            raise DataError(f"{records.place(number)}: {error}") from error
        yield made
