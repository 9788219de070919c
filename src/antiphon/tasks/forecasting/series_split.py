"""Series without their last steps: the training part when the ends are held out.

What is held out of a series are its own last steps, whatever file they stand in and wherever other series end: what is forecast in
validation was never forecast in training. Both sides are views of one table.
"""

import hashlib
from collections.abc import Iterator
from typing import final

import numpy as np

from antiphon.contracts.records import Record, Records
from antiphon.data.series_reading import Progress
from antiphon.data.series_table import SeriesTable
from antiphon.tasks.forecasting.series_rows import SeriesRecords


@final
class WithoutEnd(Records):
    """The rows of series without those at and after the last `steps` observed times of each."""

    def __init__(self, whole: SeriesRecords, steps: int):
        self.whole, self.steps = whole, steps
        self._table: SeriesTable | None = None

    def table(self, progress: Progress | None = None) -> SeriesTable:
        """The training parts of the series."""
        if self._table is None:
            table = self.whole.table(progress)
            self._table = table.until(_stops(table, self.steps))
        return self._table

    def __call__(self) -> Iterator[tuple[int, Record]]:
        """The rows for training; in a wide table, the cells of series that are held out at that time are empty."""
        table, columns = self.table(), self.whole.columns
        whole = self.whole.table()
        cut: dict[int, list[str]] = {}  # the series that each row is held out of
        for index, name in enumerate(table.names):
            for row in whole.row[int(table.stops[index]) : int(whole.stops[index])]:
                cut.setdefault(int(row), []).append(str(name))
        for number, record in self.whole():
            held = cut.get(number)
            if held is None:
                yield number, record
            elif columns.wide and len(held) < len(record) - 1 - len(columns.known):
                yield number, {**record, **dict.fromkeys(held)}

    def place(self, number: int) -> str:
        """The place of the row."""
        return self.whole.place(number)

    def label(self, number: int) -> str:
        """The row's label in its file."""
        return self.whole.label(number)

    def signature(self) -> str:
        """The signature of the whole and of what is left out."""
        return hashlib.sha256(f"{self.whole.signature()}:{self.steps}".encode()).hexdigest()


def _stops(table: SeriesTable, steps: int) -> np.ndarray:
    """Where the training parts end. A series with no more steps than are held out keeps its first, so that it is counted as too short."""
    stops: np.ndarray = np.maximum(table.stops - steps, np.minimum(table.starts + 1, table.stops))
    empty = np.logical_and.reduce([np.isnan(column) for column in table.numbers[: len(table.columns.targets)]])
    filled = np.concatenate([[0], np.cumsum(~empty)])
    with_gaps = filled[table.stops] - filled[table.starts] < table.stops - table.starts
    for index in {*np.flatnonzero(with_gaps).tolist(), *table.doubled}:
        own = table.own(index)
        times = np.unique(table.times[own][~empty[own]])
        if len(times):
            end = times[-steps] if len(times) > steps else times[0] + 1
            stops[index] = own.start + int(np.searchsorted(table.times[own], end))
        else:
            stops[index] = own.stop  # said when it is read
    return stops
