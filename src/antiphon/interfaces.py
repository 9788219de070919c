"""The contracts between the parts. Read this file first: everything else implements one of these.

A model learns about data only through its source and target spec. A search sees only `StepwiseModel`. A loss sees an output and labels.
They meet in `recipe.py`. The contract of metrics is in `metrics/interface.py`, since it must not
import torch.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from antiphon.sequences import Example, Frames, Hypothesis, Memory, Output, Padded, Prediction, Request

Record = Mapping[str, Any]
"""One row of the user's data: column name -> value."""


RecordSource = Callable[[], Iterator[tuple[int, Record]]]
"""Opens the records anew: (record number, record)."""


# ----------------------------------------------------------------------------------------------------------------- specs


@dataclass(frozen=True)
class TokenSpec:
    """A sequence of symbols out of `size`. `fingerprint` tells vocabularies apart: equal ones may share embeddings.

    `open_words` are the symbols from `size` on: words of one source that the vocabulary does not have, numbered within that source. A
    model may copy them; to everything else they are unknown. `word_starts` (size,) says which symbols begin a word, where that is known.

    Of published models: `suppressed` symbols are not to be said, `suppressed_first` ones not first, and a decoder reads at most `length`
    symbols, the start included.
    """

    size: int
    pad: int
    unknown: int
    start: int
    end: int
    fingerprint: str = ""
    open_words: int = 0
    word_starts: np.ndarray | None = field(default=None, compare=False, repr=False)
    suppressed: tuple[int, ...] = field(default=(), compare=False, repr=False)
    suppressed_first: tuple[int, ...] = field(default=(), compare=False, repr=False)
    length: int | None = field(default=None, compare=False, repr=False)

    @property
    def says_nothing(self) -> bool:
        """Whether there is at most one symbol beside the special ones, as in the sources of language models."""
        return self.size <= max(self.pad, self.unknown, self.start, self.end) + 2

    def known(self, symbols: Tensor) -> Tensor:
        """Symbols of any shape with the unknown symbol in place of open words."""
        return symbols.masked_fill(symbols >= self.size, self.unknown) if self.open_words else symbols


@dataclass(frozen=True)
class ValueSpec:
    """A sequence of real numbers, `channels` at each step.

    Of a target, `channels` are said by the model; `known` more stand beside them in what the decoder reads, and are known in advance
    (the weekday, a price): an element is (channels + known,) wide, a label (channels,).

    `length` is the most steps that a sequence has, or None for any: what a model with maps of a fixed size is built for. Specs that
    differ in nothing else are equal.

    Of a source, `marks` channels behind the first as many say which of those were observed (1), and which only filled in (0).

    `kind` is the name of what the values are, where there is one, for a published model that reads nothing else.
    """

    channels: int
    known: int = 0
    length: int | None = field(default=None, compare=False)
    marks: int = 0
    kind: str = field(default="", compare=False, repr=False)

    @property
    def width(self) -> int:
        """Numbers at each step of an input."""
        return self.channels + self.known


Spec = TokenSpec | ValueSpec


# ---------------------------------------------------------------------------------------------------------------- models


class Seq2SeqModel(nn.Module, ABC):
    """Encode a source, decode a whole target at once. CTC models and direct forecasters need no more than this."""

    source: Spec
    target: Spec
    stored: frozenset[str] | None = None
    """Names of the weights that checkpoints hold, where `Architecture.borrow` brings back the others; None is all."""

    @abstractmethod
    def encode(self, source: Padded) -> Memory:
        """Read the source: values (B, S) symbols or (B, S, C) channels. Padding never changes the memory's real part."""

    @abstractmethod
    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """Say all steps at once: output step t sees inputs up to t only. `attention` asks for the weights over the source."""

    def frames(self, memory: Memory) -> Frames | None:
        """What the model says of each state of the memory, for CTC; None where it says nothing of them."""
        return None

    @property
    def stride(self) -> int:
        """Elements of the source for one state of the memory."""
        return 1

    def own_weights(self) -> dict[str, Tensor]:
        """What a checkpoint of this model holds: all of its state, or what is `stored` of it."""
        return {name: tensor for name, tensor in self.state_dict().items() if self.stored is None or name in self.stored}

    def forward(self, source: Padded, inputs: Padded) -> Output:
        """`decode(inputs, encode(source))` and nothing else."""
        return self.decode(inputs, self.encode(source))


class StepwiseModel(Seq2SeqModel):
    """A model that can also decode one element at a time. `step` repeated gives what `decode` gives.

    The memory has B rows, the state and `last` have R = B * W rows: the W hypotheses of source b are rows b * W to b * W + W - 1.
    """

    def project(self, memory: Memory) -> Memory:
        """Compute what the decoder needs of the memory at every step, once per source (cross-attention keys and values)."""
        return memory

    @abstractmethod
    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> Any:
        """The state before the first step, R = B * beam_size rows, with buffers for at most `max_length` steps."""

    @abstractmethod
    def step(self, last: Tensor, memory: Memory, state: Any, *, attention: bool = False) -> tuple[Output, Any]:
        """Say one element for each row: `last` is (R,) symbols or (R, C) values; the output's features are (R, D).

        The state given may be used up (its buffers re-used for the state returned): keep `map_tensors(torch.clone, state)` to go back.
        """


@dataclass(frozen=True)
class Architecture:
    """What a file in `models/` defines as `plugin`.

    `build(config, source, target)` makes the model, a `StepwiseModel` unless `stepwise` is False. `revision` is raised when a weight is
    renamed or its meaning changes; `upgrade` turns the tensors and config of an older revision into today's. `presets` are named settings
    that a recipe may start from. `defaults(config)` are settings of the recipe that fit the model's own (the loss of a model without
    decoder); they are used where a recipe does not say.

    Of an architecture that begins with weights made elsewhere, `resolve(config, earlier)` fills in what it must remember of them, so that
    `build` needs them no more (of a run that is resumed, `earlier` has it already), and `start(model, config)` puts them into a new run's
    model and says what it did. Where checkpoints leave such weights out (`Seq2SeqModel.own_weights`), `borrow(model, config)` puts them
    into the model of a checkpoint, or raises CheckpointError when they are no longer those that the run began with.
    """

    name: str
    summary: str
    Config: type[Any]
    build: Callable[[Any, Spec, Spec], Seq2SeqModel]
    stepwise: bool = True
    revision: int = 1
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    defaults: Callable[[Any], Mapping[str, Any]] | None = None
    resolve: Callable[[Any, Any], Any] | None = None
    start: Callable[[Any, Any], Sequence[str]] | None = None
    borrow: Callable[[Any, Any], None] | None = None
    upgrade: Callable[[int, dict[str, Tensor], dict[str, Any]], tuple[dict[str, Tensor], dict[str, Any]]] | None = None


# --------------------------------------------------------------------------------------------------- heads, losses, search


@dataclass(frozen=True)
class HeadPlugin:
    """What a file in `heads/` defines as `plugin`.

    `build(config, target, dim, tied)` makes the head, (..., D) -> values: logits (..., V), points (..., C), a torch Distribution with
    batch shape (..., C), or `Quantiles`. `loss` names the loss that such values are natural for.
    """

    name: str
    summary: str
    Config: type[Any]
    build: Callable[[Any, Spec, int, nn.Parameter | None], nn.Module]
    loss: str


Loss = Callable[[Output, Padded], Float[Tensor, "B T"]]
"""One number per element, never reduced and not masked: the training step multiplies by the mask and divides by the global count."""


@dataclass(frozen=True)
class LossPlugin:
    """What a file in `losses/` defines as `plugin`.

    `build(config, target)` makes the loss to train with; `measure(config, target)` the one to report on validation data, without what
    only helps training (smoothing), so that runs compare.
    """

    name: str
    summary: str
    Config: type[Any]
    build: Callable[[Any, Spec], Loss]
    measure: Callable[[Any, Spec], Loss]


@runtime_checkable
class Search(Protocol):
    """Turns memories into hypotheses, knowing only the step."""

    def __call__(self, model: Any, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        """Decode a batch with a StepwiseModel, or any Seq2SeqModel if the plug-in says so: each source's hypotheses, best first."""
        ...


@dataclass(frozen=True)
class SearchPlugin:
    """What a file in `search/` defines as `plugin`. `build(config)` makes the search.

    `stepwise` says whether it needs a model that decodes step by step.
    """

    name: str
    summary: str
    Config: type[Any]
    build: Callable[[Any], Search]
    stepwise: bool = True


# ------------------------------------------------------------------------------------------------------ features and tasks


class Feature(ABC):
    """Values of one column <-> arrays. The constructor stores settings, `fit` learns from data, `save` keeps what was learned."""

    @property
    @abstractmethod
    def spec(self) -> Spec:
        """What a model needs to know; available once fitted."""

    @abstractmethod
    def fit(self, values: Iterable[Any]) -> None:
        """Learn a vocabulary or scales from training values."""

    @abstractmethod
    def encode(self, value: Any, *, seed: int | None = None) -> np.ndarray:
        """One value as an array, without start or end. `seed` draws one of several encodings where the feature samples them."""

    @abstractmethod
    def decode(self, array: np.ndarray) -> Any:
        """The value that the array stands for."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what was fitted, as JSON or a published format."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""


class Task(ABC):
    """From records to examples and from hypotheses to predictions. Knows no model, no trainer."""

    name: str

    @property
    @abstractmethod
    def source_spec(self) -> Spec:
        """What the model reads; available once fitted."""

    @property
    @abstractmethod
    def target_spec(self) -> Spec:
        """What the model says; available once fitted."""

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Columns that records to learn from must have."""

    @property
    @abstractmethod
    def source_columns(self) -> tuple[str, ...]:
        """Columns that records to predict must have; the first is what a plain text line stands for."""

    @property
    def target_column(self) -> str | None:
        """The column that holds what is to be said, so that an output may stand in for it; None when there is no such column."""
        return self.columns[1] if len(self.columns) > 1 else None

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Changes whenever the same record would be encoded differently."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What fitting wants the user to know, one sentence each."""
        return ()

    @property
    def samples_encodings(self) -> bool:
        """Whether `encode` with a seed draws one of several encodings."""
        return False

    @property
    def augments(self) -> bool:
        """Whether `augment` changes anything."""
        return False

    def augment(self, example: Example, seed: int) -> Example:
        """The example as it is learned from this time: varied at random, by the seed alone. Lengths may change a little."""
        return example

    @abstractmethod
    def fit(self, records: Iterable[Record]) -> None:
        """Fit the features on training records, which may be iterated several times."""

    @abstractmethod
    def encode(self, record: Record, index: int = -1, *, seed: int | None = None) -> Example:
        """A record as arrays; without a target when the record has none. Raises DataError naming what is wrong with it."""

    def encode_many(self, records: Sequence[tuple[int, Record]]) -> list[Example]:
        """`encode` for (index, record) pairs; a task may do this faster."""
        return [self.encode(record, index) for index, record in records]

    @abstractmethod
    def build_corpus(
        self,
        records: RecordSource,
        folder: Path,
        *,
        limits: Any,
        keep_records: bool,
        progress: Callable[[int], None] | None = None,
    ) -> Any:
        """Encode records into memory-mapped files in `folder`, or open what is there when nothing changed; a `Corpus`."""

    def items(self, records: Iterable[Any], *, scored: bool = False) -> Iterator[Any]:
        """The records (or texts) that are predicted one by one: the given ones, or (for series) windows made of many rows.

        `scored` asks for items with a reference: of series, windows that end before the series does.
        """
        return iter(records)

    def unfold(self, records: Any) -> Any:
        """The `data.records.Records` that examples are made of, one each: the given ones, unless a record of the user's holds several."""
        return records

    def open_file(self, file: Any, base: Path, required: Sequence[str]) -> Any:
        """The `data.records.Records` of a file that is named (a `data.files.FileConfig`), where it is more than a table of values: a folder
        of recordings, or a table of their names. None leaves it to the usual readers.
        """
        return None

    def parts(self, record: Record) -> Sequence[Record]:
        """A record to predict; or, where it is too long to be predicted at once, its parts; nothing where there is nothing to say."""
        return (record,)

    def joined(self, predictions: Sequence[Prediction], record: Record) -> Prediction:
        """The prediction for a record, from those of its parts."""
        return predictions[0]

    def hold_out(self, records: Any, wanted: int) -> tuple[Any, Any] | None:
        """Split records to learn from and to validate on, when `wanted` of them are to be held out; None draws them at random.

        `records` and both parts are of `data.records.Records`.
        """
        return None

    @abstractmethod
    def request(self, record: Record) -> Request:
        """What the record asks of its output: forced opening, required and banned phrases, values known in advance."""

    @abstractmethod
    def decode(self, hypotheses: Sequence[Hypothesis], example: Example) -> Prediction:
        """The prediction for one record, from its hypotheses, the best first."""

    def baselines(self, items: Sequence[Any]) -> Mapping[str, Sequence[Any]]:
        """For each simple method that a model must beat, its prediction for every item, as the metrics take them; name -> values."""
        return {}

    def details(
        self,
        items: Sequence[Any],
        predictions: Sequence[Prediction],
        references: Sequence[Sequence[Any]],
        baselines: Mapping[str, Sequence[Any]],
    ) -> dict[str, Any]:
        """What is worth knowing about predictions beside their scores, as plain values for JSON, for tables and pictures.

        `references[i]` holds the alternatives for item i, as metrics take them; `baselines` is what `baselines` gave for the same items.
        """
        return {}

    @property
    def calibrates(self) -> bool:
        """Whether something is to be learned from predictions for validation records, once training has ended."""
        return False

    def calibrate(self, items: Sequence[Any], predictions: Sequence[Prediction], folder: Path) -> Sequence[str]:
        """Learn how far predictions can be trusted, from those for validation items, and write it into the folder of a checkpoint.

        Returns what was found, one sentence each.
        """
        return ()

    def load_calibration(self, folder: Path) -> None:  # noqa: B027  a task that learns nothing has nothing to read
        """Read what `calibrate` wrote into the folder of a checkpoint, where it did."""

    def save_calibration(self, folder: Path) -> None:  # noqa: B027  a task that learns nothing has nothing to write
        """Write what `load_calibration` has read into the folder of another checkpoint, whose predictions are the same."""

    @property
    def tabular(self) -> bool:
        """Whether predictions are rows of a table, as `rows` gives them, rather than one text each."""
        return False

    def rows(self, prediction: Prediction) -> list[dict[str, Any]]:
        """A prediction as rows of a table."""
        return [{"prediction": prediction.value}]

    def shown(self, value: Any) -> str:
        """A prediction's value or a reference as people read it."""
        return str(value)

    @abstractmethod
    def source_of(self, record: Record) -> Any:
        """The source of a record as people read it."""

    @abstractmethod
    def reference(self, record: Record) -> Any:
        """What metrics compare a prediction's value with."""

    @abstractmethod
    def pieces(self, side: Literal["source", "target"], array: np.ndarray) -> list[str]:
        """An encoded source or target, element by element, as people read it."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the fitted features."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Read the fitted features."""


@dataclass(frozen=True)
class TaskPlugin:
    """What a file in `tasks/` defines as `plugin`. `build(config)` makes an unfitted task.

    `metrics` suit it, `template` is a recipe to start from, and `defaults(config, stepwise)` are settings of the recipe that fit the
    task's own and a model that decodes step by step, or not; they are used where a recipe does not say.
    """

    name: str
    summary: str
    Config: type[Any]
    build: Callable[[Any], Task]
    metrics: tuple[str, ...] = ()
    template: str = ""
    defaults: Callable[[Any, bool], Mapping[str, Any]] | None = None


@runtime_checkable
class Corpus(Protocol):
    """Encoded examples with random access; `target_lengths` and `source_lengths` without reading the examples."""

    @property
    def source_lengths(self) -> np.ndarray: ...

    @property
    def target_lengths(self) -> np.ndarray: ...

    def __len__(self) -> int: ...

    def example(self, index: int, seed: int | None = None) -> Example: ...
