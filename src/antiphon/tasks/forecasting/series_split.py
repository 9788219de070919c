"""Series without their last steps: what is learned from when the end is held out."""

import hashlib
from collections.abc import Iterator
from typing import final

import numpy as np

from antiphon.contracts.records import Record, Records
from antiphon.data.series import ONE, RowTable, SeriesColumns
from antiphon.features.times import read_time


def without_end(records: Records, columns: SeriesColumns, steps: int) -> Records:
    """The records, less those at and behind the last `steps` times of each series that have a value."""
    return _WithoutEnd(records, columns, steps)


@final
class _WithoutEnd(Records):
    """Reads the records twice: once for the times, once to pass on what lies before the end."""

    def __init__(self, records: Records, columns: SeriesColumns, steps: int):
        self.inner, self.columns, self.steps = records, columns, steps
        self._ends: dict[str, int] | None = None

    def __call__(self) -> Iterator[tuple[int, Record]]:
        ends = self._ends = self._ends if self._ends is not None else self._find_ends()
        columns = self.columns
        for number, record in self.inner():
            name = ONE if columns.wide or columns.id is None else str(record.get(columns.id))
            if read_time(record.get(columns.time)) < ends[name]:
                yield number, record

    def place(self, number: int) -> str:
        """Where the record stands in the other source."""
        return self.inner.place(number)

    def label(self, number: int) -> str:
        """How the other source names the record."""
        return self.inner.label(number)

    def signature(self) -> str:
        """That of the other source and of what is left out."""
        return hashlib.sha256(f"{self.inner.signature()}:{self.columns}:{self.steps}".encode()).hexdigest()

    def _find_ends(self) -> dict[str, int]:
        """The time of the first step that is held out, for each series; for wide data one for all."""
        table = RowTable(self.columns).read(self.inner(), self.inner.place)
        times: dict[str, np.ndarray] = {}
        for index, name in enumerate(table.names):
            rows = table.rows(index)
            with_value = ~np.isnan(rows["numbers"][:, : len(self.columns.targets)]).all(axis=1)
            key = ONE if self.columns.wide else name
            found = np.unique(rows["time"][with_value])
            times[key] = np.union1d(times[key], found) if key in times else found
        return {key: self._end(found) for key, found in times.items()}

    def _end(self, times: np.ndarray) -> int:
        """Where learning ends. A series that has no more steps than are held out keeps its first, so that it is counted as too short."""
        if len(times) > self.steps:
            return int(times[-self.steps])
        return int(times[0]) + 1 if len(times) else int(np.iinfo(np.int64).min)
