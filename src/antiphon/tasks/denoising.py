"""Denoising: learns from plain text by restoring it. Parts of a text are masked, and the model predicts them.

A model that was trained so knows the language of the user's texts before it sees the first pair; `training.init_from` then starts a
translation or summarization from its weights, and `vocabulary: {run: ...}` from its vocabulary. `features/corruption.py` draws the noise.

Noise is drawn anew in each epoch, and this is done by `augment`, not by encoding the record again with a seed: a corrupted example can be
undone exactly, so the next epoch's is made of the stored one by a few cuts in an array. No text is cut into subwords twice, and the corpus
stores no records. Validation and test keep the noise they were stored with, which is drawn by the text itself: the same text is hidden
in the same places in every run, whatever stands around it.

A record with the field `noise_seed`, as `unfold` and `items` make them, is hidden by that seed. One without is read as it stands: its
masks are the user's, who wants them filled.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, final

import numpy as np
from pydantic import Field

from antiphon.contracts.configuration import config
from antiphon.contracts.feature import Feature
from antiphon.contracts.files import FileConfig
from antiphon.contracts.records import Record, Records
from antiphon.contracts.sequences import Example, Hypothesis, Prediction, Request
from antiphon.contracts.specs import TokenSpec
from antiphon.contracts.task import TaskPlugin
from antiphon.data.documents import DocumentFolder, open_documents
from antiphon.errors import ConfigError, DataError
from antiphon.features.corruption import Corruption, Infilling, Pieces, SpanCorruption
from antiphon.features.segmentation import SPACE_PIECE
from antiphon.features.text import TextFeature
from antiphon.features.text_config import TextConfig
from antiphon.features.vocabulary import END, START
from antiphon.tasks.example_per_record import ExamplePerRecord, of_each
from antiphon.tasks.text_requests import text_of

NOISE = "noise_seed"
_DENSITY = {"spans": 0.15, "infilling": 0.3}
_MASKS = 100
_START, _END = np.array([START]), np.array([END])


@config
class DenoisingConfig:
    """Which texts to learn from, and how they are masked."""

    name: Literal["denoising"] = "denoising"
    """The name of this task."""
    text: str | tuple[str, ...] = "text"
    """Column with the texts, or several columns, whose texts are learned separately."""
    weight: str | None = None
    """Column with the weight of each training record (such as a quality score): a number from 0 up; only the proportions matter. Null
    weights all equally."""
    scheme: Literal["spans", "infilling"] = "spans"
    """`spans`: each masked span has a mask of its own, and the output is the spans (T5, Raffel et al. 2020). `infilling`: there is one kind
    of mask, which may also be inserted where nothing is masked, and the output is the whole text (BART, Lewis et al. 2020): slower to
    train, and closer to summarization."""
    density: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The share of a text that is masked. Left out: 0.15 for `spans`, 0.3 for `infilling`."""
    mean_span_length: Annotated[float, Field(ge=1)] = 3.0
    """The mean length of a masked span in symbols; for `infilling` lengths have a Poisson distribution."""
    whole_words: bool = False
    """Mask whole words, never parts of them; `density` and `mean_span_length` then count words. Words are separated by spaces."""
    permute_sentences: bool = False
    """For `infilling` only: the sentences are shuffled in the input, and in the right order in the output."""
    masks: Annotated[int, Field(ge=1)] | None = None
    """For `spans` only: the number of masks, and so the greatest number of spans in a text; 100 when left out. They are symbols of the
    vocabulary."""
    mask_name: Annotated[str, Field(pattern=r"^[^\s<>]+$")] = "mask"
    """How a mask is written: `<mask_0>`, `<mask_1>` and so on for `spans`, `<mask>` for `infilling`. No text may hold one."""
    vocabulary: TextConfig | None = None
    """How texts are encoded as symbols; the masks are added to the vocabulary."""

    def __post_init__(self) -> None:
        if self.scheme == "spans" and self.permute_sentences:
            raise ValueError("`permute_sentences` has an effect only with `scheme: infilling`, but that is `spans`.")
        if self.scheme == "infilling" and self.masks is not None:
            raise ValueError("`masks` has an effect only with `scheme: spans`, but that is `infilling`, which has one mask.")
        if not self.columns or len(set(self.columns)) < len(self.columns):
            raise ValueError(f"`text` must name one column or several different ones, but is {list(self.columns)}.")
        if self.vocabulary is not None and self.vocabulary.kind == "pretrained":
            raise ValueError("`vocabulary.kind` must not be `pretrained`, since the masks are symbols that such a tokenizer lacks.")
        if self.vocabulary is not None and self.vocabulary.prefix:
            raise ValueError("`vocabulary.prefix` must be left out: every part of a text may be hidden.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns with texts."""
        return (self.text,) if isinstance(self.text, str) else self.text

    @property
    def mask_pieces(self) -> tuple[str, ...]:
        """The masks as written in texts."""
        if self.scheme == "infilling":
            return (f"<{self.mask_name}>",)
        return tuple(f"<{self.mask_name}_{number}>" for number in range(self.masks or _MASKS))


@final
class Denoising(ExamplePerRecord):
    """Texts with masked parts, and the parts that were masked."""

    name = "denoising"
    not_encoded = frozenset({"vocabulary"})

    def __init__(self, settings: DenoisingConfig):
        self.settings: DenoisingConfig = settings
        vocabulary = settings.vocabulary or TextConfig()
        self.target_text = TextFeature(replace(vocabulary, tags=tuple(dict.fromkeys((*settings.mask_pieces, *vocabulary.tags)))))
        self._corruption: Corruption
        self._is_mask: np.ndarray
        self._lone_space: int | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that records must have."""
        return self.settings.columns

    @property
    def source_columns(self) -> tuple[str, ...]:
        """The first of the columns: a text whose masks are to be filled."""
        return self.settings.columns[:1]

    @property
    def kept_together(self) -> tuple[str, ...]:
        """All texts of a record, since each is used in training."""
        return self.settings.columns

    @property
    def target_column(self) -> None:
        """None: targets are made from the same texts."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know after fitting."""
        return self.target_text.notes

    @property
    def samples_encodings(self) -> bool:
        """Whether `encode` with a seed samples one of several segmentations."""
        return self.target_text.sampling > 0

    @property
    def augments(self) -> bool:
        """True: each epoch masks different parts."""
        return True

    @property
    def source_spec(self) -> TokenSpec:
        """The vocabulary, which both sides share."""
        return self.target_text.spec

    @property
    def target_spec(self) -> TokenSpec:
        """The vocabulary, which both sides share."""
        return self.target_text.spec

    @property
    def features(self) -> tuple[Feature, ...]:
        """The text."""
        return (self.target_text,)

    def open_file(self, file: FileConfig, base: Path, required: Sequence[str]) -> DocumentFolder | None:
        """The texts in a folder; None for a file."""
        return open_documents(file, base, required, self.columns[0])

    def fit(self, records: Iterable[Record]) -> None:
        """Learn the vocabulary from all columns."""
        texts = of_each(records, lambda record: [text_of(record, column) for column in self.columns])
        self.target_text.fit(text for several in texts for text in several)
        self._prepare()

    def unfold(self, records: Records) -> Records:
        """A record for each text, with the seed of its noise."""
        return _Texts(records, self.columns, self.weight_column)

    def items(self, records: Iterable[Any], *, scored: bool = False) -> Iterator[Any]:
        """Texts whose masks are to be filled; with `scored`, texts to be masked, one for each column of a record."""
        if not scored:
            return iter(records)
        return (item for record in records for item in _unfolded(record, self.columns))

    def augment(self, example: Example, seed: int) -> Example:
        """The same text, masked in other places."""
        assert example.target is not None, "an example to learn from has a target"
        source, target = example.source.astype(np.int64)[:-1], example.target.astype(np.int64)[1:-1]
        text = self._corruption.restore(source, target)
        # Masks are left only where a limit has cut the target, and with it what they hid.
        return self._hidden(text[~self._is_mask[text]], seed, example.record)

    def encode(self, record: Record, index: int = -1, *, seed: int | None = None) -> Example:
        """A text as symbols: masked by `seed` or the record's own seed, or unmasked and without target when the record has none.

        Raises DataError when a text to learn from has a mask, or one to be filled has none.
        """
        text = text_of(record, self.columns[0])
        symbols = self.target_text.encode(text, seed=seed)
        if NOISE in record:
            return self._hidden(self._unmasked(symbols), record[NOISE] if seed is None else seed, index)
        return Example(np.concatenate((self._masked(symbols), _END)), None, index)

    def encode_many(self, records: Sequence[tuple[int, Record]]) -> list[Example]:
        """`encode` for (index, record) pairs, faster."""
        if any(NOISE not in record for _, record in records):
            return [self.encode(record, index) for index, record in records]
        encoded = self.target_text.encode_many([text_of(record, self.columns[0]) for _, record in records])
        return [
            self._hidden(self._unmasked(symbols), record[NOISE], index) for (index, record), symbols in zip(records, encoded, strict=True)
        ]

    def request(self, record: Record) -> Request:
        """An empty request: what is to be predicted is in the text."""
        return Request()

    def decode(self, hypotheses: Sequence[Hypothesis], example: Example) -> Prediction:
        """The text with its masks filled. For `spans`, `details["filled"]` gives the content of each mask; one without output stays."""
        best, *others = (self._prediction(hypothesis, example) for hypothesis in hypotheses)
        return Prediction(best.value, best.hypothesis, tuple(others), best.details)

    def baselines(self, items: Sequence[Any]) -> Mapping[str, Sequence[Any]]:
        """The text with its masks removed."""
        sources = (self.encode(item).source[:-1] for item in items)
        return {"left_out": [self.target_text.decode(source[~self._is_mask[source]]) for source in sources]}

    def source_of(self, record: Record) -> str:
        """The model's input for a record, formatted for display."""
        if NOISE not in record:
            return text_of(record, self.columns[0])
        return self.target_text.decode(self.encode(record).source)

    def reference(self, record: Record) -> str:
        """The whole text, as the vocabulary writes it: a model cannot restore what normalization has changed."""
        return self.target_text.decode(self.target_text.encode(text_of(record, self.columns[0])))

    def pieces(self, side: Literal["source", "target"], array: np.ndarray) -> list[str]:
        """Symbols as the vocabulary writes them."""
        return self.target_text.pieces(array)

    def save(self, folder: Path) -> None:
        """Write the vocabulary under the name that the source's has in every task."""
        (folder / "source").mkdir()
        self.target_text.save(folder / "source")

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        self.target_text.load(folder / "source")
        self._prepare()

    def _prepare(self) -> None:
        """Set up everything that depends on the vocabulary."""
        settings, spec = self.settings, self.source_spec
        pieces = self.target_text.pieces(np.arange(spec.size))
        symbols = {piece: symbol for symbol, piece in reversed(list(enumerate(pieces)))}  # of equal pieces the tag comes first
        missing = [piece for piece in settings.mask_pieces if piece not in symbols]
        if missing:
            raise ConfigError(f"`task.vocabulary` must have the masks of `task.scheme` as symbols, but lacks {', '.join(missing[:3])}.")
        masks = np.array([symbols[piece] for piece in settings.mask_pieces])
        self._is_mask = np.zeros(spec.size, dtype=bool)
        self._is_mask[masks] = True
        self._lone_space = symbols.get(SPACE_PIECE)
        density, length = settings.density or _DENSITY[settings.scheme], settings.mean_span_length
        table = Pieces(pieces, every=self.target_text.config.kind == "word")
        words = table if settings.whole_words else None
        if settings.scheme == "spans":
            self._corruption = SpanCorruption(masks, size=spec.size, density=density, mean_length=length, pieces=words)
        else:
            sentences = table if settings.permute_sentences else None
            self._corruption = Infilling(int(masks[0]), density=density, mean_length=length, sentences=sentences, pieces=words)

    def _hidden(self, symbols: np.ndarray, seed: int, index: int) -> Example:
        source, target = self._corruption.corrupt(symbols, seed)
        return Example(np.concatenate((source, _END)), np.concatenate((_START, target, _END)), index)

    def _unmasked(self, symbols: np.ndarray) -> np.ndarray:
        """The symbols of a training text, which must not contain masks: they could not be told from those of the noise."""
        found = symbols[self._is_mask[symbols]]
        if len(found):
            raise DataError(
                f"a text to learn from must not hold `{self.target_text.pieces(found[:1])[0]}`, which stands for what is hidden. Change"
                " the text, or choose another `task.mask_name`."
            )
        return symbols

    def _masked(self, symbols: np.ndarray) -> np.ndarray:
        """The symbols of a text with a user's masks, as noise would write it: the space before a mask belongs to the masked part."""
        is_mask = self._is_mask[symbols]
        if len(symbols) and self.settings.scheme == "spans" and not is_mask.any():
            raise DataError(f"the text must hold a mask to be filled, such as `{self.settings.mask_pieces[0]}`, but holds none.")
        if self._lone_space is None:
            return symbols
        before = np.append(is_mask[1:], False)
        kept: np.ndarray = symbols[~((symbols == self._lone_space) & before)]
        return kept

    def _prediction(self, hypothesis: Hypothesis, example: Example) -> Prediction:
        source, target = example.source[:-1], hypothesis.elements
        text = self.target_text.decode(self._corruption.restore(source, target))
        details: dict[str, Any] = {}
        if self.settings.scheme == "spans":
            filled = self._corruption.fillings(target)
            asked = [int(symbol) for symbol in source[self._is_mask[source]]]
            names = {symbol: self.target_text.pieces(np.array([symbol]))[0] for symbol in asked if symbol in filled}
            details["filled"] = {name: self.target_text.decode(filled[symbol]) for symbol, name in names.items()}
        if hypothesis.alignment is not None:
            details |= {"source_pieces": self.pieces("source", example.source), "target_pieces": self.pieces("target", target)}
        return Prediction(text, hypothesis, (), details)


@final
class _Texts(Records):
    """The single texts of other records, each a record with the seed of its noise."""

    def __init__(self, inner: Records, columns: tuple[str, ...], weight: str | None):
        self.inner, self.columns, self.weight = inner, columns, weight

    def __call__(self) -> Iterator[tuple[int, Record]]:
        for number, record in self.inner():
            try:
                items = list(_unfolded(record, self.columns, self.weight))
            except DataError as error:
                raise DataError(f"{self.inner.place(number)}: {error}") from error
            yield from ((number * len(self.columns) + place, item) for place, item in enumerate(items))

    def place(self, number: int) -> str:
        """The place of the record that contains the text."""
        return self.inner.place(number // len(self.columns))

    def label(self, number: int) -> str:
        """Like `place`, but quick."""
        return self.inner.label(number // len(self.columns))

    def signature(self) -> str:
        """Depends on the signature of the other source, and on the columns."""
        return f"{self.inner.signature()}:{','.join(self.columns)}{'' if self.weight is None else f':{self.weight}'}"


def _unfolded(record: Record, columns: tuple[str, ...], weight: str | None = None) -> Iterator[dict[str, Any]]:
    """A record for each text of a record, in the first column, with the record's weight, and a seed that depends only on the text."""
    kept = {weight: record[weight]} if weight is not None and weight in record else {}
    for column in columns:
        text = text_of(record, column)
        drawn = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=7).digest()
        yield {**kept, columns[0]: text, NOISE: int.from_bytes(drawn)}


TEMPLATE = """\
# Learn from plain text, before learning a task from pairs. Point `data` at your texts, then:
#   antiphon inspect {file}        look at the data before you train
#   antiphon train {file} --out runs/denoising
# and begin the recipe of a translation or summarization with what was learned:
#   task: {{..., vocabulary: {{run: runs/denoising}}}}
#   model: the same as here
#   training: {{init_from: runs/denoising, ...}}
task:
  name: denoising
  text: text                     # column with the texts, or several: [description, title]
  scheme: spans                  # hide spans, say them (T5); or infilling: say the whole text (BART)
  # density: 0.15                # the share that is hidden
  # whole_words: true
  vocabulary: {{kind: unigram, size: 8000}}   # word, character and byte are there too

data:
  train: texts.txt               # a text a line; or a column of tsv, csv, jsonl, parquet; also .gz, .zst, or a list of files
  validation: 500                # a file, or so many records split off the training data
  limits: {{max_source_length: 400, max_target_length: 400}}   # in subwords; what is longer is dropped and counted

model:
  name: transformer              # the architecture and sizes of the model that is to begin with these weights
  preset: small                  # tiny, small, base, big; any setting may be overridden
  tied_embeddings: all           # source, target and output share one matrix

training:
  max_epochs: 20
  batching: {{target_tokens: 4096}}
  optimizer: {{name: adamw, learning_rate: 1e-3}}
  schedule: {{name: cosine, warmup_steps: auto}}   # rises for a tenth of the budget, then falls to 0
  best: loss                     # the checkpoint with the lowest validation loss is kept
  patience: 5

search:
  name: beam
  beam_size: 5

evaluation:
  metrics: [exact_match, chrf]   # of the mended text; loss and perplexity say more
"""

plugin = TaskPlugin(
    name="denoising",
    summary="Plain text with masked parts: pre-training by span corruption (T5) or text infilling (BART).",
    Config=DenoisingConfig,
    build=Denoising,
    metrics=("exact_match", "chrf"),
    template=TEMPLATE,
)
