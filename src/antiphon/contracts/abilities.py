"""Abilities that some tasks have and others do not, each a small protocol: a task has an ability if it has its methods.

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
    """Examples are varied at random each time that they are learned from."""

    @property
    def augments(self) -> bool:
        """Whether the settings ask for it."""

    def augment(self, example: Example, seed: int) -> Example:
        """The example as it is learned from this time, decided by the seed alone. Lengths may change a little."""


@runtime_checkable
class Supervised(Protocol):
    """Columns of the records say more than what is read and said, to learn from: records that are not learned from need not have them."""

    @property
    def weight_column(self) -> str | None:
        """How much each record counts, where the settings name it."""

    @property
    def alignment_column(self) -> str | None:
        """Which words of both sides belong together, where the settings name it."""


@runtime_checkable
class EncodesParts(Protocol):
    """Several processes, or machines, can encode a corpus together. How it is encoded is decided as `build_corpus` does."""

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
    """Records to validate on are not drawn at random: they are the ends of series."""

    def hold_out(self, records: Records, wanted: int) -> tuple[Records, Records, str]:
        """Records to learn from and to validate on, when `wanted` are to be held out, and a sentence that says what was done."""


@runtime_checkable
class KeepsTogether(Protocol):
    """Records to validate on are drawn at random, but something else than their source decides which of them belong together."""

    @property
    def kept_together(self) -> tuple[str, ...]:
        """The columns whose values are either held out or learned from, never both, such as that of speakers."""


@runtime_checkable
class Unfolds(Protocol):
    """A record of the user's may hold several examples."""

    def unfold(self, records: Records) -> Records:
        """The records that examples are made of, one each."""


@runtime_checkable
class Calibrates(Protocol):
    """Something is learned from predictions for validation records once training has ended: how far they can be trusted."""

    @property
    def calibrates(self) -> bool:
        """Whether the settings ask for it."""

    def calibrate(self, items: Sequence[Record], predictions: Sequence[Prediction], folder: Path) -> Sequence[str]:
        """Learn from predictions for validation items, write it into the folder of a checkpoint; what was found, a sentence each."""

    def load_calibration(self, folder: Path) -> None:
        """Read what `calibrate` wrote into the folder of a checkpoint, where it did."""

    def save_calibration(self, folder: Path) -> None:
        """Write what `load_calibration` has read into the folder of another checkpoint, whose predictions are the same."""


# -------------------------------------------------------------------------------------------------------------- reading


@runtime_checkable
class OpensFiles(Protocol):
    """A file that is named may be more than a table of values: a folder of recordings, or a table of their names."""

    def open_file(self, file: FileConfig, base: Path, required: Sequence[str]) -> Records | None:
        """The records of a file, which must have the required columns; None leaves it to the usual readers."""


@runtime_checkable
class JoinsFiles(Protocol):
    """What belongs together may stand in several files: a series that goes on in the next one."""

    def joined_files(self, parts: Sequence[tuple[Records, float]]) -> Sequence[tuple[Records, float]]:
        """The files of a split with their weights, those joined that are one."""


@runtime_checkable
class MakesItems(Protocol):
    """What is predicted one by one are not the records themselves: windows made of many rows, gaps made in a text."""

    def items(self, records: Iterable[Any], *, scored: bool = False) -> Iterator[Record]:
        """The items of records; `scored` asks for those that have a reference."""


@runtime_checkable
class ReadsInOrder(Protocol):
    """What is read of a record depends on the records before it: the sentences of a document."""

    def in_order(self, records: Iterable[Any]) -> Iterator[Any]:
        """Each record with what is to be known of those before it, one for one; records that have it already stay as they are."""


@runtime_checkable
class ReadsMatches(Protocol):
    """What was translated before of a similar source may be read with a record."""

    @property
    def lacks_memory(self) -> bool:
        """Whether matches are read, and there is nothing yet to find them in."""

    def remember(self, records: Iterable[Record]) -> None:
        """Find matches among these records from now on, if matches are read."""

    def matched(self, splits: Mapping[str, Sequence[Records]]) -> Mapping[str, Sequence[Records]]:
        """The records of splits, by name, with their matches among those of `train`, of which none is its own."""


@runtime_checkable
class SplitsInputs(Protocol):
    """An input that is too long to be predicted at once is cut, and the predictions of its parts are joined."""

    def parts(self, record: Record) -> Sequence[Record]:
        """The record, or its parts; nothing where there is nothing to say."""

    def joined(self, predictions: Sequence[Prediction], record: Record) -> Prediction:
        """The prediction for a record, from those of its parts."""


@runtime_checkable
class PreparesSources(Protocol):
    """How sources become numbers is not told by the spec alone: another sample rate gives frames of the same width."""

    @property
    def source_fingerprint(self) -> str:
        """Changes whenever the same source would be encoded differently."""


@runtime_checkable
class Streams(Protocol):
    """A source can be followed while it is made."""

    def follow(self, model: Seq2SeqModel, sample_rate: int) -> FollowedSource:
        """A source that begins. Raises ConfigError when the model, or what is to be heard of the source, needs the whole."""


@runtime_checkable
class StreamsText(Protocol):
    """A text can be followed while it is said."""

    def stream_text(self, model: Seq2SeqModel, search: Any, words: Iterable[str], record: Record) -> Iterator[Prediction]:
        """What is said after each word of the source, and at the end; `record` has its other columns, `search` the recipe's settings."""


@dataclass(frozen=True)
class Sound:
    """What a model hears of a record: one channel of samples, the frames made of them, and where it lies in its recording, in seconds."""

    waveform: Float[np.ndarray, " N"]
    sample_rate: int
    start: float
    end: float


@runtime_checkable
class Hears(Protocol):
    """Sources are sound."""

    @property
    def sample_rate(self) -> int:
        """At how many samples a second the model hears, which is the rate of samples that are given without one."""

    def sound(self, record: Record) -> Sound:
        """What the model hears of a record."""

    def frames(self, waveform: Float[np.ndarray, " N"]) -> Float[np.ndarray, "S C"]:
        """Samples as the features of a frame, neither normalized nor varied, to be looked at."""


# -------------------------------------------------------------------------------------------------------------- writing


@runtime_checkable
class WritesText(Protocol):
    """Targets are texts."""

    @property
    def target_text(self) -> TargetFeature:
        """What turns them into symbols and back."""


@runtime_checkable
class RestoresTargets(Protocol):
    """A target is more than `target_text` makes of its text."""

    def restored(self, record: Record) -> str:
        """The target of a record as its symbols say it."""


@runtime_checkable
class KnowsWords(Protocol):
    """Both sides are texts, whose words can be aligned."""

    def word_places(self, record: Record) -> tuple[Int[np.ndarray, " S"], Int[np.ndarray, " T"]]:
        """The word, counted from 0, of each symbol of a record's source, and of its target without start and end; -1 of none."""


@runtime_checkable
class Rescales(Protocol):
    """Values are scaled before a model says them, so that densities are, too."""

    def log_slopes(self, example: Example) -> Float[np.ndarray, "T C"]:
        """For each value of a target, the logarithm of the slope of what it was scaled by, at this value; anything where it is missing."""


@runtime_checkable
class Tabular(Protocol):
    """A prediction is rows of a table rather than one text."""

    def rows(self, prediction: Prediction) -> list[dict[str, Any]]:
        """The rows; none where the input could not be used."""


@runtime_checkable
class Forecasts(Protocol):
    """A prediction is what follows a series."""

    def series_facts(self) -> SeriesFacts:
        """How series must be given, and how far a forecast goes."""


@dataclass(frozen=True)
class OwnFile:
    """A file that is made of one prediction: its name, with a suffix, and its content."""

    name: str
    content: str


@runtime_checkable
class WritesFiles(Protocol):
    """A prediction may be a file of its own rather than a line: the subtitles of a recording."""

    @property
    def writes_files(self) -> bool:
        """Whether the settings ask for it."""

    def file_of(self, prediction: Prediction) -> OwnFile | None:
        """The file; None where the input could not be used."""


@runtime_checkable
class WritesFormats(Protocol):
    """Predictions may be written in formats of their own, of which the suffix of the output chooses one: transcripts of recordings."""

    def formats(self) -> Mapping[str, bool]:
        """The suffixes, in small letters, and whether a file of the format has room for several predictions."""

    def written_as(self, prediction: Prediction, record: Record, suffix: str) -> str:
        """What is written of a prediction for a record; empty where the input could not be used, and there is nothing to say of it."""


@runtime_checkable
class ShowsValues(Protocol):
    """Values are no texts, and are shown to people in a way of their own."""

    def shown(self, value: Any) -> str:
        """A prediction's value, or a reference, on one line."""


@runtime_checkable
class HasBaselines(Protocol):
    """Simple methods that a model must beat stand beside its scores."""

    def baselines(self, items: Sequence[Record]) -> Mapping[str, Sequence[Any]]:
        """The predictions of each for every item, as metrics take them; name -> values."""


@runtime_checkable
class HasDetails(Protocol):
    """There is more to know about predictions than their scores."""

    def details(
        self,
        items: Sequence[Record],
        predictions: Sequence[Prediction],
        references: Sequence[Sequence[Any]],
        baselines: Mapping[str, Sequence[Any]],
    ) -> dict[str, Any]:
        """Plain values for JSON, for tables and pictures. `references[i]` holds the alternatives for item i."""


@runtime_checkable
class Describes(Protocol):
    """Whoever uses a model wants to know more of it than its columns."""

    def about(self) -> dict[str, Any]:
        """Plain values for JSON: how far a forecast goes, which lengths can be asked for."""


@runtime_checkable
class HasRemarks(Protocol):
    """There are things that a reader of scores should know of the items that were scored."""

    def remarks(self, items: Sequence[Record]) -> Sequence[str]:
        """One sentence each."""
