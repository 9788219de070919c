"""Turns formats with whole series in sequence into rows of one time each: `unique_id`, `ds`, `y` and further columns.

The names are those of Nixtla's long format, which are the defaults of `task.id`, `task.time` and `task.target`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from antiphon.contracts.reader import Located, Reading
from antiphon.data.fields import check_columns
from antiphon.errors import ConfigError, DataError
from antiphon.features.frequency import DAY, FIXED, Frequency, parse_frequency
from antiphon.features.times import TimeStyle, read_time, style_of

if TYPE_CHECKING:
    import polars

ID, TIME, VALUE = "unique_id", "ds", "y"
_ROWS = 500_000  # of a frame, or a series that is longer


@dataclass(frozen=True)
class Clock:
    """The times of a series: from `start` (int64, microseconds) on, one step of the frequency apart.

    Without a frequency they are counted, from `start` on.
    """

    start: int
    frequency: Frequency | None = None

    @property
    def style(self) -> TimeStyle:
        """The format of times: whole numbers, dates, or dates with the time of day."""
        if self.frequency is None:
            return TimeStyle("integer")
        by_days = self.frequency.unit not in FIXED or FIXED[self.frequency.unit] * self.frequency.count % DAY == 0
        return TimeStyle("date" if by_days and self.start % DAY == 0 else "datetime")

    def times(self, count: int) -> np.ndarray:
        """The first `count` times, int64 (count,)."""
        steps = np.arange(count)
        return self.start + steps if self.frequency is None else self.frequency.grid(np.array([self.start]), steps)


@dataclass(frozen=True)
class WholeSeries:
    """One series of a file.

    line      where it stands, from 1
    clock     when its values were
    numbers   columns of numbers by name, float64 (T,) each, NaN where a value is missing
    static    columns with one value for the whole series, `unique_id` among them
    """

    line: int
    clock: Clock
    numbers: Mapping[str, np.ndarray]
    static: Mapping[str, Any]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of its rows."""
        return tuple(dict.fromkeys((ID, TIME, *self.numbers, *self.static)))

    def __len__(self) -> int:
        """The number of its rows."""
        return len(next(iter(self.numbers.values())))


def chosen_clock(reading: Reading, start: int | None, frequency: Frequency | None) -> Clock:
    """The clock of a series, from what its file says; the settings of the file take precedence.

    Raises ConfigError for settings that are no time and no frequency, DataError where there is a start without a frequency.
    """
    named = reading.file.frequency
    frequency = frequency if named is None else parse_frequency(named, "frequency")
    if reading.file.start is not None:
        try:
            start = read_time(reading.file.start)
        except DataError as error:
            raise ConfigError(f"`start` of `{reading.path}`: {error}") from error
        if not style_of(reading.file.start).calendar:
            raise ConfigError(f"`start` of `{reading.path}` must be a date such as 2011-01-29, but is {reading.file.start!r}.")
    if start is None:
        return Clock(1)
    if frequency is None:
        raise DataError(f"`{reading.path}` does not tell the time from one value to the next. Set `frequency` of this file, such as 1h.")
    if not frequency.calendar:
        raise ConfigError(f"`frequency` of `{reading.path}` must be a step between dates, such as 1h, but is {frequency}.")
    return Clock(start, frequency)


def check_long(reading: Reading, columns: Sequence[str] | None) -> None:
    """Raise DataError when all columns are requested, as for a wide table with a column per series, which this format never becomes."""
    if columns is None:
        raise DataError(
            f"`{reading.path}` holds whole series, of which {ID}, {TIME} and {VALUE} are read. Leave out `task.format: wide`, which is for"
            " tables with a column for each series."
        )


def rows_of_series(series: Iterable[WholeSeries], reading: Reading) -> Located:
    """A record for each value, with the line of its series. Raises DataError when a required column is missing."""
    for one in series:
        check_columns(one.columns, reading.required, f"{reading.path}:{one.line}")
        names = list(one.numbers)
        times = one.clock.style.write(one.clock.times(len(one)))
        for time, *values in zip(times, *(one.numbers[name].tolist() for name in names), strict=True):
            numbers = {name: None if value != value else value for name, value in zip(names, values, strict=True)}
            yield one.line, {TIME: time, **numbers, **one.static}


def frames_of_series(series: Iterable[WholeSeries], reading: Reading, columns: Sequence[str] | None) -> Iterator["polars.DataFrame"]:
    """The same rows in data frames, with the named columns. Raises DataError when one is missing, and as `check_long`."""
    check_long(reading, columns)
    held: list[WholeSeries] = []
    for one in series:
        check_columns(one.columns, columns or (), f"{reading.path}:{one.line}")
        unlike = held and (held[0].clock.style != one.clock.style or held[0].numbers.keys() != one.numbers.keys())
        if held and (unlike or sum(map(len, held)) + len(one) > _ROWS):
            yield _frame(held, columns)
            held = []
        held.append(one)
    if held:
        yield _frame(held, columns)


def _frame(series: Sequence[WholeSeries], columns: Sequence[str] | None) -> "polars.DataFrame":
    import polars

    counts = np.array([len(one) for one in series])
    owner = polars.Series(np.repeat(np.arange(len(series)), counts))
    times = polars.Series(TIME, np.concatenate([one.clock.times(len(one)) for one in series]))
    style = series[0].clock.style
    if style.calendar:
        times = times.cast(polars.Datetime("us"))
        times = times.cast(polars.Date) if style.kind == "date" else times
    static = [name for name in series[0].static if name in (columns or ())]
    by_series = polars.DataFrame({name: polars.Series([one.static.get(name) for one in series], strict=False) for name in static})
    numbers = {name: np.concatenate([one.numbers[name] for one in series]) for name in series[0].numbers}
    frame = polars.DataFrame([times, *(polars.Series(name, values) for name, values in numbers.items())])
    frame = frame.with_columns(by_series[owner]) if static else frame
    return frame.select(columns or ())


def as_numbers(values: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Values as float64 (T,), NaN for `?`, `NaN`, null or empty. Raises ValueError for other values that are not numbers."""
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        return np.array([np.nan if _is_missing(value) else float(value) for value in values])


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.strip().lower() in ("", "?", "nan", "na"))
