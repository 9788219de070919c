"""Audits units of translation files: their states, their files, and their placeholders."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, final

from antiphon.contracts.records import Record
from antiphon.data.file_records import FILE, STATE, UNIT
from antiphon.data.findings import Groups

_LISTED = 10

Placeholders = Callable[[str], list[str]]


@final
@dataclass(frozen=True)
class Units:
    """The number of used units by state, and the number of files. `unlike` are units whose target has other placeholders than its
    source."""

    states: dict[str, int]
    files: int
    placeholders: int
    with_placeholders: int
    unlike: Groups


@final
@dataclass
class UnitCounts:
    """Collects the data for `Units`, record by record."""

    find: Placeholders
    _states: Counter[str] = field(default_factory=Counter)
    _files: set[str] = field(default_factory=set)
    _placeholders: int = 0
    _with_placeholders: int = 0
    _unlike: list[int] = field(default_factory=list)
    _unlike_count: int = 0

    def add(self, number: int, record: Record, source: Any, target: Any) -> None:
        """Add a record; ignored if it is no unit of a file."""
        if UNIT not in record or not isinstance(source, str):
            return
        self._states[str(record.get(STATE, ""))] += 1
        self._files.add(str(record.get(FILE, "")))
        found = self.find(source)
        self._placeholders += len(found)
        self._with_placeholders += bool(found)
        if isinstance(target, str) and Counter(found) != Counter(self.find(target)):
            self._unlike_count += 1
            if len(self._unlike) < _LISTED:
                self._unlike.append(number)

    def result(self) -> Units | None:
        """The result; None if there was no unit."""
        if not self._states:
            return None
        unlike = Groups(self._unlike_count, self._unlike_count, [[number] for number in self._unlike])
        return Units(dict(self._states.most_common()), len(self._files), self._placeholders, self._with_placeholders, unlike)
