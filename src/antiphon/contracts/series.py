"""Facts about the series of a run before any is read. Imports no torch, so that clients of a forecasting service need none."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SeriesFacts:
    """What a client that requests forecasts must know about a run.

    id          the column that names a series; None where all rows are one
    time        the column of times
    targets     the columns that are forecast
    past        columns of numbers that are known for the past only
    known       columns of numbers that are known in advance, for the whole horizon
    static      columns with one value for each series
    wide        whether rows have a column for each series instead
    horizon     steps of a forecast
    shortest    steps that a forecast of the past has before it, at least
    frequency   from one step to the next: 15m, 1d, 1mo, or 1i of whole numbers
    zone        the time zone whose days and hours count, where the recipe names one
    calendar    whether the model reads the calendar, so that it matters when something happened
    """

    id: str | None
    time: str
    targets: tuple[str, ...]
    past: tuple[str, ...]
    known: tuple[str, ...]
    static: tuple[str, ...]
    wide: bool
    horizon: int
    shortest: int
    frequency: str
    zone: str | None
    calendar: bool
