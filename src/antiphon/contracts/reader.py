"""What a file in `readers/` defines as `plugin`: how a format is read as records, and how predictions are written back into the file.

A reader yields (line, record) for each record, line from 1, or (line, Skip) for what stands in the file but is no record: `Skip` says why,
and whoever reads counts. The columns of a record have the names that the task uses: a text, or a recording, is in `reading.source`, its
translation, or transcript, in `reading.target`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antiphon.contracts.files import FileConfig
from antiphon.contracts.records import Record
from antiphon.errors import DataError

if TYPE_CHECKING:
    import polars


@dataclass(frozen=True)
class Skip:
    """Stands for an entry of a file that is no record; the reason is a few words that can follow a count: "fuzzy", "empty target"."""

    reason: str


Located = Iterator[tuple[int, Record | Skip]]
"""(line from 1, record or why there is none). Formats without lines count records instead."""


@dataclass(frozen=True)
class Reading:
    """A file to read, and what is wanted from it."""

    path: Path
    file: FileConfig
    """Its settings in the recipe: encoding, columns, languages and so on."""
    required: tuple[str, ...]
    """Columns that each record must have."""
    source: str
    """The task's name for a source: the column of texts to translate, or of recordings."""
    target: str
    """The task's name for a target."""
    precomputed: bool = False
    """Whether sources are precomputed features of recordings, not the recordings themselves."""

    @property
    def with_targets(self) -> bool:
        """Whether records are wanted with their targets, to learn from or to compare with. Otherwise they are to be answered: where a
        format knows units that wait for a target, these are meant."""
        return self.target in self.required


@dataclass(frozen=True)
class Said:
    """A model's output for a unit: the text, and its word alignment as (index of the source word, index of the word in the text), where
    words are separated by white space and counted from 0; None where the model gives no alignment."""

    text: str
    links: tuple[tuple[int, int], ...] | None = None


class MissingError(DataError):
    """Raised for a text that cannot be written into a unit because phrases of its source are missing or repeated; it is predicted again
    with them required."""

    def __init__(self, message: str, phrases: tuple[str, ...]):
        super().__init__(message)
        self.phrases = phrases


class IrregularError(Exception):
    """Raised for a file that cannot be read as data frames and must be read row by row."""


class Rewriter(ABC):
    """Writes a file again with new targets; everything else in it stays the same, byte for byte."""

    @abstractmethod
    def put(self, unit: int, said: Said) -> None:
        """Write the model's output into a unit, which is given by the number of its record in reading order (the column `unit`, from 1).

        Raises MissingError, or another DataError with a sentence that follows the unit's place, and leaves the unit as it was.
        """

    def wants_links(self, unit: int) -> bool:
        """Whether a word alignment of the unit is useful: the unit contains tags that must be put in their places."""
        return False

    @abstractmethod
    def content(self) -> bytes:
        """The content of the new file."""


@dataclass(frozen=True)
class ReaderPlugin:
    """A format of files of records."""

    name: str
    summary: str
    suffixes: tuple[str, ...]
    """The suffixes of its files, such as ".po"; several formats may share one if all but one of them have `recognizes`."""
    read: Callable[[Reading], Located]
    """The records of a file, one after another. Raises DataError that names file and line."""
    recognizes: Callable[[bytes], bool] | None = None
    """Whether the first bytes of a file (up to 64 KiB, decompressed) show that it has this format."""
    is_folder: Callable[[Path], bool] | None = None
    """Whether a folder is a data set of this format, if data sets may be folders."""
    back: Callable[[Reading], Rewriter] | None = None
    """Opens a file to be rewritten with predictions, if the format can hold them. Its records get the columns `unit` and `file`."""
    settings: frozenset[str] = frozenset({"encoding"})
    """The settings of a file, besides path, format and weight, that have an effect in this format."""
    frames: Callable[[Reading, tuple[str, ...] | None], "Iterator[polars.DataFrame]"] | None = None
    """All records in frames, in the order of `read`, where rows are so many that one by one would take long: with the columns that are
    named, or with all. Raises IrregularError where only rows that are read one by one can tell what is wrong."""
    line_of: Callable[[FileConfig, int], int] | None = None
    """The line of a record by its number from 0, where every line is one; without it the file is read again to find it."""
    unit: str = "row"
    """What a record is called in messages, as in "de.po: unit 12"."""
    has_lines: bool = True
    """Whether it is text, so that lines are useful in messages."""
    has_types: bool = True
    """Whether its values have types, so that 7 and "007" are told apart."""
    has_parts: bool = False
    """Whether its records are recordings that say by the columns `start` and `end` (seconds) and `channel` (from 1) which part of one is
    meant, each None where it is the whole; the names of recordings may lack their suffix."""
    files: Callable[[Path], Iterator[Path]] | None = None
    """All files that a data set consists of, so that it is read again when one changes; by default the file itself, or all in a folder."""


def settings_of(file: FileConfig) -> dict[str, Any]:
    """The settings of a file that differ from their defaults, by name, without those that say which file it is."""
    fields = FileConfig.__dataclass_fields__
    known = {name: getattr(file, name) for name in fields if name not in ("path", "source", "target", "format", "weight")}
    return {name: value for name, value in known.items() if value != fields[name].default}
