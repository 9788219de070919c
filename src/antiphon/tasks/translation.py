"""Text to text: a sentence and its translation, a word and its pronunciation, a date and its normal form."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, final

from pydantic import Field

from antiphon.contracts.configuration import config
from antiphon.contracts.files import FileConfig
from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Prediction
from antiphon.contracts.task import TaskPlugin
from antiphon.data.documents import DocumentFolder, open_documents
from antiphon.errors import DataError
from antiphon.features.text_config import TextConfig
from antiphon.tasks.document_context import ContextConfig
from antiphon.tasks.document_translation import DocumentTranslation
from antiphon.tasks.source_factors import FactorConfig
from antiphon.tasks.text_pairs import TextPairs
from antiphon.tasks.text_pairs_settings import check_settings
from antiphon.tasks.text_parts import TextParts
from antiphon.tasks.text_requests import text_of


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
    source_factors: dict[str, FactorConfig] | None = None
    """Further columns with a value for each word of the source (its part of speech, whether it was capitalized), and how each joins the
    vectors of the encoder, such as {pos: {combine: concat, dim: 32}, case: {}} (Sennrich and Haddow 2016)."""
    weight: str | None = None
    """Column with how much each record to learn from counts (a score of quality): a number from 0 up, of which only the proportions matter.
    Null counts all alike."""
    alignment: str | None = None
    """Column with alignments of words, as `0-0 1-2` (Pharaoh's format: words of the source by words of the target, from 0, parted by white
    space), that attention learns from with `training.loss.guided_alignment`."""
    open_words: Annotated[int, Field(ge=0)] = 0
    """With one `vocabulary` of kind `word`: so many words of each source that the vocabulary does not have may be copied, by a model with
    `head: pointer`."""
    lines: Literal["apart", "together"] = "apart"
    """How a text of several lines is predicted: each line by itself, with line ends, blank lines and the blanks at its edges kept as they
    are, or the whole at once (`together`), by a model that has learned from such texts."""
    context: ContextConfig | None = None
    """Sentences of the same document that are read before each; null reads each sentence by itself."""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.context is None:
            return
        if self.source_factors:
            raise ValueError("`source_factors` must be left out with `context`, whose sentences have none.")
        if self.open_words:
            raise ValueError(f"`open_words` must be 0 with `context`, which has none, but is {self.open_words}.")
        if self.context.of == "both" and self.vocabulary is not None and self.vocabulary.kind == "pretrained":
            raise ValueError("`context.of` must be `source` with a `pretrained` tokenizer, which has no separator of its own.")


@final
class Translation(TextPairs):
    """A text and what it is turned into."""

    name = "translation"
    not_encoded = TextPairs.not_encoded | {"lines", "context"}  # with a context it is another task

    def __init__(self, settings: TranslationConfig):
        self._apart = settings.lines == "apart"
        super().__init__(settings)

    def open_file(self, file: FileConfig, base: Path, required: Sequence[str]) -> DocumentFolder | None:
        """The texts of a folder, which are sources, with the lines that they have; nothing where a file is meant."""
        return open_documents(file, base, required, self.settings.source, as_written=self._apart)

    def parts(self, record: Record) -> Sequence[Record]:
        """The record, or its lines. An opening is that of the first line.

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
        return [{**(later if place else record), self.settings.source: line} for place, line in enumerate(found.lines)]

    def joined(self, predictions: Sequence[Prediction], record: Record) -> Prediction:
        """The prediction for a record, from those of its lines."""
        return self._parts(record).joined(predictions)

    def _parts(self, record: Record) -> TextParts:
        text = text_of(record, self.settings.source)
        return TextParts.of(text) if self._apart else TextParts((text,), ("", ""))


def build(settings: TranslationConfig) -> Translation | DocumentTranslation:
    """The task: of sentences, or of sentences in documents."""
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
    build=build,
    metrics=("bleu", "chrf"),
    template=TEMPLATE,
)
