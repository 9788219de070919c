"""Optional abilities of tasks, each a small protocol: a task has an ability if it has the protocol's methods.

Callers ask for the ability, `isinstance(task, Tabular)`, or the functions of `asking.py` do. So a task from elsewhere can do what ours can.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from antiphon.contracts.corpus import Share
from antiphon.contracts.feature import TargetFeature
from antiphon.contracts.files import FileConfig
from antiphon.contracts.following import FollowedSource
from antiphon.contracts.limits import Limits
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.records import Record, Records, RecordSource
from antiphon.contracts.sequences import Example, Prediction
from antiphon.contracts.series import SeriesFacts

# ------------------------------------------------------------------------------------------------------------- learning


@runtime_checkable
class Augments(Protocol):
    """A task with data augmentation: examples are varied at random each time they are used in training."""

    @property
    def augments(self) -> bool:
        """Whether the settings ask for augmentation."""

    def augment(self, example: Example, seed: int) -> Example:
        """The augmented example for this time; the seed alone decides how it is varied. Lengths may change a little."""


@runtime_checkable
class Supervised(Protocol):
    """A task with columns used only in training, beside source and target; records for validation or prediction need not have them."""

    @property
    def weight_column(self) -> str | None:
        """The column that holds each record's weight, where the settings name one."""

    @property
    def alignment_column(self) -> str | None:
        """The column that holds word alignments between source and target, where the settings name one."""


@runtime_checkable
class EncodesParts(Protocol):
    """A task whose corpus can be encoded in parts by several processes or machines. Values are encoded as `build_corpus` encodes them."""

    def is_encoded(self, records: RecordSource, folder: Path, *, limits: Limits, keep_records: bool) -> bool:
        """Whether the folder holds the corpus of these records, so that `build_corpus` would only open it."""

    def build_part(
        self,
        records: RecordSource,
        folder: Path,
        part: Share,
        *,
        limits: Limits,
        keep_records: bool,
        workers: int = 1,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Encode a part into `folder` by so many processes, unless it is there. A part that is all is the corpus;
        `data.corpus_parts.join_parts` makes one of all parts."""


@runtime_checkable
class HoldsOut(Protocol):
    """A task whose validation records are not drawn at random: they are the ends of series."""

    def hold_out(self, records: Records, wanted: int) -> tuple[Records, Records, str]:
        """Records for training and for validation, when `wanted` are to be held out, and a sentence that says what was done."""


@runtime_checkable
class KeepsTogether(Protocol):
    """A task whose validation records are drawn at random, but in groups that are not formed by the source."""

    @property
    def kept_together(self) -> tuple[str, ...]:
        """The columns whose values must not occur both in training and in validation data, such as the speaker."""


@runtime_checkable
class Unfolds(Protocol):
    """A task in which one record of the user may hold several examples."""

    def unfold(self, records: Records) -> Records:
        """The records split up, so that each makes one example."""


@runtime_checkable
class Calibrates(Protocol):
    """A task that fits a calibration on predictions for validation records when training has ended: how far its predictions can be
    trusted."""

    @property
    def calibrates(self) -> bool:
        """Whether the settings ask for a calibration."""

    def calibrate(self, items: Sequence[Record], predictions: Sequence[Prediction], folder: Path) -> Sequence[str]:
        """Fit the calibration on predictions for validation items and write it into a checkpoint's folder; returns its findings, one
        sentence each."""

    def load_calibration(self, folder: Path) -> None:
        """Read what `calibrate` wrote into a checkpoint's folder, if it wrote anything."""

    def save_calibration(self, folder: Path) -> None:
        """Write the calibration that `load_calibration` has read into the folder of another checkpoint that makes the same predictions."""


# -------------------------------------------------------------------------------------------------------------- reading


@runtime_checkable
class OpensFiles(Protocol):
    """A task that can open files which are no tables of values: a folder of recordings, or a table of their names."""

    def open_file(self, file: FileConfig, base: Path, required: Sequence[str]) -> Records | None:
        """The records of a file, which must have the required columns; None if the usual readers should open the file."""


@runtime_checkable
class JoinsFiles(Protocol):
    """A task whose data may be spread over files: a series may continue in the next file."""

    def joined_files(self, parts: Sequence[tuple[Records, float]]) -> Sequence[tuple[Records, float]]:
        """The files of a split with their weights; files that belong together are joined into one."""


@runtime_checkable
class MakesItems(Protocol):
    """A task that predicts items made from the records, rather than the records themselves: windows of many rows, or masked texts."""

    def items(self, records: Iterable[Any], *, scored: bool = False) -> Iterator[Record]:
        """The items made from records; with `scored` only those that have a reference."""


@runtime_checkable
class ReadsInOrder(Protocol):
    """A task in which the source of a record depends on the records before it: the sentences of a document."""

    def in_order(self, records: Iterable[Any]) -> Iterator[Any]:
        """Each record with the context from the records before it, in the same order; records that already have it stay as they are."""


@runtime_checkable
class ReadsMatches(Protocol):
    """A task with a translation memory: earlier translations of similar sources (matches) may be part of a record's source."""

    @property
    def lacks_memory(self) -> bool:
        """Whether matches are used, but there are no records yet to find them in."""

    def remember(self, records: Iterable[Record]) -> None:
        """Find matches among these records from now on, if matches are used."""

    def matched(self, splits: Mapping[str, Sequence[Records]]) -> Mapping[str, Sequence[Records]]:
        """The records of splits, by name, with their matches among those of `train`; a record never matches itself."""


@runtime_checkable
class SplitsInputs(Protocol):
    """A task that splits an input that is too long into parts, and joins their predictions."""

    def parts(self, record: Record) -> Sequence[Record]:
        """The record itself, or its parts; empty when the input holds nothing to predict."""

    def joined(self, predictions: Sequence[Prediction], record: Record) -> Prediction:
        """The prediction for a record, joined from those of its parts."""


@runtime_checkable
class PreparesSources(Protocol):
    """A task whose encoding of sources depends on more than their spec: another sample rate gives frames of the same width."""

    @property
    def source_fingerprint(self) -> str:
        """Changes whenever the same source would be encoded differently."""


@runtime_checkable
class Streams(Protocol):
    """A task that can predict from a source that is still arriving."""

    def follow(self, model: Seq2SeqModel, sample_rate: int) -> FollowedSource:
        """Start a source that arrives block by block. Raises ConfigError when the model or the preprocessing needs the whole source."""


@runtime_checkable
class StreamsText(Protocol):
    """A task that can predict while the words of its source are still arriving."""

    def stream_text(self, model: Seq2SeqModel, search: Any, words: Iterable[str], record: Record) -> Iterator[Prediction]:
        """The prediction after each word of the source, and at its end; `record` has its other columns, `search` the recipe's settings."""


@dataclass(frozen=True)
class Sound:
    """The audio that a model reads for a record: one channel of samples, the frames made of them, and their place in the recording in
    seconds."""

    waveform: Float[np.ndarray, " N"]
    sample_rate: int
    start: float
    end: float


@runtime_checkable
class Hears(Protocol):
    """A task whose sources are audio."""

    @property
    def sample_rate(self) -> int:
        """The sample rate of the model's input, in Hz; samples given without a rate are taken to have this one."""

    def sound(self, record: Record) -> Sound:
        """The audio that the model reads for a record."""

    def frames(self, waveform: Float[np.ndarray, " N"]) -> Float[np.ndarray, "S C"]:
        """Feature frames of samples, neither normalized nor augmented, for display."""


# -------------------------------------------------------------------------------------------------------------- writing


@runtime_checkable
class WritesText(Protocol):
    """A task whose targets are texts."""

    @property
    def target_text(self) -> TargetFeature:
        """The feature that encodes target texts as symbols and decodes them."""


@runtime_checkable
class RestoresTargets(Protocol):
    """A task whose targets hold more than `target_text` encodes."""

    def restored(self, record: Record) -> str:
        """The target of a record as its symbols decode to."""


@runtime_checkable
class KnowsWords(Protocol):
    """A task whose sources and targets are both texts, so that their words can be aligned."""

    def word_places(self, record: Record) -> tuple[Int[np.ndarray, " S"], Int[np.ndarray, " T"]]:
        """The index of the word, from 0, for each symbol of a record's source, and of its target without start and end; -1 for a symbol of
        no word."""


@runtime_checkable
class Rescales(Protocol):
    """A task that scales values before the model sees them, which changes the densities it predicts."""

    def log_slopes(self, example: Example) -> Float[np.ndarray, "T C"]:
        """For each value of a target, the logarithm of the derivative of its scaling at this value; arbitrary where the value is
        missing."""


@runtime_checkable
class Tabular(Protocol):
    """A task whose predictions are rows of a table rather than one text."""

    def rows(self, prediction: Prediction) -> list[dict[str, Any]]:
        """The rows of a prediction; none where the input could not be used."""


@runtime_checkable
class Forecasts(Protocol):
    """A task that predicts the continuation of a series."""

    def series_facts(self) -> SeriesFacts:
        """What series must look like, and how many steps a forecast has."""


@dataclass(frozen=True)
class OwnFile:
    """A file that is made from one prediction: its content, and its name with suffix."""

    name: str
    content: str


@runtime_checkable
class WritesFiles(Protocol):
    """A task whose predictions may each be written to a file, rather than as a line: the subtitles of a recording."""

    @property
    def writes_files(self) -> bool:
        """Whether the settings ask for a file for each prediction."""

    def file_of(self, prediction: Prediction) -> OwnFile | None:
        """The file for a prediction; None where the input could not be used."""


@runtime_checkable
class WritesFormats(Protocol):
    """A task whose predictions may be written in special formats, chosen by the suffix of the output: transcripts of recordings."""

    def formats(self) -> Mapping[str, bool]:
        """The suffixes in lower case, and whether a file of the format can hold several predictions."""

    def written_as(self, prediction: Prediction, record: Record, suffix: str) -> str:
        """The text written for a record's prediction; empty where the input could not be used and nothing is to be written."""


@runtime_checkable
class ShowsValues(Protocol):
    """A task whose values are not texts and are displayed in a special way."""

    def shown(self, value: Any) -> str:
        """A prediction's value, or a reference, formatted on one line."""


@runtime_checkable
class HasBaselines(Protocol):
    """A task with simple baseline methods, whose scores are reported beside the model's."""

    def baselines(self, items: Sequence[Record]) -> Mapping[str, Sequence[Any]]:
        """The baselines' predictions for all items, in the form that metrics take; baseline name -> values."""


@runtime_checkable
class HasDetails(Protocol):
    """A task that reports more about predictions than scores."""

    def details(
        self,
        items: Sequence[Record],
        predictions: Sequence[Prediction],
        references: Sequence[Sequence[Any]],
        baselines: Mapping[str, Sequence[Any]],
    ) -> dict[str, Any]:
        """The details as plain values for JSON, for tables and pictures. `references[i]` holds the alternatives for item i."""


@runtime_checkable
class Describes(Protocol):
    """A task that describes a model by more than its columns."""

    def about(self) -> dict[str, Any]:
        """The description as plain values for JSON: the length of a forecast, or which output lengths can be requested."""


@runtime_checkable
class HasRemarks(Protocol):
    """A task with remarks on the scored items that belong beside the scores."""

    def remarks(self, items: Sequence[Record]) -> Sequence[str]:
        """The remarks, one sentence each."""
