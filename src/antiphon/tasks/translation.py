"""Translation, or any text-to-text task: a sentence and its translation, a word and its pronunciation, a date and its normal form."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, final

import numpy as np
from pydantic import Field

from antiphon.contracts.configuration import config
from antiphon.contracts.files import FileConfig
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.records import Record, Records
from antiphon.contracts.sequences import Example, Prediction
from antiphon.contracts.task import TaskPlugin
from antiphon.data.documents import DocumentFolder, open_documents
from antiphon.errors import ConfigError, DataError
from antiphon.features.text_config import TextConfig
from antiphon.features.word_places import NO_WORD
from antiphon.store import checkpoint
from antiphon.tasks.document_context import ContextConfig
from antiphon.tasks.document_translation import DocumentTranslation
from antiphon.tasks.matches import MatchConfig, Matches
from antiphon.tasks.source_factors import FactorConfig
from antiphon.tasks.text_draft import draft
from antiphon.tasks.text_pairs import TextPairs
from antiphon.tasks.text_pairs_config import check_settings
from antiphon.tasks.text_parts import TextParts
from antiphon.tasks.text_requests import text_of

_PAIRS = "memory.json"


@config
class TranslationConfig:
    """Which columns hold the texts, and how they are encoded."""

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
    """Text that begins every target; predictions are forced to begin with it, and it is removed from them."""
    tags: tuple[str, ...] = ()
    """Columns whose values (a language code, a domain) become one symbol each before the source."""
    source_factors: dict[str, FactorConfig] | None = None
    """Further columns with a value for each word of the source (its part of speech, whether it was capitalized), and how each is combined
    with the encoder's embeddings, such as {pos: {combine: concat, dim: 32}, case: {}} (Sennrich and Haddow 2016)."""
    weight: str | None = None
    """Column with the weight of each training record (such as a quality score): a number from 0 up; only the proportions matter. Null
    weights all equally."""
    alignment: str | None = None
    """Column with word alignments, such as `0-0 1-2` (Pharaoh's format: source words by target words, from 0, separated by white space), on
    which attention is trained with `training.loss.guided_alignment`."""
    open_words: Annotated[int, Field(ge=0)] = 0
    """With one `vocabulary` of kind `word`: this many words of each source outside of the vocabulary may be copied, by a model with `head:
    pointer`."""
    lines: Literal["apart", "together"] = "apart"
    """How a text of several lines is predicted: each line separately, with line ends, blank lines and the blanks at its edges kept
    (`apart`), or the whole at once (`together`), by a model that was trained on such texts."""
    context: ContextConfig | None = None
    """Preceding sentences of the same document that are read with each; null reads each sentence alone."""
    matches: MatchConfig | None = None
    """The translation of a similar source is appended to each source; null reads each source alone. {} finds such matches in the training
    data. `data.limits.max_source_length` counts both."""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.matches is not None:
            self._check_matches()
        if self.context is None:
            return
        if self.source_factors:
            raise ValueError("`source_factors` must be left out with `context`, whose sentences have none.")
        if self.open_words:
            raise ValueError(f"`open_words` must be 0 with `context`, which has none, but is {self.open_words}.")
        if self.context.of == "both" and self.vocabulary is not None and self.vocabulary.kind == "pretrained":
            raise ValueError("`context.of` must be `source` with a `pretrained` tokenizer, which has no separator of its own.")

    def _check_matches(self) -> None:
        for name, beside in (("context", self.context), ("source_factors", self.source_factors), ("open_words", self.open_words)):
            if beside:
                raise ValueError(f"`{name}` must be left out with `matches`, which has no such thing.")
        if self.target_vocabulary is not None or (self.vocabulary is not None and self.vocabulary.kind == "pretrained"):
            raise ValueError("`matches` needs one learned `vocabulary` for both sides, since a match is a target that is read.")


@final
class Translation(TextPairs):
    """A text and the text to turn it into."""

    name = "translation"
    not_encoded = TextPairs.not_encoded | {"lines", "context"}  # with a context it is another task

    def __init__(self, settings: TranslationConfig):
        self._apart = settings.lines == "apart"
        own = settings.matches
        self.matches = None if own is None else Matches(own, settings.source, settings.target, apart=self._apart)
        super().__init__(settings)

    def more_symbols(self) -> tuple[str, ...]:
        """The separator of a source and its match."""
        return () if self.matches is None else (self.matches.settings.separator,)

    def open_file(self, file: FileConfig, base: Path, required: Sequence[str]) -> DocumentFolder | None:
        """The texts in a folder, as sources, split into lines; None for a file."""
        return open_documents(file, base, required, self.settings.source, as_written=self._apart)

    # ------------------------------------------------------------------------------------------------------------- matches

    def fit(self, records: Iterable[Record]) -> None:
        """Fit on the records, and keep them if matches are to be found in them."""
        super().fit(records)
        if self.matches is not None and self.matches.settings.stored:
            self.matches.remember(records)

    @property
    def lacks_memory(self) -> bool:
        """Whether matches are used, but there are no records yet to find them in."""
        return self.matches is not None and self.matches.memory is None

    def remember(self, records: Iterable[Record]) -> None:
        """Find matches among these records from now on, if matches are used. Raises DataError where none of them is a pair."""
        if self.matches is not None:
            self.matches.remember(records)

    def matched(self, splits: Mapping[str, Sequence[Records]]) -> Mapping[str, Sequence[Records]]:
        """The records of splits with their matches among those of `train`."""
        return splits if self.matches is None else self.matches.matched(splits)

    def in_order(self, records: Iterable[Any]) -> Iterator[Any]:
        """Each record or text with its match, if matches are used."""
        return iter(records) if self.matches is None else self.matches.of(records)

    def remarks(self, items: Sequence[Record]) -> Sequence[str]:
        """The number of items with a match, if matches are used."""
        if self.matches is None:
            return ()
        found = sum(bool(self.matches.text_of(item)) for item in items)
        return (f"{found:,} of {len(items):,} records were read with a match.",)

    def encode(self, record: Record, index: int = -1, *, seed: int | None = None) -> Example:
        """The record as symbols, the source followed by its match."""
        return self._with_match(super().encode(record, index, seed=seed), record)

    def encode_many(self, records: Sequence[tuple[int, Record]]) -> list[Example]:
        """`encode` for (index, record) pairs, faster."""
        if self.matches is None:
            return super().encode_many(records)
        if not all(self.settings.target in record for _, record in records):
            return [self.encode(record, index) for index, record in records]
        return [self._with_match(one, record) for one, (_, record) in zip(super().encode_many(records), records, strict=True)]

    def _with_match(self, example: Example, record: Record) -> Example:
        """The source with its match; an empty one stays empty. Raises DataError for a source that contains the separator."""
        if self.matches is None:
            return example
        if self.matches.settings.separator in text_of(record, self.settings.source):
            self.matches.refuse_separator(self.settings.source)
        match = self.matches.text_of(record)
        if not match or example.source.tolist() == [self.source_spec.end]:
            return example
        behind = (*self.source_text.phrase(self.matches.settings.separator)[-1:], *self.source_text.phrase(match))
        source = np.concatenate([example.source[:-1], behind, example.source[-1:]]).astype(np.int64)
        return replace(example, source=source)

    def word_places(self, record: Record) -> tuple[np.ndarray, np.ndarray]:
        """The word of each symbol of both sides; symbols of a match belong to no word."""
        read, said = super().word_places(record)
        return np.append(read, np.full(len(self.encode(record).source) - len(read), NO_WORD)), said

    def stream_text(self, model: Seq2SeqModel, search: Any, words: Iterable[str], record: Record) -> Iterator[Prediction]:
        """Like for every text. Raises ConfigError if matches are used, which need the whole source."""
        if self.matches is not None:
            raise ConfigError("`task.matches` must be left out for a stream of words, since a match is found for the whole source.")
        return super().stream_text(model, search, words, record)

    def save(self, folder: Path) -> None:
        """Write the vocabularies and tags, and the pairs to find matches in, if they are to be stored."""
        super().save(folder)
        if self.matches is not None and self.matches.settings.stored and self.matches.memory is not None:
            checkpoint.write_json(folder / _PAIRS, {"pairs": self.matches.memory.pairs()})

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        super().load(folder)
        if self.matches is not None and (folder / _PAIRS).exists():
            source, target = self.settings.source, self.settings.target
            self.matches.remember({source: one, target: other} for one, other in checkpoint.read_json(folder / _PAIRS)["pairs"])

    # --------------------------------------------------------------------------------------------------------------- lines

    def parts(self, record: Record) -> Sequence[Record]:
        """The record, or its lines. A prefix belongs to the first line.

        Raises DataError when something must be said, which cannot be asked of every line.
        """
        found = self._parts(record)
        if not found.lines:
            return (record,)
        if len(found.lines) > 1 and record.get("required"):
            raise DataError(
                f"`required` must be left out of a text of several lines, which are predicted one by one, but there are {len(found.lines)}."
                " Make each line an input, or set `task.lines: together`."
            )
        later = {name: value for name, value in record.items() if name != "prefix"}
        parts = [{**(later if place else record), self.settings.source: line} for place, line in enumerate(found.lines)]
        if self.matches is None or len(parts) == 1:
            return parts
        return [
            {**part, self.matches.settings.column: match}
            for part, match in zip(parts, self.matches.of_lines(record, len(parts)), strict=True)
        ]

    def joined(self, predictions: Sequence[Prediction], record: Record) -> Prediction:
        """The prediction for a record, from those of its lines."""
        return self._parts(record).joined(predictions)

    def _parts(self, record: Record) -> TextParts:
        text = text_of(record, self.settings.source)
        return TextParts.of(text) if self._apart else TextParts((text,), ("", ""))


def build(settings: TranslationConfig) -> Translation | DocumentTranslation:
    """The task: for sentences, or for sentences in documents."""
    if settings.context is None:
        return Translation(settings)
    return DocumentTranslation(settings, settings.context, apart=settings.lines == "apart")


TEMPLATE = """\
# Text to text. Point `data` at your files, name the columns in `task`, then:
#   antiphon inspect {file}        look at the data before you train
#   antiphon train {file} --out runs/translation
task:
  name: translation
  source: source                 # column with the source text
  target: target                 # column with the target text
  vocabulary: {{kind: unigram, size: auto}}   # one for both sides; word, character and byte are there too

data:
  train: train.tsv               # tsv, csv, jsonl, parquet; also .gz, .zst, or a list of files. Two files aligned by line:
                                 # {{source: train.en, target: train.de}}
  validation: 500                # a file, or so many records split off the training data
  # test: test.tsv
  limits: {{max_source_length: 200, max_target_length: 200}}   # in subwords; what is longer is dropped and counted

model:
  name: lstm                     # learns most in minutes; `transformer` in hours or with a GPU: change this one word
  dim: 256                       # or `preset: small` (tiny, base, big); any setting may be overridden
  tied_embeddings: all           # source, target and output share one matrix (joint vocabulary)

training:
  max_minutes: 10                # validations included; `antiphon inspect` says what fits into them. Or max_steps, max_epochs
  validate_every: auto           # ten times, evenly spread
  batching: {{target_tokens: auto}}   # what fits into memory, and is small enough for many updates; or a number
  optimizer: {{name: adamw, learning_rate: 3e-3}}   # 1e-3 for wide models
  schedule: {{name: cosine, warmup_steps: auto}}   # rises for a tenth of the budget, then falls to 0
  best: chrf                     # the checkpoint with the best validation chrF is kept

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
    build=build,
    metrics=("bleu", "chrf"),
    template=TEMPLATE,
    draft=draft,
)
