"""Facts about data before there is a recipe, and the settings that a task proposes for them, each with its reason."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from antiphon.contracts.records import Records


@dataclass(frozen=True)
class ColumnFacts:
    """Statistics of the values of a column.

    name         the column
    filled       how many records have a value there
    numbers      how many of the values are numbers, or read like some
    times        how many read like dates or clock times
    sounds       how many are named like a recording
    distinct     how many different values there are, counted to 10,000
    words        what white space parts, of all texts
    lengths      words of each text, int (N,)
    letters      how many different characters there are
    vocabulary   how often each word occurs; None where there are more than 2,000 different ones
    """

    name: str
    filled: int
    numbers: int
    times: int
    sounds: int
    distinct: int
    words: int
    lengths: np.ndarray
    letters: int
    vocabulary: Mapping[str, int] | None

    @property
    def is_text(self) -> bool:
        """Whether the column holds natural-language texts, rather than numbers, times or file names."""
        return self.filled > 0 and max(self.numbers, self.times, self.sounds) < 0.5 * self.filled

    @property
    def is_number(self) -> bool:
        """Whether the column holds numbers."""
        return self.filled > 0 and self.numbers == self.filled


@dataclass(frozen=True)
class Look:
    """The findings about the data, on which a task bases its proposals.

    records    how many there are
    columns    by name, in their order
    reopened   the records, read with these settings of the task, such as which column names the recording
    minutes    how long training may take
    asked      settings that the user has given, by their dotted path, such as `task.source`
    """

    records: int
    columns: Mapping[str, ColumnFacts]
    reopened: Callable[[Mapping[str, Any]], Records]
    minutes: float
    asked: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Proposal:
    """A proposed value of a setting, as plain values, and the reason for it."""

    value: Any
    reason: str


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The settings that a task proposes.

    settings   by dotted path; of these `task`, `model`, `training`, `search` and `evaluation` are the task's to choose
    models     sizes of the model, the smallest first: settings below `model`, of which the largest is taken that the minutes can teach
    dropped    settings of the template that do not fit
    hints      settings that may be of use, written as comments
    said       what was guessed, a sentence each
    held_out   how many records, or steps of a series, to hold out for validation and again for a test; None leaves it to their number
    """

    settings: Mapping[str, Proposal]
    models: Sequence[Mapping[str, Proposal]] = ()
    dropped: Sequence[str] = ()
    hints: Mapping[str, Proposal] = field(default_factory=dict)
    said: Sequence[str] = ()
    held_out: int | None = None


@runtime_checkable
class Drafts(Protocol):
    """Proposes settings for data. Raises ConfigError for a setting that cannot be guessed, and names it; DataError for unsuitable data."""

    def __call__(self, look: Look) -> Draft: ...
