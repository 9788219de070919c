"""The settings of summarization, and a recipe to start from."""

from typing import Annotated, Literal

from pydantic import Field

from antiphon.contracts.configuration import config
from antiphon.features.text_config import TextConfig
from antiphon.tasks.source_factors import FactorConfig
from antiphon.tasks.summarization.baselines import EVERY, SummaryBaseline
from antiphon.tasks.text_pairs_config import check_settings


@config
class SummarizationConfig:
    """Which columns hold document and summary, and how texts are encoded."""

    name: Literal["summarization"] = "summarization"
    """The name of this task."""
    source: str = "document"
    """Column with the document."""
    target: str = "summary"
    """Column with its summary."""
    vocabulary: TextConfig | None = None
    """One vocabulary for both sides. Give either this, or `source_vocabulary` and `target_vocabulary`; the default is a joint one."""
    source_vocabulary: TextConfig | None = None
    """Vocabulary of the documents."""
    target_vocabulary: TextConfig | None = None
    """Vocabulary of the summaries."""
    source_prefix: str = ""
    """Text put before every document, such as `summarize: `."""
    target_prefix: str = ""
    """Text that begins every target summary; predictions are forced to begin with it, and it is removed from them."""
    tags: tuple[str, ...] = ()
    """Columns whose values (a kind, a section) become one symbol each before the document."""
    source_factors: dict[str, FactorConfig] | None = None
    """Further columns with a value for each word of the source (its part of speech, whether it was capitalized), and how each is combined
    with the encoder's embeddings, such as {pos: {combine: concat, dim: 32}, case: {}} (Sennrich and Haddow 2016)."""
    weight: str | None = None
    """Column with the weight of each training record (such as a quality score): a number from 0 up; only the proportions matter. Null
    weights all equally."""
    alignment: str | None = None
    """Column with word alignments, such as `0-0 1-2` (Pharaoh's format: source words by target words, from 0, separated by white space), on
    which attention is trained with `training.loss.guided_alignment`."""
    open_words: Annotated[int, Field(ge=0)] = 100
    """With one `vocabulary` of kind `word`: this many words of each document outside of the vocabulary may be copied, by a model with
    `head: pointer`."""
    length_classes: Annotated[int, Field(ge=0)] = 0
    """Learn this many classes of summary length, in words, so that a length can be requested; 0 learns none, 5 to 10 are usual."""
    length: Annotated[int, Field(ge=1)] | None = None
    """The approximate number of words of a summary, unless a record's field `length` gives one; null means the usual length. Needs
    `length_classes`."""
    baselines: tuple[SummaryBaseline, ...] = EVERY
    """Baselines that an evaluation scores beside the model: the first words, the first sentence, and the sentences of the document that
    together are closest to the reference (an oracle, which knows the answer). `[]` means none."""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.length_classes == 1:
            raise ValueError("`length_classes` must be 0 or at least 2, since one class says nothing, but is 1.")
        if self.length is not None and not self.length_classes:
            raise ValueError("`length` has an effect only with `length_classes`. For a hard limit use `search.limits`.")
        if self.length_classes and self.vocabulary is not None and self.vocabulary.kind == "pretrained":
            raise ValueError("`length_classes` must be 0 with a `pretrained` tokenizer, to which no pieces can be added.")


TEMPLATE = """\
# Long text to short text. Point `data` at your files, name the columns in `task`, then:
#   antiphon inspect {file}        look at the data before you train
#   antiphon train {file} --out runs/summarization
task:
  name: summarization
  source: document               # column with the document
  target: summary                # column with its summary
  vocabulary: {{kind: word, punctuation: split, size: auto}}   # or unigram, which needs no copying of unknown words
  # length_classes: 8            # learn about how long a summary is to be; then set `task.length`, or `length` in a record

data:
  train: train.jsonl             # tsv, csv, jsonl, parquet; also .gz, .zst, or a list of files. Two files aligned by line:
                                 # {{source: documents.txt, target: summaries.txt}}
  validation: 500                # a file, or so many records split off the training data
  # test: test.jsonl
  limits: {{max_source_length: 200, too_long: truncate}}   # in words or subwords: what is said first says most; null reads all

model:
  name: lstm                     # or transformer: change this one word
  preset: tiny                   # small, base and big for hours or a GPU
  head: pointer                  # write words of the document that the vocabulary does not have
  tied_embeddings: all
  coverage: true                 # lstm only: see what was attended to, against repetition
  # for long documents: name transformer, `window: 128` or `chunk_length: 512`

training:
  loss: {{name: pointer, coverage: 0.5}}
  max_minutes: 10                # validations included; `antiphon inspect` says what fits into them. Or max_steps, max_epochs
  validate_every: auto           # ten times, evenly spread
  batching: {{target_tokens: auto}}   # what fits into memory, and is small enough for many updates; or a number
  optimizer: {{name: adamw, learning_rate: 3e-3}}   # 1e-3 for wide models
  schedule: {{name: cosine, warmup_steps: auto}}   # rises for a tenth of the budget, then falls to 0
  best: rouge_l                  # the checkpoint with the best validation ROUGE-L is kept

search:
  name: beam
  beam_size: 4
  processors: {{no_repeat_ngram_size: 3, allow_unknown: false}}
  limits: {{max_length: 100, max_ratio: 1.0}}

evaluation:
  metrics: [rouge1, rouge2, rouge_l, novelty_2, repetition, length_ratio]
"""
