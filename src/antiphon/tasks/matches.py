"""Matches from a translation memory: the translation of a similar source is appended to a record's source ("neural fuzzy repair").

The target of the most similar source stands behind a record's own source, parted by a symbol, and the model learns what to take from it
(Bulté and Tezcan 2019; Xu, Crego and Senellart 2020). Records without a match are as they would be otherwise.

A match is a plain value of its record. It is found among the records to learn from, of which a record's own source is none while it is
learned from; later in whatever memory is there. A record that brings one keeps it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, NoReturn, final

from pydantic import Field

from antiphon.contracts.configuration import config
from antiphon.contracts.records import Record, Records, Skipped
from antiphon.data.findings import content_hash
from antiphon.data.translation_memory import TranslationMemory
from antiphon.errors import DataError
from antiphon.tasks.text_parts import TextParts


@config
class MatchConfig:
    """Translations of similar sources, read with each source (Bulté and Tezcan 2019; Xu, Crego and Senellart 2020)."""

    least: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The minimum similarity of a match's source: 1 minus the edit distance of the two in words, divided by the length of the longer
    one."""
    column: str = "match"
    """Column with a given match, a translation; null or blank stands for none. If records lack the column, matches are searched: in the
    training data during training and evaluation; for prediction in the memory of `--memory`, or in the run's `stored` pairs."""
    separator: Annotated[str, Field(min_length=1)] = "<match>"
    """The symbol between a source and its match."""
    stored: bool = False
    """Whether the pairs of the training data are written into every checkpoint, so that matches can be found wherever the run is."""


@final
class Matches:
    """Finds the matches of records.

    source   column of the source, `target` of the target
    apart    whether the lines of a text are predicted by themselves, and so have matches of their own
    """

    def __init__(self, settings: MatchConfig, source: str, target: str, *, apart: bool):
        self.settings, self._source, self._target, self._apart = settings, source, target, apart
        self.memory: TranslationMemory | None = None

    def remember(self, records: Iterable[Record]) -> None:
        """Find matches among these records from now on. Raises DataError where none of them is a pair."""
        self.memory = self._memory_of(records)

    def _memory_of(self, records: Iterable[Record]) -> TranslationMemory:
        pairs = ((record.get(self._source), record.get(self._target)) for record in records)
        return TranslationMemory(
            ((source, target) for source, target in pairs if isinstance(source, str) and isinstance(target, str)), self.settings.least
        )

    def of(self, records: Iterable[Any]) -> Iterator[Any]:
        """Each record or text with its match, one for one; those that already have one, or find none, are returned unchanged."""
        for record in records:
            made = {self._source: record} if isinstance(record, str) else record
            text = made.get(self._source) if isinstance(made, Mapping) else None
            if self.memory is None or not isinstance(text, str) or self.settings.column in made:
                yield record
                continue
            lines = TextParts.of(text).lines if self._apart else (text,)
            found = [self.found(self.memory, line) for line in lines]
            yield {**made, self.settings.column: "\n".join(found)}

    def found(self, memory: TranslationMemory, text: str, *, other: bool = False) -> str:
        """The match of a text; empty where there is none. Its lines are joined, so that matches of several lines can be told apart."""
        match = memory.best(text, self.settings.least, other=other)
        return "" if match is None else " ".join(match.target.split("\n")) if self._apart else match.target

    def text_of(self, record: Record) -> str:
        """A record's match. Raises DataError if it is not a text, or contains the separator."""
        value = record.get(self.settings.column)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise DataError(f"`{self.settings.column}` must be a text, the match of a record, but is {value!r:.60}.")
        if self.settings.separator in value:
            self.refuse_separator(self.settings.column)
        return value.strip()

    def refuse_separator(self, column: str) -> NoReturn:
        """Raise DataError for a column that contains the separator."""
        raise DataError(
            f"`{column}` must not hold {self.settings.separator!r}. Set `task.matches.separator` to something that no text contains."
        )

    def of_lines(self, record: Record, count: int) -> Sequence[str]:
        """The matches for the lines of a record. Raises DataError if the record has another number of them."""
        text = str(record.get(self.settings.column) or "")
        lines = text.split("\n") if text.strip() else [""] * count
        if len(lines) != count:
            raise DataError(f"`{self.settings.column}` must have a line for each of the {count} lines of its source, but has {len(lines)}.")
        return lines

    def matched(self, splits: Mapping[str, Sequence[Records]]) -> dict[str, list[Records]]:
        """The records of splits, with their matches among those of `train`."""
        learned = _Learned(self, splits["train"], self._memory_of)
        return {name: [MatchedRecords(part, learned, other=name == "train") for part in parts] for name, parts in splits.items()}

    def with_match(self, record: Record, memory: TranslationMemory, known: dict[str, str], *, other: bool) -> Record:
        """A record with its match; `known` are the matches found before."""
        text = record.get(self._source)
        if not isinstance(text, str) or self.settings.column in record:
            return record
        if text not in known:
            known[text] = self.found(memory, text, other=other)
        return {**record, self.settings.column: known[text]}


@final
class _Learned:
    """The training records as a memory, which is built on first use."""

    def __init__(self, matches: Matches, parts: Sequence[Records], memory_of: Any):
        self.matches, self._parts, self._memory_of = matches, parts, memory_of
        self._memory: TranslationMemory | None = None

    @property
    def memory(self) -> TranslationMemory:
        if self._memory is None:
            self._memory = self._memory_of(record for part in self._parts for record in part)
        return self._memory

    def signature(self) -> str:
        return f"{content_hash([part.signature() for part in self._parts]):016x}"


@final
class MatchedRecords(Records):
    """Records with their matches, each of which is searched once."""

    def __init__(self, inner: Records, learned: _Learned, *, other: bool):
        self.inner, self._learned, self._other = inner, learned, other
        self._known: dict[str, str] = {}

    def __call__(self) -> Iterator[tuple[int, Record]]:
        """Read the records."""
        memory = self._learned.memory
        for number, record in self.inner():
            yield number, self._learned.matches.with_match(record, memory, self._known, other=self._other)

    def place(self, number: int) -> str:
        """The place of the record."""
        return self.inner.place(number)

    def label(self, number: int) -> str:
        """The label of the record."""
        return self.inner.label(number)

    def skipped(self) -> Mapping[str, Skipped]:
        """The entries that were left out of the records."""
        return self.inner.skipped()

    def signature(self) -> str:
        """Depends on the signatures of the records, and of those that matches are found in."""
        return f"{self.inner.signature()}:matched in {self._learned.signature()}"
