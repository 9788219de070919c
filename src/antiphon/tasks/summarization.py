"""Long text to short text: a document and its summary, an article and its headline, a description and its synopsis.

What it adds to a pair of texts: references know their documents, so that metrics can say what is new and what is copied; simple summaries
stand beside every score (the first words, the first sentence, the best sentences that an oracle would take); words that the vocabulary
does not have can be copied; and a summary can be asked to have about so many words.

Unusual: length is learned, not forced. Every training document begins with a symbol for the class of its summary's length, the classes
holding about equally many summaries (Fan, Grangier and Auli 2018); at prediction the wish chooses the class. Hard limits are the search's.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, final

from pydantic import Field

from antiphon import checkpoint
from antiphon.configuration import config
from antiphon.errors import ConfigError, DataError
from antiphon.features.text_config import TextConfig
from antiphon.interfaces import Record, TaskPlugin
from antiphon.metrics.sourced import SourcedText
from antiphon.metrics.words import words
from antiphon.tasks.summary_baselines import summary_baselines
from antiphon.tasks.text_pairs import TextPairs, check_settings, text_of

_LENGTHS = "lengths.json"


@config
class SummarizationConfig:
    """Which columns hold document and summary, and how texts become symbols."""

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
    """Text that every summary begins with; predictions are forced to begin with it, and it is removed from them."""
    tags: tuple[str, ...] = ()
    """Columns whose values (a kind, a section) become one symbol each in front of the document."""
    open_words: Annotated[int, Field(ge=0)] = 100
    """With one `vocabulary` of kind `word`: so many words of each document that the vocabulary does not have may be copied, by a model
    with `head: pointer`."""
    length_classes: Annotated[int, Field(ge=0)] = 0
    """Learn so many classes of summary length, in words, so that a length can be asked for; 0 learns none, 5 to 10 are usual."""
    length: Annotated[int, Field(ge=1)] | None = None
    """About how many words a summary is to have, where a record's field `length` does not say; null is the usual length. Needs
    `length_classes`."""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.length_classes == 1:
            raise ValueError("`length_classes` must be 0 or at least 2, since one class says nothing, but is 1.")
        if self.length is not None and not self.length_classes:
            raise ValueError("`length` has an effect only with `length_classes`. For a hard limit use `search.limits`.")
        if self.length_classes and self.vocabulary is not None and self.vocabulary.kind == "pretrained":
            raise ValueError("`length_classes` must be 0 with a `pretrained` tokenizer, whose pieces are what they are.")


@final
class Summarization(TextPairs):
    """A document and its summary."""

    name = "summarization"

    def __init__(self, settings: SummarizationConfig):
        self.lengths = settings
        self.bounds: tuple[int, ...] = ()
        super().__init__(settings)

    def fit(self, records: Iterable[Record]) -> None:
        """Learn the vocabularies and the classes of length. `records` must be iterable several times."""
        if self.lengths.length_classes:
            self.bounds = self._learn_bounds(records)
        super().fit(records)

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same record would be encoded differently."""
        return "|".join((super().fingerprint, *map(str, self.bounds)))

    @property
    def notes(self) -> tuple[str, ...]:
        """What fitting wants the user to know."""
        if not self.bounds:
            return super().notes
        classes = [f"up to {bound}" for bound in self.bounds] + [f"above {self.bounds[-1]}"]
        return (*super().notes, f"Summaries have one of {len(classes)} classes of length, in words: {', '.join(classes)}.")

    def lead(self, record: Record) -> tuple[str, ...]:
        """The class of length, then the tags. A record to learn from has the length of its summary, any other the one that is wished."""
        if not self.lengths.length_classes:
            return super().lead(record)
        return (self.more_symbols()[self._length_class(record)], *super().lead(record))

    def more_symbols(self) -> tuple[str, ...]:
        """The symbols of the classes of length."""
        return tuple(f"<length_{number + 1}>" for number in range(self.lengths.length_classes))

    def reference(self, record: Record) -> str:
        """The summary, which knows its document."""
        return SourcedText(super().reference(record), self.source_of(record))

    def baselines(self, items: Sequence[Any]) -> Mapping[str, Sequence[str]]:
        """The first words, the first sentence, and the sentences that come closest to the reference."""
        return summary_baselines([self.source_of(item) for item in items], [[super(Summarization, self).reference(item)] for item in items])

    def save(self, folder: Path) -> None:
        """Write the vocabularies, tags and classes of length."""
        super().save(folder)
        if self.bounds:
            checkpoint.write_json(folder / _LENGTHS, {"bounds": list(self.bounds)})

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        if self.lengths.length_classes:
            self.bounds = tuple(checkpoint.read_json(folder / _LENGTHS)["bounds"])
        super().load(folder)

    def _learn_bounds(self, records: Iterable[Record]) -> tuple[int, ...]:
        """The most words of each class but the last, such that the classes hold about equally many summaries."""
        counts = sorted(len(words(text_of(record, self.settings.target))) for record in records)
        wanted = self.lengths.length_classes
        places = [len(counts) * number // wanted for number in range(1, wanted)] if counts else []
        bounds = tuple(counts[max(place - 1, 0)] for place in places)
        if len(set(bounds)) < wanted - 1:
            found = len(set(counts))
            raise ConfigError(
                f"`task.length_classes` must be fewer, since the summaries have only {found} different lengths in words, too unevenly"
                f" spread for {wanted} classes. Set it to 0 or to a smaller number."
            )
        return bounds

    def _length_class(self, record: Record) -> int:
        if record.get(self.settings.target) is not None:
            wanted = len(words(text_of(record, self.settings.target)))
        else:
            wish = record.get("length", self.lengths.length)
            if wish is None:
                return self.lengths.length_classes // 2
            if isinstance(wish, bool) or not (isinstance(wish, int) or (isinstance(wish, str) and wish.isdigit())) or int(wish) < 1:
                raise DataError(f"`length` must be a number of words, at least 1, but is {wish!r}.")
            wanted = int(wish)
        return bisect_right(self.bounds, wanted - 1)


TEMPLATE = """\
# Long text to short text. Point `data` at your files, name the columns in `task`, then:
#   antiphon inspect {file}        look at the data before you train
#   antiphon train {file} --out runs/summarization
task:
  name: summarization
  source: document               # column with the document
  target: summary                # column with its summary
  vocabulary: {{kind: word, punctuation: split, size: 20000}}   # or unigram, which needs no copying of unknown words
  # length_classes: 8            # learn about how long a summary is to be; then set `task.length`, or `length` in a record

data:
  train: train.jsonl             # tsv, csv, jsonl, parquet; also .gz, .zst, or a list of files
  validation: 500                # a file, or so many records split off the training data
  # test: test.jsonl
  limits: {{max_source_length: 400, too_long: truncate}}   # in words or subwords; what is cut is counted. null reads all

model:
  name: lstm                     # or transformer: change this one word
  preset: small
  head: pointer                  # write words of the document that the vocabulary does not have
  tied_embeddings: all
  coverage: true                 # lstm only: see what was attended to, against repetition
  # for long documents: name transformer, `window: 128` or `chunk_length: 512`

training:
  loss: {{name: pointer, coverage: 0.5}}
  max_epochs: 20
  batching: {{target_tokens: 1024}}
  optimizer: {{name: adamw, learning_rate: 1e-3}}
  schedule: {{name: inverse_square_root, warmup_steps: 500}}
  best: rouge_l                  # the checkpoint with the best validation ROUGE-L is kept
  patience: 5

search:
  name: beam
  beam_size: 4
  processors: {{no_repeat_ngram_size: 3, allow_unknown: false}}
  limits: {{max_length: 100, max_ratio: 1.0}}

evaluation:
  metrics: [rouge1, rouge2, rouge_l, novelty_2, repetition, length_ratio]
"""

plugin = TaskPlugin(
    name="summarization",
    summary="Long text to short text: summaries, headlines, synopses; with copying, length classes and lead baselines.",
    Config=SummarizationConfig,
    build=Summarization,
    metrics=("rouge1", "rouge2", "rouge_l"),
    template=TEMPLATE,
)
