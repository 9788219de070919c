"""Document context: adds the preceding sentences of a document to its records.

Records of a document stand one behind another, in the order of the text. A document ends where the column that names it changes or, where
no column does, at a record whose source is blank: the blank line of a text file.

Unusual: the context is put into the record, as plain values, before anything is held out. So a sentence keeps its context wherever it goes,
and a record of a Python program may bring its own.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Annotated, Any, Literal, final

from pydantic import Field

from antiphon.contracts.configuration import Count, config
from antiphon.contracts.records import Record, Records
from antiphon.data.documents import FILE
from antiphon.errors import DataError
from antiphon.tasks.text_parts import TextParts

CONTEXT = "context"
"""The field of a record that holds its context: `source` and `target` (lists of texts), `document` and `place` (numbers)."""


@config
class ContextConfig:
    """Preceding sentences that are read with each sentence (Tiedemann and Scherrer 2017; Junczys-Dowmunt 2019)."""

    sentences: Count = 1
    """The most sentences of the same document that are read before each."""
    of: Literal["source", "both"] = "source"
    """Whose sentences: those of the source, or also their translations, with which every target then begins. What was said of the sentences
    before stands there in a prediction, and the prediction is what follows it."""
    document: str | None = None
    """Column with the document of a record. Left out, or if records to predict lack it: an empty source (a blank line of a text file) ends
    a document, and each text in a folder is one."""
    separator: Annotated[str, Field(min_length=1)] = "<sep>"
    """The symbol after each sentence of the context."""


@final
@dataclass
class _Document:
    """The current document: its number, the value of its column, and its latest sentences."""

    number: int
    name: Any
    latest: deque[tuple[str, str | None]]
    places: int = 0


@final
@dataclass
class ContextReader:
    """Adds the context to each record; with `apart`, lines of a record count as separate sentences."""

    settings: ContextConfig
    source: str
    target: str
    apart: bool = True
    _document: _Document | None = field(default=None, init=False)
    _numbers: Iterator[int] = field(default_factory=count, init=False)

    def of(self, records: Iterable[Any]) -> Iterator[Any]:
        """Each record or text with its context, one for one. Blank ones, those that have a context already, and other values are returned
        unchanged."""
        for record in records:
            made = {self.source: record} if isinstance(record, str) else record
            if not isinstance(made, Mapping) or not isinstance(made.get(self.source), str) or CONTEXT in made:
                yield record
                continue
            if not made[self.source].strip():
                if self._column_of(made) is None:
                    self._document = None
                yield record
                continue
            document = self._begun(made)
            yield {**made, CONTEXT: self._context(document)}
            sentences = self._sentences(made)
            document.latest.extend(sentences)
            document.places += len(sentences)

    def _column_of(self, record: Record) -> str | None:
        """The column that names the document, if the record has one; a text in a folder has its file name."""
        return next((column for column in (self.settings.document, FILE) if column is not None and column in record), None)

    def _begun(self, record: Record) -> _Document:
        """The document of a record, a new one if another begins."""
        column, known = self._column_of(record), self._document
        name = None if column is None else record[column]
        if known is None or known.name != name:
            known = self._document = _Document(next(self._numbers), name, deque(maxlen=self.settings.sentences))
        return known

    @staticmethod
    def _context(document: _Document) -> dict[str, Any]:
        targets = [target for _, target in document.latest]
        return {
            "source": [source for source, _ in document.latest],
            "target": targets if all(target is not None for target in targets) else None,
            "document": document.number,
            "place": document.places,
        }

    def _sentences(self, record: Record) -> list[tuple[str, str | None]]:
        """A record's sentences with their translations: its lines, if both sides have equally many."""
        source, target = record[self.source], record.get(self.target)
        lines = TextParts.of(source).lines if self.apart else (source,)
        if not isinstance(target, str):
            return [(line, None) for line in lines]
        said = TextParts.of(target).lines if self.apart else (target,)
        return list(zip(lines, said, strict=True)) if len(lines) == len(said) else [(source, target)]


@final
class RecordsInDocuments(Records):
    """Records with their contexts, and the name of their document in `column`, if they have no column with it."""

    def __init__(self, inner: Records, settings: ContextConfig, source: str, target: str, file: int):
        self.inner, self.settings, self._columns, self._file = inner, settings, (source, target), file

    def __call__(self) -> Iterator[tuple[int, Record]]:
        """Read the records."""
        numbers = deque[int]()

        def plain() -> Iterator[Record]:
            for number, record in self.inner():
                numbers.append(number)
                yield record

        for record in ContextReader(self.settings, *self._columns, apart=False).of(plain()):
            named = self.settings.document is not None or CONTEXT not in record
            yield numbers.popleft(), record if named else {**record, DOCUMENT: f"{self._file + 1}.{record[CONTEXT]['document'] + 1}"}

    def place(self, number: int) -> str:
        """The place of the record."""
        return self.inner.place(number)

    def label(self, number: int) -> str:
        """The label of the record."""
        return self.inner.label(number)

    def signature(self) -> str:
        """The signature of the records, since contexts follow from them."""
        return f"{self.inner.signature()}:in documents"


DOCUMENT = "document number"
"""The column that names documents where no column of the data does: file and document, counted from 1."""


def context_of(record: Record, side: Literal["source", "target"]) -> Sequence[str]:
    """The sentences before a record, the latest last. Raises DataError for an invalid context."""
    context = record.get(CONTEXT)
    found = None if context is None else context.get(side) if isinstance(context, Mapping) else context
    if found is None:
        return ()
    if not isinstance(found, list | tuple) or not all(isinstance(text, str) for text in found):
        raise DataError(f"`{CONTEXT}` must hold a list of texts as its `{side}`, such as {{'{side}': ['...']}}, but is {context!r:.80}.")
    return found
