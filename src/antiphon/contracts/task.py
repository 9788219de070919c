"""From records to examples, and from hypotheses to predictions."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from antiphon.contracts.records import Record, RecordSource
from antiphon.contracts.sequences import Example, Hypothesis, Prediction, Request
from antiphon.contracts.specs import Spec


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
