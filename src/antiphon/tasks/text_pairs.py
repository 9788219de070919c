"""Records with two texts: what the tasks that turn one text into another have in common.

A source ends with the end symbol, so that it is never empty and the model sees where it ends. A target begins with the start symbol and
ends with the end symbol. Tags (a language, a domain) are symbols of their own in front of the source.

Words of a source that a joint vocabulary of words does not have can be open: they get symbols behind the vocabulary, numbered anew in each
source, and the target of the same record may use them. A model that copies can say them; every other reads them as the unknown symbol.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from antiphon.contracts.feature import Feature
from antiphon.contracts.files import FileConfig
from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Example, Hypothesis, Prediction, Request
from antiphon.contracts.specs import TokenSpec
from antiphon.data.documents import DocumentFolder, open_documents
from antiphon.errors import ConfigError, DataError, nearest
from antiphon.features.pretrained_text import PretrainedText
from antiphon.features.text import TextFeature
from antiphon.features.text_config import TextConfig
from antiphon.features.vocabulary import BYTE_PIECES, SPECIAL_PIECES
from antiphon.features.word_places import NO_WORD, word_places
from antiphon.store import checkpoint
from antiphon.tasks.example_per_record import ExamplePerRecord, of_each
from antiphon.tasks.text_requests import text_of, text_request

MAX_TAGS = 1000  # a column with more different values holds texts rather than tags


@runtime_checkable
class TextPairsSettings(Protocol):
    """What the settings of such a task have in common; the fields of the configs describe them."""

    @property
    def source(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def vocabulary(self) -> TextConfig | None: ...
    @property
    def source_vocabulary(self) -> TextConfig | None: ...
    @property
    def target_vocabulary(self) -> TextConfig | None: ...
    @property
    def source_prefix(self) -> str: ...
    @property
    def target_prefix(self) -> str: ...
    @property
    def tags(self) -> tuple[str, ...]: ...
    @property
    def open_words(self) -> int: ...


def check_settings(settings: TextPairsSettings) -> None:
    """Raises ValueError for settings that contradict each other; for `__post_init__` of a config."""
    sides = (settings.source_vocabulary, settings.target_vocabulary)
    if settings.vocabulary is not None and sides != (None, None):
        raise ValueError("give either `vocabulary` for both sides, or `source_vocabulary` and `target_vocabulary`.")
    if (settings.source_vocabulary is None) != (settings.target_vocabulary is None):
        raise ValueError("`source_vocabulary` and `target_vocabulary` go together; use `vocabulary` for a joint one.")
    if any(side is not None and side.kind == "pretrained" for side in sides):
        raise ValueError("a `pretrained` tokenizer serves both sides: give it as `vocabulary`.")
    if settings.vocabulary is not None and settings.vocabulary.kind == "pretrained" and settings.tags:
        raise ValueError("`tags` must be left out with a `pretrained` tokenizer, whose pieces are what they are. Use `source_prefix`.")
    for vocabulary in (settings.vocabulary, *sides):
        if vocabulary is not None and vocabulary.prefix:
            raise ValueError("use `source_prefix` or `target_prefix` of the task instead of `prefix` of a vocabulary.")


class TextPairs(ExamplePerRecord):
    """Records with two texts; a subclass says what the pair is good for."""

    not_encoded = frozenset({"vocabulary", "source_vocabulary", "target_vocabulary"})

    def __init__(self, settings: TextPairsSettings):
        self.settings: TextPairsSettings = settings
        self.tag_symbols: dict[str, str] = {}
        self.source_text: TextFeature | PretrainedText
        self.target_text: TextFeature | PretrainedText
        self._make_features()

    @property
    def joint(self) -> bool:
        """Whether both sides share one vocabulary that we learn. Those of a published tokenizer differ in what they put around a text."""
        return isinstance(self.source_text, TextFeature) and self.settings.target_vocabulary is None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that training records must have."""
        return (self.settings.source, self.settings.target, *self.settings.tags)

    @property
    def source_columns(self) -> tuple[str, ...]:
        """Columns that records to predict must have."""
        return (self.settings.source, *self.settings.tags)

    @property
    def kept_together(self) -> tuple[str, ...]:
        """Sources, whatever is made of them: a sentence that is held out is learned with no other tag either."""
        return (self.settings.source,)

    @property
    def notes(self) -> tuple[str, ...]:
        """What fitting wants the user to know."""
        return (*self.source_text.notes, *(() if self.joint else self.target_text.notes))

    @property
    def samples_encodings(self) -> bool:
        """Whether `encode` with a seed draws one of several segmentations."""
        return self.source_text.sampling > 0 or self.target_text.sampling > 0

    @property
    def source_spec(self) -> TokenSpec:
        """The source's vocabulary."""
        return replace(self.source_text.spec, open_words=self.open_words)

    @property
    def target_spec(self) -> TokenSpec:
        """The target's vocabulary."""
        return replace(self.target_text.spec, open_words=self.open_words)

    @property
    def open_words(self) -> int:
        """The most words of a source that get symbols of their own; 0 unless a joint vocabulary of words can do so."""
        can = isinstance(self.source_text, TextFeature) and self.joint and self.source_text.can_be_open
        return self.settings.open_words if can else 0

    @property
    def features(self) -> tuple[Feature, ...]:
        """The sides' texts."""
        return (self.source_text, self.target_text)

    @property
    def learned(self) -> Any:
        """The symbols of tags."""
        return self.tag_symbols

    def open_file(self, file: FileConfig, base: Path, required: Sequence[str]) -> DocumentFolder | None:
        """The texts of a folder, which are sources; nothing where a file is meant."""
        return open_documents(file, base, required, self.settings.source)

    def fit(self, records: Iterable[Record]) -> None:
        """Learn the vocabularies, also what stands before every text, and the values of the tag columns. `records` must be iterable several
        times."""
        if self.settings.tags:
            self.tag_symbols = self._collect_tags(records)
            self._make_features()

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
        return self._example(record, source, target, index)

    def _encode_open(self, record: Record, index: int) -> Example:
        """The record as symbols, with open words; the context is these words."""
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
        """Both sides with start and end. A side whose text says nothing is empty, whatever stands before it."""
        if not _says_something(self.source_text, text_of(record, self.settings.source)):
            closed = np.array([self.source_spec.end])
        else:
            closed = np.append(source, self.source_spec.end) if self.source_text.closes else source
        if target is None:
            return Example(closed, None, index, context=words)
        if not _says_something(self.target_text, text_of(record, self.settings.target)):
            target = target[:0]
        framed = np.concatenate([[self.target_spec.start], target, [self.target_spec.end]]).astype(np.int64)
        return Example(closed, framed, index, context=words)

    def word_places(self, record: Record) -> tuple[Int[np.ndarray, " S"], Int[np.ndarray, " T"]]:
        """The word of each symbol of the encoded source, and of the target without start and end; -1 of symbols of no word."""
        text, settings = text_of(record, self.settings.source), self.settings
        source = np.zeros(0, dtype=np.int64)
        if _says_something(self.source_text, text):
            source = word_places(self.source_text, text, "".join(self.lead(record)) + settings.source_prefix)
        if self.source_text.closes or not len(source):
            source = np.append(source, NO_WORD)
        text = text_of(record, settings.target)
        target = word_places(self.target_text, text, settings.target_prefix) if _says_something(self.target_text, text) else source[:0]
        return source, target

    def request(self, record: Record) -> Request:
        """From the optional fields `prefix` (a text), `required`, `banned` and `hot_words` (a text or a list of texts)."""
        return text_request(record, self._phrase_of, self.target_spec.unknown, self.target_text.opening, before=self.settings.target_prefix)

    def _phrase_of(self, record: Record) -> Callable[[str], tuple[int, ...]]:
        """A part of the target as symbols; it may use the open words of the record's source."""
        feature, most = self.target_text, self.open_words
        if not most or not isinstance(feature, TextFeature):
            return feature.phrase
        _, words = feature.encode_open(self._source(record), (), most, learn=True)
        return lambda text: tuple(feature.encode_open(text, words, most, learn=False)[0].tolist())

    def decode(self, hypotheses: Sequence[Hypothesis], example: Example) -> Prediction:
        """The best hypothesis as text, the others as alternatives; with an alignment also the pieces that it aligns."""
        best, *others = (self._prediction(hypothesis, example) for hypothesis in hypotheses)
        return Prediction(best.value, best.hypothesis, tuple(others), best.details)

    def source_of(self, record: Record) -> str:
        """The source text, for people."""
        return text_of(record, self.settings.source)

    def reference(self, record: Record) -> str:
        """The target text."""
        return text_of(record, self.settings.target)

    def restored(self, record: Record) -> str:
        """The target text as its symbols say it, with words that can be copied from the source."""
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
        checkpoint.write_json(folder / "task.json", {"tags": self.tag_symbols})

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        self.tag_symbols = checkpoint.read_json(folder / "task.json")["tags"]
        self._make_features()
        self.source_text.load(folder / "source")
        if isinstance(self.source_text, TextFeature) and self.joint:
            self.target_text = self.source_text.on("target")
        else:
            self.target_text.load(folder / "target")

    def lead(self, record: Record) -> tuple[str, ...]:
        """The tags in front of a record's source."""
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
        """Symbols that targets hold beside their texts."""
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

    def _collect_tags(self, records: Iterable[Record]) -> dict[str, str]:
        found: dict[str, str] = {}
        for record in records:
            for column in self.settings.tags:
                value = str(record[column])
                if value not in found:
                    found[value] = tag_symbol(value, (*SPECIAL_PIECES, *BYTE_PIECES, *self.more_symbols()))
                if len(found) > MAX_TAGS:
                    raise ConfigError(f"`task.tags` must name columns with at most {MAX_TAGS} different values, but `{column}` has more.")
        return found

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
        return Prediction(text, hypothesis, (), details)

    def _decoded(self, elements: np.ndarray, words: Sequence[str]) -> str:
        return self.target_text.decode(elements, words) if isinstance(self.target_text, TextFeature) else self.target_text.decode(elements)

    @staticmethod
    def _shown(feature: TextFeature | PretrainedText, array: np.ndarray, words: Sequence[str]) -> list[str]:
        return feature.pieces(array, words) if isinstance(feature, TextFeature) else feature.pieces(array)


def tag_symbol(value: str, taken: Collection[str]) -> str:
    """The symbol of a tag's value, `<de>`. Symbols have no blanks, so these are written as in addresses of the web, `<New%20York>`, and so
    is the first letter where others have the symbol (`<s>` begins a text); values that differ have symbols that differ."""
    written = "".join(_escaped(letter) if letter.isspace() or letter in "%\u2581" else letter for letter in value)
    return f"<{_escaped(value[0])}{written[1:]}>" if f"<{written}>" in taken else f"<{written}>"


def _escaped(letter: str) -> str:
    return f"%{ord(letter):02X}"


def _says_something(feature: TextFeature | PretrainedText, text: str) -> bool:
    return any(map(str.isalnum, text)) or (bool(text.strip()) and len(feature.phrase(text)) > 0)
