"""Document translation: each sentence is translated together with the preceding ones, which for example resolve pronouns.

A source is the sentences before, each with a separator behind it, and the sentence (Tiedemann and Scherrer 2017). With `of: both` a target
is made the same way (the "2+2" of that paper; Junczys-Dowmunt 2019), and only what follows its last separator is the prediction: at
prediction a target begins with the model's own outputs for the sentences before, which are found first.

Unusual: the sentences are joined as symbols rather than as texts, so that a sentence is cut into the same subwords with and without them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import numpy as np

from antiphon.contracts import registry
from antiphon.contracts.files import FileConfig
from antiphon.contracts.records import Record, Records
from antiphon.contracts.sequences import Example, Hypothesis, Prediction, Request
from antiphon.data.documents import DocumentFolder, open_documents
from antiphon.errors import DataError
from antiphon.features.pretrained_text import PretrainedText
from antiphon.features.text import TextFeature
from antiphon.features.word_places import NO_WORD
from antiphon.metrics.grouped import scores_by
from antiphon.tasks.document_context import CONTEXT, DOCUMENT, ContextConfig, ContextReader, RecordsInDocuments, context_of
from antiphon.tasks.text_pairs import TextPairs
from antiphon.tasks.text_pairs_config import TextPairsSettings
from antiphon.tasks.text_parts import TextParts
from antiphon.tasks.text_requests import text_of


@final
class DocumentTranslation(TextPairs):
    """A text and its translation, with the preceding sentences."""

    name = "translation"
    not_encoded = TextPairs.not_encoded | {"lines"}

    def __init__(self, settings: TextPairsSettings, context: ContextConfig, *, apart: bool):
        self.context, self._apart = context, apart
        super().__init__(settings)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that training records must have."""
        return (*super().columns, *([self.context.document] if self.context.document is not None else []))

    @property
    def kept_together(self) -> tuple[str, ...]:
        """The column of documents, since the sentences of one are read together."""
        return (self.context.document or DOCUMENT,)

    def said_symbols(self) -> tuple[str, ...]:
        """The separator, if targets contain it."""
        return self.more_symbols() if self.context.of == "both" else ()

    def more_symbols(self) -> tuple[str, ...]:
        """The separator."""
        return (self.context.separator,)

    # ------------------------------------------------------------------------------------------------------------- reading

    def open_file(self, file: FileConfig, base: Path, required: Sequence[str]) -> DocumentFolder | None:
        """The texts in a folder, each of which is a document, split into lines; None for a file."""
        return open_documents(file, base, required, self.settings.source, as_written=self._apart)

    def joined_files(self, parts: Sequence[tuple[Records, float]]) -> Sequence[tuple[Records, float]]:
        """The files of a split, whose records get their contexts."""
        columns = self.settings.source, self.settings.target
        return [(RecordsInDocuments(part, self.context, *columns, number), weight) for number, (part, weight) in enumerate(parts)]

    def in_order(self, records: Iterable[Any]) -> Iterator[Any]:
        """Each record or text with its context."""
        return ContextReader(self.context, self.settings.source, self.settings.target, self._apart).of(records)

    def encode(self, record: Record, index: int = -1, *, seed: int | None = None) -> Example:
        """The record as symbols, each side with its context."""
        return self._with_context(super().encode(record, index, seed=seed), record)

    def encode_many(self, records: Sequence[tuple[int, Record]]) -> list[Example]:
        """`encode` for (index, record) pairs, faster."""
        if not all(self.settings.target in record for _, record in records):
            return [self.encode(record, index) for index, record in records]
        examples = super().encode_many(records)
        return [self._with_context(example, record) for example, (_, record) in zip(examples, records, strict=True)]

    def _with_context(self, example: Example, record: Record) -> Example:
        """The symbols with those of the context; an empty text stays empty. Raises DataError for a text that contains the separator."""
        for column in (self.settings.source, self.settings.target):
            if self.context.separator in str(record.get(column) or ""):
                raise DataError(
                    f"`{column}` must not hold {self.context.separator!r}, which stands between sentences. Set"
                    " `task.context.separator` to something that no text contains."
                )
        if example.source.tolist() == [self.source_spec.end]:
            return example
        source = np.concatenate([self._before(self.source_text, context_of(record, "source")), example.source]).astype(np.int64)
        target = example.target
        moved = [len(source) - len(example.source), 0]
        if target is not None and len(target) > 2:
            before = self._before(self.target_text, self._translated(record))
            target, moved[1] = np.concatenate([target[:1], before, target[1:]]).astype(np.int64), len(before)
        links = None if example.links is None else example.links + np.array(moved)
        return replace(example, source=source, target=target, links=links)

    def word_places(self, record: Record) -> tuple[np.ndarray, np.ndarray]:
        """The word of each symbol of both sides; symbols of the context belong to no word."""
        whole, own = self.encode(record), super().word_places(record)
        assert whole.target is not None, "there is a target to align"
        before = len(whole.source) - len(own[0]), len(whole.target) - 2 - len(own[1])
        read, said = (np.append(np.full(length, NO_WORD), side) for length, side in zip(before, own, strict=True))
        return read, said

    def _translated(self, record: Record) -> Sequence[str]:
        return context_of(record, "target") if self.context.of == "both" else ()

    def _before(self, feature: TextFeature | PretrainedText, sentences: Sequence[str]) -> np.ndarray:
        """Sentences, the latest last, each followed by a separator, as symbols (T,)."""
        separator = self._separator(feature)
        found = [symbol for text in sentences[-self.context.sentences :] for symbol in (*feature.phrase(text), *separator)]
        return np.array(found, dtype=np.int64)

    def _separator(self, feature: TextFeature | PretrainedText) -> tuple[int, ...]:
        """The separator as symbols: a symbol of our own vocabulary, or the encoding by a published tokenizer."""
        symbols = feature.phrase(self.context.separator)
        return symbols[-1:] if isinstance(feature, TextFeature) else symbols

    # ---------------------------------------------------------------------------------------------------------- predicting

    def parts(self, record: Record) -> Sequence[Record]:
        """The record, or its lines, each with the lines before it. Raises DataError for required phrases, as in plain translation."""
        lines = self._parts(record).lines
        if len(lines) < 2:
            return ({**record, self.settings.source: lines[0]} if lines else record,)
        if record.get("required"):
            raise DataError(
                f"`required` must be left out of a text of several lines, which are predicted one by one, but there are {len(lines)}."
                " Make each line an input, or set `task.lines: together`."
            )
        later = {name: value for name, value in record.items() if name != "prefix"}
        context, before = record.get(CONTEXT) or {}, [*context_of(record, "source"), *lines]
        document, place, first = context.get("document", 0), context.get("place", 0), len(before) - len(lines)
        return [
            {
                **(later if number else record),
                self.settings.source: line,
                CONTEXT: {
                    "source": before[max(0, first + number - self.context.sentences) : first + number],
                    "target": context.get("target") if number == 0 else None,
                    "document": document,
                    "place": place + number,
                },
            }
            for number, line in enumerate(lines)
        ]

    def joined(self, predictions: Sequence[Prediction], record: Record) -> Prediction:
        """The prediction for a record, from those of its lines."""
        return self._parts(record).joined(predictions)

    def _parts(self, record: Record) -> TextParts:
        text = text_of(record, self.settings.source)
        return TextParts.of(text) if self._apart else TextParts((text,), ("", ""))

    @property
    def continues(self) -> bool:
        """Whether outputs begin with the preceding ones."""
        return self.context.of == "both"

    def place(self, record: Record) -> tuple[int, int]:
        """The number of a record's document, and of the record within it."""
        context = record.get(CONTEXT) or {}
        return int(context.get("document", -1)), int(context.get("place", 0))

    def continued(self, record: Record, said: Mapping[int, str]) -> Record:
        """The record with the outputs for the preceding ones, as many as its source has."""
        if "place" not in (record.get(CONTEXT) or {}):  # a context of the caller's own
            return record
        place, count = self.place(record)[1], len(context_of(record, "source"))
        texts = [said.get(number, "") for number in range(place - count, place)]
        return {**record, CONTEXT: {**record[CONTEXT], "target": texts}}

    def request(self, record: Record) -> Request:
        """The record's request, after the translations of the preceding sentences, which are given and not searched for."""
        asked, opening = super().request(record), len(self.target_text.opening)
        unknown = self.target_spec.unknown  # cannot be said, so a name that our output lost is left out here
        before = tuple(symbol for symbol in self._before(self.target_text, self._translated(record)).tolist() if symbol != unknown)
        return replace(asked, prefix=(*asked.prefix[:opening], *before, *asked.prefix[opening:]), given=asked.given + len(before))

    def _prediction(self, hypothesis: Hypothesis, example: Example) -> Prediction:
        return super()._prediction(self._own(hypothesis) if self.continues else hypothesis, example)

    def _own(self, hypothesis: Hypothesis) -> Hypothesis:
        """The symbols after the last separator."""
        places = np.flatnonzero(np.isin(hypothesis.elements, self._separator(self.target_text)))
        if not len(places):
            return hypothesis
        first = int(places[-1]) + 1
        scores = hypothesis.step_scores[first:]
        log_prob = float(sum(scores)) if hypothesis.step_scores else hypothesis.log_prob
        return replace(
            hypothesis,
            elements=hypothesis.elements[first:],
            score=log_prob if hypothesis.score == hypothesis.log_prob else hypothesis.score,  # a beam's counts no symbol that was given
            step_scores=scores,
            log_prob=log_prob,
            alignment=None if hypothesis.alignment is None else hypothesis.alignment[first:],
            read=None if hypothesis.read is None else hypothesis.read[first:],
        )

    # ------------------------------------------------------------------------------------------------------------- scoring

    def details(
        self,
        items: Sequence[Record],
        predictions: Sequence[Prediction],
        references: Sequence[Sequence[Any]],
        baselines: Mapping[str, Sequence[Any]],
    ) -> dict[str, Any]:
        """Scores by document, in the order of the data."""
        return {"documents": by_document([self._document_of(item) for item in items], [one.value for one in predictions], references)}

    def _document_of(self, item: Record) -> str:
        column = self.context.document
        return str(item[column]) if column is not None and column in item else str(self.place(item)[0] + 1)


def by_document(names: Sequence[str], texts: Sequence[str], references: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """BLEU and chrF of the sentences of each document, in order of appearance."""
    found = scores_by(names, texts, references, [registry.find("metrics", name) for name in ("bleu", "chrf")])
    return [{"document": name, "sentences": count, **scores} for name, count, scores in found]
