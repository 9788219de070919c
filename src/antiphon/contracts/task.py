"""Tasks, which make examples of records and predictions of hypotheses.

What every task does stands here; what only some can do (cut long inputs, write tables, be calibrated) in `abilities.py`.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from antiphon.contracts.configuration import plain
from antiphon.contracts.corpus import StoredCorpus
from antiphon.contracts.drafting import Draft, Look
from antiphon.contracts.feature import Feature
from antiphon.contracts.limits import Limits
from antiphon.contracts.records import Record, RecordSource
from antiphon.contracts.sequences import Example, Hypothesis, Prediction, Request
from antiphon.contracts.specs import Spec


class Task(ABC):
    """Makes examples of records and predictions of hypotheses. Knows no model and no trainer."""

    name: str
    settings: Any
    """The config that the task was built with."""
    not_encoded: ClassVar[frozenset[str]] = frozenset()
    """The settings by which no record is encoded differently, or that a feature has in its own fingerprint. All others count."""

    @property
    @abstractmethod
    def source_spec(self) -> Spec:
        """The spec of the model's input; available once fitted."""

    @property
    @abstractmethod
    def target_spec(self) -> Spec:
        """The spec of the model's output; available once fitted."""

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns that training records must have."""

    @property
    @abstractmethod
    def source_columns(self) -> tuple[str, ...]:
        """The columns that records to predict must have; the first one takes the text of a plain line."""

    @property
    def target_column(self) -> str | None:
        """The column that holds the target text, so that an output can take its place; None when there is no such column."""
        return self.columns[1] if len(self.columns) > 1 else None

    @property
    def features(self) -> tuple[Feature, ...]:
        """The features, which turn columns into arrays."""
        return ()

    @property
    def learned(self) -> Any:
        """What fitting has learned beside the features, as plain values, where the encoding depends on it."""
        return None

    @property
    def fingerprint(self) -> str:
        """A hash that changes whenever the same record would be encoded differently: by settings, features, or what was learned beside
        them."""
        settings = {name: value for name, value in plain(self.settings).items() if name not in self.not_encoded}
        facts = [settings, [feature.fingerprint for feature in self.features], self.learned]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know after fitting, one sentence each."""
        return ()

    @property
    def samples_encodings(self) -> bool:
        """Whether `encode` with a seed samples one of several encodings."""
        return False

    @abstractmethod
    def fit(self, records: Iterable[Record]) -> None:
        """Fit the features on training records, which may be iterated several times."""

    @abstractmethod
    def encode(self, record: Record, index: int = -1, *, seed: int | None = None) -> Example:
        """A record as arrays; without a target when the record has none. Raises DataError naming what is wrong with it."""

    @abstractmethod
    def build_corpus(
        self,
        records: RecordSource,
        folder: Path,
        *,
        limits: Limits,
        keep_records: bool,
        progress: Callable[[int], None] | None = None,
    ) -> StoredCorpus:
        """Encode records into memory-mapped files in `folder`, or open the corpus that is there when nothing has changed."""

    @abstractmethod
    def request(self, record: Record) -> Request:
        """What the record requires of its output: forced beginning, required, banned and hot phrases, values known in advance."""

    @abstractmethod
    def decode(self, hypotheses: Sequence[Hypothesis], example: Example) -> Prediction:
        """The prediction for one record, from its hypotheses, best first."""

    @abstractmethod
    def source_of(self, record: Record) -> Any:
        """The source of a record, formatted for display."""

    @abstractmethod
    def reference(self, record: Record) -> Any:
        """The reference that metrics compare a prediction's value with."""

    @abstractmethod
    def pieces(self, side: Literal["source", "target"], array: np.ndarray) -> list[str]:
        """An encoded source or target, element by element, formatted for display."""

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
    task's own and a model that decodes step by step, or not; they are used where a recipe does not say. `draft(look)` proposes settings for
    data that somebody has looked at (`antiphon new --data`).
    """

    name: str
    summary: str
    Config: type[Any]
    build: Callable[[Any], Task]
    metrics: tuple[str, ...] = ()
    template: str = ""
    defaults: Callable[[Any, bool], Mapping[str, Any]] | None = None
    draft: Callable[[Look], Draft] | None = None
