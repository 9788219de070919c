"""The common part of all tasks that turn one text into another.

A source ends with the end symbol, so that it is never empty and the model sees where it ends. A target begins with the start symbol and
ends with the end symbol. Tags (a language, a domain) are symbols of their own in front of the source.

Words of a source that a joint vocabulary of words does not have can be open: they get symbols behind the vocabulary, numbered anew in each
source, and the target of the same record may use them. A model that copies can say them; every other reads them as the unknown symbol.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from antiphon.contracts.feature import Feature
from antiphon.contracts.files import FileConfig
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Example, Hypothesis, Prediction, Request
from antiphon.contracts.specs import Factor, TokenSpec
from antiphon.data.documents import DocumentFolder, open_documents
from antiphon.errors import ConfigError, DataError, nearest
from antiphon.features.pretrained_text import PretrainedText
from antiphon.features.text import TextFeature
from antiphon.features.text_config import TextConfig
from antiphon.features.vocabulary import BYTE_PIECES, SPECIAL_PIECES
from antiphon.metrics.timed import TimedText
from antiphon.store import checkpoint
from antiphon.tasks.example_per_record import ExamplePerRecord, of_each
from antiphon.tasks.growing_words import words_in
from antiphon.tasks.source_factors import SourceFactors
from antiphon.tasks.text_links import side_places, symbol_links, word_links
from antiphon.tasks.text_pairs_config import TextPairsSettings
from antiphon.tasks.text_requests import text_of, text_request
from antiphon.tasks.text_stream import stream_words
from antiphon.tasks.text_tags import collect_tags


class TextPairs(ExamplePerRecord):
    """Records with two texts; a subclass defines their relation."""

    not_encoded = frozenset({"vocabulary", "source_vocabulary", "target_vocabulary"})

    def __init__(self, settings: TextPairsSettings):
        self.settings: TextPairsSettings = settings
        self.tag_symbols: dict[str, str] = {}
        self.factors = SourceFactors(settings.source_factors or {}, settings.source)
        self.source_text: TextFeature | PretrainedText
        self.target_text: TextFeature | PretrainedText
        self._make_features()

    @property
    def joint(self) -> bool:
        """Whether both sides share one vocabulary that we learn. The sides of a published tokenizer differ in what they add around a
        text."""
        return isinstance(self.source_text, TextFeature) and self.settings.target_vocabulary is None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that training records must have."""
        return (self.settings.source, self.settings.target, *self.settings.tags, *self.factors.columns)

    @property
    def source_columns(self) -> tuple[str, ...]:
        """Columns that records to predict must have."""
        return (self.settings.source, *self.settings.tags, *self.factors.columns)

    @property
    def kept_together(self) -> tuple[str, ...]:
        """Sources: no sentence is both held out and used in training, whatever its tags."""
        return (self.settings.source,)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know after fitting."""
        return (*self.source_text.notes, *(() if self.joint else self.target_text.notes))

    @property
    def samples_encodings(self) -> bool:
        """Whether `encode` with a seed samples one of several segmentations."""
        return self.source_text.sampling > 0 or self.target_text.sampling > 0

    @property
    def source_spec(self) -> TokenSpec:
        """The source's vocabulary."""
        return _with(self.source_text.spec, self.open_words, self.factors.specs)

    @property
    def target_spec(self) -> TokenSpec:
        """The target's vocabulary."""
        return _with(self.target_text.spec, self.open_words, ())

    @property
    def open_words(self) -> int:
        """The greatest number of words in a source that get symbols of their own; 0 unless a joint vocabulary of words supports it."""
        can = isinstance(self.source_text, TextFeature) and self.joint and self.source_text.can_be_open
        return self.settings.open_words if can else 0

    @property
    def features(self) -> tuple[Feature, ...]:
        """The sides' texts."""
        return (self.source_text, self.target_text)

    @property
    def learned(self) -> Any:
        """The symbols of tags, and the values of factors."""
        return [self.tag_symbols, self.factors.to_plain()] if self.factors else self.tag_symbols

    def open_file(self, file: FileConfig, base: Path, required: Sequence[str]) -> DocumentFolder | None:
        """The texts in a folder, as sources; None for a file."""
        return open_documents(file, base, required, self.settings.source)

    def fit(self, records: Iterable[Record]) -> None:
        """Learn the vocabularies, including the symbols before every text, and the values of the tag columns. `records` must be iterable
        several times."""
        if self.settings.tags:
            taken = (*SPECIAL_PIECES, *BYTE_PIECES, *self.more_symbols())
            self.tag_symbols = collect_tags(records, self.settings.tags, taken)
            self._make_features()
        self.factors.fit(records)

        def source(record: Record) -> str:
            return self.settings.source_prefix + text_of(record, self.settings.source)

        def target(record: Record) -> str:
            return self.settings.target_prefix + text_of(record, self.settings.target)

        if isinstance(self.target_text, PretrainedText):
            self.source_text.fit(())
            self.target_text.fit(())
        elif isinstance(self.source_text, TextFeature) and self.joint:
            self.source_text.fit_pairs(of_each(records, lambda record: (source(record), target(record))))
            self.target_text = self.source_text.on("target")
        else:
            self.source_text.fit(of_each(records, source))
            self.target_text.fit(of_each(records, target))

    def encode(self, record: Record, index: int = -1, *, seed: int | None = None) -> Example:
        """The record as symbols: source (S,), target (T,) or None when the record has no target column."""
        if self.open_words:
            return self._encode_open(record, index)
        source, target = self.source_text.encode(self._source(record), seed=seed), None
        if self.settings.target in record:
            target = self.target_text.encode(self._target(record), seed=None if seed is None else seed + 1)
        example = self._example(record, source, target, index)
        lost = (example.links is None and self._is_aligned(record)) or (example.factors is None and bool(self.factors))
        # Symbols that were drawn and do not tell where words begin give way to the usual ones.
        return TextPairs.encode(self, record, index) if seed is not None and lost else example

    def _encode_open(self, record: Record, index: int) -> Example:
        """The record as symbols, with open words; the context holds these words."""
        reading, writing = self.source_text, self.target_text
        assert isinstance(reading, TextFeature), "only words of our own vocabulary can be open"
        assert isinstance(writing, TextFeature), "both sides share it"
        source, words = reading.encode_open(self._source(record), (), self.open_words, learn=True)
        target = None
        if self.settings.target in record:
            target = writing.encode_open(self._target(record), words, self.open_words, learn=False)[0]
        return self._example(record, source, target, index, words)

    def encode_many(self, records: Sequence[tuple[int, Record]]) -> list[Example]:
        """`encode` for (index, record) pairs, faster."""
        if self.open_words or not all(self.settings.target in record for _, record in records):
            return [self.encode(record, index) for index, record in records]
        sources = self.source_text.encode_many([self._source(record) for _, record in records])
        targets = self.target_text.encode_many([self._target(record) for _, record in records])
        return [
            self._example(record, source, target, index) for (index, record), source, target in zip(records, sources, targets, strict=True)
        ]

    def _example(
        self, record: Record, source: np.ndarray, target: np.ndarray | None, index: int, words: tuple[str, ...] | None = None
    ) -> Example:
        """Both sides with start and end. An empty text stays empty, whatever is put before it."""
        end = self.source_text.spec.end  # not by way of `source_spec`, which takes a tenth of what encoding takes
        if not _says_something(self.source_text, text_of(record, self.settings.source)):
            closed = np.array([end])
        else:
            closed = np.concatenate((source, (end,))) if self.source_text.closes else source
        factors = self._factors(record, closed) if self.factors else None
        if target is None:
            return Example(closed, None, index, context=words, factors=factors)
        if not _says_something(self.target_text, text_of(record, self.settings.target)):
            target = target[:0]
        links = self._links(record, closed, target) if self._is_aligned(record) else None
        spec = self.target_text.spec
        framed = np.empty(len(target) + 2, dtype=np.int64)
        framed[0], framed[1:-1], framed[-1] = spec.start, target, spec.end
        return Example(closed, framed, index, context=words, links=links, factors=factors)

    def _is_aligned(self, record: Record) -> bool:
        return self.settings.alignment is not None and self.settings.alignment in record and self.settings.target in record

    def _links(self, record: Record, source: np.ndarray, target: np.ndarray) -> np.ndarray | None:
        """The links between symbols; None if sampled symbols do not tell their words."""
        column = str(self.settings.alignment)
        places = self._places(record, source, target)
        words = word_links(record[column], column, text_of(record, self.settings.source), text_of(record, self.settings.target))
        return None if places is None else symbol_links(words, *places)

    def _factors(self, record: Record, source: np.ndarray) -> np.ndarray | None:
        """The factors of each symbol of the source; None if sampled symbols do not tell their words."""
        places = self._source_places(record, source)
        return None if places is None else self.factors.encode(record, places)

    def _places(self, record: Record, source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """The word of each symbol of an encoded source and of a target without start and end."""
        text, before = text_of(record, self.settings.target), self.settings.target_prefix
        read, said = self._source_places(record, source), side_places(self.target_text, target, text, before, closed=False)
        return None if read is None or said is None else (read, said)

    def _source_places(self, record: Record, source: np.ndarray) -> np.ndarray | None:
        text, before = text_of(record, self.settings.source), "".join(self.lead(record)) + self.settings.source_prefix
        closed = self.source_text.closes or len(source) == 1  # the end alone, of a text that says nothing
        return side_places(self.source_text, source, text, before, closed=closed)

    def word_places(self, record: Record) -> tuple[Int[np.ndarray, " S"], Int[np.ndarray, " T"]]:
        """The word of each symbol of the encoded source, and of the target without start and end; -1 for symbols of no word."""
        example = TextPairs.encode(self, {name: value for name, value in record.items() if name != self.settings.alignment})
        assert example.target is not None, "there is a target to align"
        places = self._places(record, example.source, example.target[1:-1])
        assert places is not None, "the symbols are the usual ones"
        return places

    def request(self, record: Record) -> Request:
        """From the optional fields `prefix` (a text), `required`, `banned` and `hot_words` (a text or a list of texts)."""
        return text_request(record, self._phrase_of, self.target_spec.unknown, self.target_text.opening, before=self.settings.target_prefix)

    def _phrase_of(self, record: Record) -> Callable[[str], tuple[int, ...]]:
        """A phrase of the target as symbols; it may use the open words of the record's source."""
        feature, most = self.target_text, self.open_words
        if not most or not isinstance(feature, TextFeature):
            return feature.phrase
        _, words = feature.encode_open(self._source(record), (), most, learn=True)
        return lambda text: tuple(feature.encode_open(text, words, most, learn=False)[0].tolist())

    def decode(self, hypotheses: Sequence[Hypothesis], example: Example) -> Prediction:
        """The best hypothesis as text, the others as alternatives; with an alignment also the aligned pieces."""
        best, *others = (self._prediction(hypothesis, example) for hypothesis in hypotheses)
        return Prediction(best.value, best.hypothesis, tuple(others), best.details)

    def source_of(self, record: Record) -> str:
        """The source text, for display."""
        return text_of(record, self.settings.source)

    def reference(self, record: Record) -> str:
        """The target text."""
        return text_of(record, self.settings.target)

    def restored(self, record: Record) -> str:
        """The target text as its symbols decode to, with words that can be copied from the source."""
        example = self.encode(record)
        assert example.target is not None, "there is a target to restore"
        text: str = self._prediction(Hypothesis(example.target[1:-1], 0.0, 0.0), example).value
        return text

    def pieces(self, side: Literal["source", "target"], array: np.ndarray) -> list[str]:
        """Symbols as the vocabulary writes them."""
        return (self.source_text if side == "source" else self.target_text).pieces(array)

    def save(self, folder: Path) -> None:
        """Write the vocabularies and tags."""
        (folder / "source").mkdir()
        self.source_text.save(folder / "source")
        if not self.joint:
            (folder / "target").mkdir()
            self.target_text.save(folder / "target")
        checkpoint.write_json(folder / "task.json", {"tags": self.tag_symbols, "factors": self.factors.to_plain()})

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        saved = checkpoint.read_json(folder / "task.json")
        self.tag_symbols = saved["tags"]
        self.factors.restore(saved.get("factors", {}))
        self._make_features()
        self.source_text.load(folder / "source")
        if isinstance(self.source_text, TextFeature) and self.joint:
            self.target_text = self.source_text.on("target")
        else:
            self.target_text.load(folder / "target")

    def lead(self, record: Record) -> tuple[str, ...]:
        """The tags before a record's source."""
        tags = []
        for column in self.settings.tags:
            value = str(record.get(column))
            if value not in self.tag_symbols:
                raise DataError(f"`{column}` must be a value seen in training, but is {value!r}.{nearest(value, self.tag_symbols)}")
            tags.append(self.tag_symbols[value])
        return tuple(tags)

    def more_symbols(self) -> tuple[str, ...]:
        """Symbols that `lead` may use beside those of the tag columns."""
        return ()

    def said_symbols(self) -> tuple[str, ...]:
        """Further symbols in targets."""
        return ()

    def _make_features(self) -> None:
        source = self.settings.source_vocabulary or self.settings.vocabulary or TextConfig()
        symbols = tuple(dict.fromkeys((*source.tags, *self.tag_symbols.values(), *self.more_symbols())))
        if source.kind == "pretrained":
            name = str(source.model)
            self.source_text = PretrainedText(name, "source", source.languages)
            self.target_text = PretrainedText(name, "target", source.languages)
            return
        self.source_text = TextFeature(replace(source, tags=symbols), "source")
        target = self.settings.target_vocabulary
        if target is None:
            self.target_text = self.source_text.on("target")
        else:
            said = tuple(dict.fromkeys((*target.tags, *self.said_symbols())))
            self.target_text = TextFeature(replace(target, tags=said), "target")

    def _source(self, record: Record) -> str:
        return "".join(self.lead(record)) + self.settings.source_prefix + text_of(record, self.settings.source)

    def _target(self, record: Record) -> str:
        return self.settings.target_prefix + text_of(record, self.settings.target)

    def _prediction(self, hypothesis: Hypothesis, example: Example) -> Prediction:
        words = example.context or ()
        text = self._decoded(hypothesis.elements, words)
        if self.settings.target_prefix:
            text = text.removeprefix(self.settings.target_prefix).lstrip()
        details: dict[str, Any] = {}
        if hypothesis.alignment is not None or hypothesis.copied is not None:
            details = {
                "source_pieces": self._shown(self.source_text, example.source, words),
                "target_pieces": self._shown(self.target_text, hypothesis.elements, words),
            }
        if hypothesis.copied is not None:
            details["copied"] = [
                {"probability": round(float(probability), 4), "position": int(position)}
                for probability, position in zip(hypothesis.copied.probability, hypothesis.copied.position, strict=True)
            ]
        if hypothesis.read is not None:
            text = self._timed(text, hypothesis, example)
        return Prediction(text, hypothesis, (), details)

    def _timed(self, text: str, hypothesis: Hypothesis, example: Example) -> TimedText:
        """The text, with the number of source words read when each of its words, that is, its last symbol, was output."""
        assert hypothesis.read is not None, "only what was said while reading knows this"
        source = words_in(example.source[example.source != self.source_spec.end], self.source_text.decode)
        begins = np.array([word.elements[0] if word.elements else 0 for word in source], dtype=np.int64)
        said = words_in(hypothesis.elements, self.target_text.decode)[-max(len(text.split()), 1) :]
        read = [int(hypothesis.read[word.elements[-1]]) if word.elements else len(example.source) for word in said if text.strip()]
        return TimedText(text, [int(np.searchsorted(begins, symbols)) for symbols in read], len(source))

    def stream_text(self, model: Seq2SeqModel, search: Any, words: Iterable[str], record: Record) -> Iterator[Prediction]:
        """The translation so far, after each word of the source and once more at the end; `record` has the other inputs (tags)."""
        if self.factors:
            raise ConfigError("`task.source_factors` must be left out for a stream of words, which come without any.")
        return stream_words(self, model, search, words, {**record, self.settings.source: ""})

    def _decoded(self, elements: np.ndarray, words: Sequence[str]) -> str:
        return self.target_text.decode(elements, words) if isinstance(self.target_text, TextFeature) else self.target_text.decode(elements)

    @staticmethod
    def _shown(feature: TextFeature | PretrainedText, array: np.ndarray, words: Sequence[str]) -> list[str]:
        return feature.pieces(array, words) if isinstance(feature, TextFeature) else feature.pieces(array)


def _says_something(feature: TextFeature | PretrainedText, text: str) -> bool:
    return any(map(str.isalnum, text)) or (bool(text.strip()) and len(feature.phrase(text)) > 0)


@lru_cache(maxsize=64)
def _with(spec: TokenSpec, open_words: int, factors: tuple[Factor, ...]) -> TokenSpec:
    """The spec of a side, cached, as it is needed for every record."""
    return replace(spec, open_words=open_words, factors=factors)
