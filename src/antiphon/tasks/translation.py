"""Text to text: a sentence and its translation, a word and its pronunciation, a date and its normal form.

A source ends with the end symbol, so that it is never empty and the model sees where it ends. A target begins with the start symbol and
ends with the end symbol. Tags (a language, a domain) are symbols of their own in front of the source.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from antiphon import checkpoint
from antiphon.configuration import config
from antiphon.data.corpus import MappedCorpus, build_corpus
from antiphon.data.limits import Limits
from antiphon.errors import ConfigError, DataError, nearest
from antiphon.features.pretrained_text import PretrainedText
from antiphon.features.text import TextConfig, TextFeature
from antiphon.interfaces import Record, RecordSource, Task, TaskPlugin, TokenSpec
from antiphon.sequences import Example, Hypothesis, Prediction, Request

MAX_TAGS = 1000  # a column with more different values holds texts rather than tags


@config
class TranslationConfig:
    """Which columns hold the texts, and how texts become symbols."""

    name: Literal["translation"] = "translation"
    """The name of this task."""
    source: str = "source"
    """Column with the source text."""
    target: str = "target"
    """Column with the target text."""
    vocabulary: TextConfig | None = None
    """One vocabulary for both sides. Give either this, or `source_vocabulary` and `target_vocabulary`; the default is a joint one."""
    source_vocabulary: TextConfig | None = None
    """Vocabulary of the source."""
    target_vocabulary: TextConfig | None = None
    """Vocabulary of the target."""
    source_prefix: str = ""
    """Text put before every source, such as `translate English to German: `."""
    target_prefix: str = ""
    """Text that every target begins with; predictions are forced to begin with it, and it is removed from them."""
    tags: tuple[str, ...] = ()
    """Columns whose values (a language code, a domain) become one symbol each in front of the source."""

    def __post_init__(self) -> None:
        sides = (self.source_vocabulary, self.target_vocabulary)
        if self.vocabulary is not None and sides != (None, None):
            raise ValueError("give either `vocabulary` for both sides, or `source_vocabulary` and `target_vocabulary`.")
        if (self.source_vocabulary is None) != (self.target_vocabulary is None):
            raise ValueError("`source_vocabulary` and `target_vocabulary` go together; use `vocabulary` for a joint one.")
        if any(side is not None and side.kind == "pretrained" for side in sides):
            raise ValueError("a `pretrained` tokenizer serves both sides: give it as `vocabulary`.")
        if self.vocabulary is not None and self.vocabulary.kind == "pretrained" and self.tags:
            raise ValueError("`tags` must be left out with a `pretrained` tokenizer, whose pieces are what they are. Use `source_prefix`.")
        for vocabulary in (self.vocabulary, *sides):
            if vocabulary is not None and vocabulary.prefix:
                raise ValueError("use `source_prefix` or `target_prefix` of the task instead of `prefix` of a vocabulary.")


@final
class Translation(Task):
    """Records with two texts."""

    name = "translation"

    def __init__(self, settings: TranslationConfig):
        self.settings = settings
        self.tag_symbols: dict[str, str] = {}
        self.source_text: TextFeature | PretrainedText
        self.target_text: TextFeature | PretrainedText
        self._make_features()

    @property
    def joint(self) -> bool:
        """Whether both sides are one feature. The sides of a published tokenizer differ in what they put around a text."""
        return self.source_text is self.target_text

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that training records must have."""
        return (self.settings.source, self.settings.target, *self.settings.tags)

    @property
    def source_columns(self) -> tuple[str, ...]:
        """Columns that records to predict must have."""
        return (self.settings.source, *self.settings.tags)

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
        return self.source_text.spec

    @property
    def target_spec(self) -> TokenSpec:
        """The target's vocabulary."""
        return self.target_text.spec

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same record would be encoded differently."""
        settings = self.settings
        parts = (self.source_spec.fingerprint, self.target_spec.fingerprint, settings.source, settings.target, settings.source_prefix)
        return "|".join((*parts, settings.target_prefix, *settings.tags))

    def fit(self, records: Iterable[Record]) -> None:
        """Learn the vocabularies, and the values of the tag columns. `records` must be iterable several times."""
        if self.settings.tags:
            self.tag_symbols = self._collect_tags(records)
            self._make_features()
        source, target = self.settings.source, self.settings.target
        if isinstance(self.target_text, PretrainedText):
            self.source_text.fit(())
            self.target_text.fit(())
        elif self.joint:
            self.source_text.fit(text for record in records for text in (_text(record, source), _text(record, target)))
            self.target_text = self.source_text
        else:
            self.source_text.fit(_text(record, source) for record in records)
            self.target_text.fit(_text(record, target) for record in records)

    def encode(self, record: Record, index: int = -1, *, seed: int | None = None) -> Example:
        """The record as symbols: source (S,), target (T,) or None when the record has no target column."""
        source = self.source_text.encode(self._source(record), seed=seed)
        target = None
        if record.get(self.settings.target) is not None:
            text = self.settings.target_prefix + _text(record, self.settings.target)
            target = self._framed(self.target_text.encode(text, seed=None if seed is None else seed + 1))
        return Example(self._closed(source), target, index)

    def encode_many(self, records: Sequence[tuple[int, Record]]) -> list[Example]:
        """`encode` for (index, record) pairs, faster."""
        if any(record.get(self.settings.target) is None for _, record in records):
            return [self.encode(record, index) for index, record in records]
        sources = self.source_text.encode_many([self._source(record) for _, record in records])
        prefix, column = self.settings.target_prefix, self.settings.target
        targets = self.target_text.encode_many([prefix + _text(record, column) for _, record in records])
        return [
            Example(self._closed(source), self._framed(target), index)
            for (index, _), source, target in zip(records, sources, targets, strict=True)
        ]

    def build_corpus(
        self,
        records: RecordSource,
        folder: Path,
        *,
        limits: Limits,
        keep_records: bool,
        progress: Callable[[int], None] | None = None,
    ) -> MappedCorpus:
        """Encode the records, one example each."""
        return build_corpus(
            records,
            self.encode,
            folder,
            source=self.source_spec,
            target=self.target_spec,
            limits=limits,
            fingerprint=self.fingerprint,
            keep_records=keep_records,
            encode_many=self.encode_many,
            progress=progress,
        )

    def request(self, record: Record) -> Request:
        """From the optional fields `prefix` (a text), `required` and `banned` (a text or a list of texts)."""
        prefix = self.settings.target_prefix + str(record.get("prefix") or "")
        phrase = self.target_text.phrase
        return Request(
            prefix=(*self.target_text.opening, *(phrase(prefix) if prefix else ())),
            required=tuple(phrase(wanted) for wanted in _phrases(record, "required")),
            banned=tuple(phrase(unwanted) for unwanted in _phrases(record, "banned")),
        )

    def decode(self, hypotheses: Sequence[Hypothesis], example: Example) -> Prediction:
        """The best hypothesis as text, the others as alternatives; with an alignment also the pieces that it aligns."""
        best, *others = (self._prediction(hypothesis, example) for hypothesis in hypotheses)
        return Prediction(best.value, best.hypothesis, tuple(others), best.details)

    def source_of(self, record: Record) -> str:
        """The source text, for people."""
        return _text(record, self.settings.source)

    def reference(self, record: Record) -> str:
        """The target text."""
        return _text(record, self.settings.target)

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
        if not self.joint:
            self.target_text.load(folder / "target")

    def _make_features(self) -> None:
        source = self.settings.source_vocabulary or self.settings.vocabulary or TextConfig()
        symbols = tuple(dict.fromkeys((*source.tags, *self.tag_symbols.values())))
        if source.kind == "pretrained":
            name = str(source.model)
            self.source_text = PretrainedText(name, "source", source.languages)
            self.target_text = PretrainedText(name, "target", source.languages)
            return
        self.source_text = TextFeature(replace(source, tags=symbols))
        target = self.settings.target_vocabulary
        self.target_text = self.source_text if target is None else TextFeature(target)

    def _collect_tags(self, records: Iterable[Record]) -> dict[str, str]:
        found: dict[str, str] = {}
        for record in records:
            for column in self.settings.tags:
                value = str(record[column])
                if value not in found:
                    found[value] = f"<{'_'.join(value.split())}>"
                if len(found) > MAX_TAGS:
                    raise ConfigError(f"`task.tags` must name columns with at most {MAX_TAGS} different values, but `{column}` has more.")
        return found

    def _source(self, record: Record) -> str:
        tags = []
        for column in self.settings.tags:
            value = str(record.get(column))
            if value not in self.tag_symbols:
                raise DataError(f"`{column}` must be a value seen in training, but is {value!r}.{nearest(value, self.tag_symbols)}")
            tags.append(self.tag_symbols[value])
        return "".join(tags) + self.settings.source_prefix + _text(record, self.settings.source)

    def _framed(self, symbols: np.ndarray) -> np.ndarray:
        return np.concatenate([[self.target_spec.start], symbols, [self.target_spec.end]]).astype(np.int64)

    def _closed(self, source: np.ndarray) -> np.ndarray:
        return np.append(source, self.source_spec.end) if self.source_text.closes else source

    def _prediction(self, hypothesis: Hypothesis, example: Example) -> Prediction:
        text = self.target_text.decode(hypothesis.elements)
        if self.settings.target_prefix:
            text = text.removeprefix(self.settings.target_prefix).lstrip()
        details: dict[str, Any] = {}
        if hypothesis.alignment is not None:
            details = {
                "source_pieces": self.source_text.pieces(example.source),
                "target_pieces": self.target_text.pieces(hypothesis.elements),
            }
        return Prediction(text, hypothesis, (), details)


def _text(record: Record, column: str) -> str:
    value = record.get(column)
    if not isinstance(value, str):
        what = "is missing" if value is None else f"is {type(value).__name__} {value!r}"
        raise DataError(f"`{column}` must be a text, but {what}.")
    return value


def _phrases(record: Record, field: str) -> Iterator[str]:
    value = record.get(field)
    if isinstance(value, str):
        value = [value]
    for phrase in value or ():
        if not isinstance(phrase, str):
            raise DataError(f"`{field}` must be a text or a list of texts, but holds {phrase!r}.")
        if phrase:
            yield phrase


TEMPLATE = """\
# Text to text. Point `data` at your files, name the columns in `task`, then:
#   antiphon inspect {file}        look at the data before you train
#   antiphon train {file} --out runs/translation
task:
  name: translation
  source: source                 # column with the source text
  target: target                 # column with the target text
  vocabulary: {{kind: unigram, size: 8000}}   # one for both sides; word, character and byte are there too

data:
  train: train.tsv               # tsv, csv, jsonl, parquet; also .gz, .zst, or a list of files
  validation: 500                # a file, or so many records split off the training data
  # test: test.tsv
  limits: {{max_source_length: 200, max_target_length: 200}}   # in subwords; what is longer is dropped and counted

model:
  name: transformer              # or lstm: change this one word
  preset: small                  # tiny, small, base, big; any setting may be overridden
  tied_embeddings: all           # source, target and output share one matrix (joint vocabulary)

training:
  max_epochs: 20
  batching: {{target_tokens: 4096}}
  optimizer: {{name: adamw, learning_rate: 1e-3}}
  schedule: {{name: inverse_square_root, warmup_steps: 1000}}
  best: chrf                     # the checkpoint with the best validation chrF is kept
  patience: 5

search:
  name: beam
  beam_size: 5

evaluation:
  metrics: [bleu, chrf]
"""

plugin = TaskPlugin(
    name="translation",
    summary="Text to text: translation, transliteration, pronunciation, normalization.",
    Config=TranslationConfig,
    build=Translation,
    metrics=("bleu", "chrf"),
    template=TEMPLATE,
)
