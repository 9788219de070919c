"""Plain text for language models, which give the probability of a text, generate texts, or support another model's search.

The target is the text. Of the source there is nothing to say, so it is always the same: one symbol, of a vocabulary that has no other. With
it language models go through the same corpus, trainer and searches as every task.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from antiphon.contracts.configuration import config
from antiphon.contracts.feature import Feature
from antiphon.contracts.files import FileConfig
from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Example, Hypothesis, Prediction, Request
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.task import TaskPlugin
from antiphon.data.documents import DocumentFolder, open_documents
from antiphon.features.text import TextFeature
from antiphon.features.text_config import TextConfig
from antiphon.features.vocabulary import END, PAD, START, UNKNOWN
from antiphon.tasks.example_per_record import ExamplePerRecord, of_each
from antiphon.tasks.text_requests import text_of, text_request

_START, _END = np.array([START]), np.array([END])
_NOTHING = np.array([END + 1])  # the source
_NOTHING_SHOWN = "(nothing)"


@config
class LanguageModelingConfig:
    """Which texts to learn from."""

    name: Literal["language_modeling"] = "language_modeling"
    """The name of this task."""
    text: str = "text"
    """Column with the texts; each is learned as a whole."""
    weight: str | None = None
    """Column with the weight of each training record (such as a quality score): a number from 0 up; only the proportions matter. Null
    weights all equally."""
    vocabulary: TextConfig | None = None
    """How texts are encoded as symbols. For a language model that is used in another model's search: `{run: PATH}` of the other."""

    def __post_init__(self) -> None:
        if self.vocabulary is not None and self.vocabulary.kind == "pretrained":
            raise ValueError("`vocabulary.kind` must not be `pretrained`: give a kind of your own, or the vocabulary of a `run`.")
        if self.vocabulary is not None and self.vocabulary.prefix:
            raise ValueError("`vocabulary.prefix` must be left out: nothing stands before a text but its beginning.")


@final
class LanguageModeling(ExamplePerRecord):
    """Texts without a source."""

    name = "language_modeling"
    not_encoded = frozenset({"vocabulary"})

    def __init__(self, settings: LanguageModelingConfig):
        self.settings: LanguageModelingConfig = settings
        self.target_text = TextFeature(settings.vocabulary or TextConfig())

    @property
    def columns(self) -> tuple[str, ...]:
        """The column that training records must have."""
        return (self.settings.text,)

    @property
    def source_columns(self) -> tuple[str, ...]:
        """The column of records to predict, or of a plain line: how the text begins, which may be empty."""
        return ("prefix",)

    @property
    def target_column(self) -> str:
        """The column with the texts."""
        return self.settings.text

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know after fitting."""
        return self.target_text.notes

    @property
    def samples_encodings(self) -> bool:
        """Whether `encode` with a seed samples one of several segmentations."""
        return self.target_text.sampling > 0

    @property
    def source_spec(self) -> TokenSpec:
        """A single symbol without meaning."""
        return TokenSpec(END + 2, PAD, UNKNOWN, START, END, "nothing")

    @property
    def target_spec(self) -> TokenSpec:
        """The vocabulary."""
        return self.target_text.spec

    @property
    def features(self) -> tuple[Feature, ...]:
        """The text."""
        return (self.target_text,)

    def open_file(self, file: FileConfig, base: Path, required: Sequence[str]) -> DocumentFolder | None:
        """The texts in a folder; None for a file."""
        return open_documents(file, base, required, self.settings.text)

    def fit(self, records: Iterable[Record]) -> None:
        """Learn the vocabulary."""
        self.target_text.fit(of_each(records, self.reference))

    def encode(self, record: Record, index: int = -1, *, seed: int | None = None) -> Example:
        """A text as symbols; without a target when the record has none."""
        if self.settings.text not in record:
            return Example(_NOTHING, None, index)
        return self._example(self.target_text.encode(self.reference(record), seed=seed), index)

    def encode_many(self, records: Sequence[tuple[int, Record]]) -> list[Example]:
        """`encode` for (index, record) pairs, faster."""
        if not all(self.settings.text in record for _, record in records):
            return [self.encode(record, index) for index, record in records]
        found = self.target_text.encode_many([self.reference(record) for _, record in records])
        return [self._example(symbols, index) for (index, _), symbols in zip(records, found, strict=True)]

    def request(self, record: Record) -> Request:
        """From the optional fields `prefix` (how the text begins), `required`, `banned` and `hot_words` (a text or a list of texts)."""
        return text_request(record, lambda _: self.target_text.phrase, self.target_spec.unknown)

    def decode(self, hypotheses: Sequence[Hypothesis], example: Example) -> Prediction:
        """The best hypothesis as text, with its given beginning; the others as alternatives."""
        best, *others = (Prediction(self.target_text.decode(one.elements), one) for one in hypotheses)
        return Prediction(best.value, best.hypothesis, tuple(others))

    def source_of(self, record: Record) -> str:
        """The given beginning of the text."""
        return str(record.get("prefix") or "") or _NOTHING_SHOWN

    def reference(self, record: Record) -> str:
        """The text."""
        return text_of(record, self.settings.text)

    def pieces(self, side: Literal["source", "target"], array: np.ndarray) -> list[str]:
        """Symbols as the vocabulary writes them."""
        return [_NOTHING_SHOWN] * len(array) if side == "source" else self.target_text.pieces(array)

    def save(self, folder: Path) -> None:
        """Write the vocabulary."""
        self.target_text.save(folder / "target")

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        self.target_text.load(folder / "target")

    def _example(self, symbols: np.ndarray, index: int) -> Example:
        return Example(_NOTHING, np.concatenate((_START, symbols, _END)).astype(np.int64), index)


def defaults(settings: LanguageModelingConfig, stepwise: bool) -> dict[str, Any]:
    """Texts are sampled, without a length limit; a few are shown during training."""
    return {"search": {"name": "sampling", "limits": {"max_offset": 200}}, "training": {"validation_records": 5}}


TEMPLATE = """\
# A language model: learns how texts go on. It writes texts, and helps the search of another model (`search.language_model`). Point `data`
# at texts, then:
#   antiphon inspect {file}        look at the data before you train
#   antiphon train {file} --out runs/language
#   antiphon predict runs/language                  each line is how a text begins
task:
  name: language_modeling
  text: text                     # column with the texts
  vocabulary: {{kind: unigram, size: auto}}   # or {{run: runs/speech}}, that of the model to be helped

data:
  train: texts.txt               # a text a line; or a column of tsv, csv, jsonl, parquet; also .gz, .zst, or a list of files
  validation: 500                # a file, or so many records split off the training data
  limits: {{max_target_length: 400}}   # in subwords; what is longer is dropped and counted

model:
  name: decoder_only
  preset: small                  # tiny, small, base; any setting may be overridden

training:
  max_epochs: 20
  batching: {{target_tokens: 4096}}
  optimizer: {{name: adamw, learning_rate: 1e-3}}
  schedule: {{name: cosine, warmup_steps: auto}}   # rises for a tenth of the budget, then falls to 0
  best: loss                     # its exponential is the perplexity
  patience: 5

search:
  name: sampling
  top_p: 0.9
"""

plugin = TaskPlugin(
    name="language_modeling",
    summary="Plain text: language models, which continue a text, or are used in another model's search.",
    Config=LanguageModelingConfig,
    build=LanguageModeling,
    template=TEMPLATE,
    defaults=defaults,
)
