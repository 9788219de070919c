"""Text to text: a sentence and its translation, a word and its pronunciation, a date and its normal form."""

from typing import Annotated, Literal, final

from pydantic import Field

from antiphon.contracts.configuration import config
from antiphon.contracts.task import TaskPlugin
from antiphon.features.text_config import TextConfig
from antiphon.tasks.text_pairs import TextPairs, check_settings


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
    open_words: Annotated[int, Field(ge=0)] = 0
    """With one `vocabulary` of kind `word`: so many words of each source that the vocabulary does not have may be copied, by a model with
    `head: pointer`."""

    def __post_init__(self) -> None:
        check_settings(self)


@final
class Translation(TextPairs):
    """A text and what it is turned into."""

    name = "translation"


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
