"""The step from one time of a series to the next: "15m", "1h", "1d", "1b" (business days), "1w", "1mo", "1q", "1y", "1i" (integers).

The texts are polars' durations, with b for business days. Months, quarters and years have no fixed length, so they are steps of the
calendar: on one day of the month (the last one that there is), on the last day of each, or on its first or last business day. Days and
longer steps are those of the clock on the wall where times have a zone, so a day across a change of clocks has 23 or 25 hours.

Unusual here: a frequency is inferred from all series together, as the most common step, which must divide all others; so gaps in a
series do not mislead it, and what does not fit is named instead of guessed at.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from antiphon.errors import ConfigError, DataError
from antiphon.features.zones import instants_of, nominal_times

FIXED = {"us": 1, "ms": 1000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6, "w": 7 * 86400 * 10**6}
MONTHS = {"mo": 1, "q": 3, "y": 12}
DAY = FIXED["d"]
WORDS = {"i": "integer", "b": "business day", "us": "microsecond", "ms": "millisecond", "s": "second", "m": "minute", "h": "hour"}
WORDS |= {"d": "day", "w": "week", "mo": "month", "q": "quarter", "y": "year"}

# The season that people mean when they name none, in steps of one unit (as in GluonTS, but weeks of a year and days of a week).
_SEASONS = {"s": 60, "m": 1440, "h": 24, "d": 7, "b": 5, "w": 52, "mo": 12, "q": 4, "y": 1, "i": 1, "ms": 1, "us": 1}


_BY_DAYS = ("d", "b", "w", *MONTHS)  # units that are counted by the clock on the wall

Day = Literal["day", "last", "first business", "last business"]
"""Where in its month a series stands: on one day, on the last, or on the first or last business day (Monday to Friday)."""


@dataclass(frozen=True)
class Frequency:
    """`count` units of time from one step to the next; `zone` is the time zone, None for times without one."""

    unit: str
    count: int = 1
    zone: str | None = None

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"

    @property
    def words(self) -> str:
        """A description for people: "15 minutes"."""
        return WORDS[self.unit] if self.count == 1 else f"{self.count} {WORDS[self.unit]}s"

    @property
    def calendar(self) -> bool:
        """Whether the steps are between dates rather than integers."""
        return self.unit != "i"

    @property
    def season(self) -> int:
        """The number of steps in the natural season: a day of hours, a week of days, a year of months; 1 if there is none."""
        steps = _SEASONS[self.unit]
        return steps // self.count if steps % self.count == 0 else 1

    def at(self, zone: str | None) -> "Frequency":
        """The same frequency for times in a zone."""
        return replace(self, zone=zone if self.unit in _BY_DAYS else None)

    def positions(self, times: np.ndarray) -> np.ndarray:
        """The number of steps from the first of ascending times (T,) to each, int64 (T,). Raises DataError with the place of one off the
        grid."""
        steps, fits = self._positions(nominal_times(times, self.zone))
        if not fits.all():
            raise IrregularTimeError(int(np.argmin(fits)))
        return steps

    def grid(self, times: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """The times `steps` steps after the first of `times`, which also show on which day of the month the series lies."""
        return instants_of(self._grid(nominal_times(times, self.zone), steps), self.zone)

    def _grid(self, times: np.ndarray, steps: np.ndarray) -> np.ndarray:
        if self.unit in MONTHS:
            months, rest, day = _months(times)
            return _month_times(months[0] + steps * (MONTHS[self.unit] * self.count), rest, day)
        if self.unit == "b":
            start = times[0].astype("M8[us]").astype("M8[D]")
            days: np.ndarray = np.busday_offset(start, steps * self.count).astype("M8[us]").astype(np.int64)
            return days + int(times[0]) % DAY
        return int(times[0]) + steps * self._size

    def following(self, times: np.ndarray, count: int) -> np.ndarray:
        """The next `count` times after the last of regular, ascending times (T,)."""
        last = int(self.positions(times)[-1])
        return self.grid(times, np.arange(last + 1, last + 1 + count))

    @property
    def _size(self) -> int:
        return self.count * FIXED.get(self.unit, 1)

    def _positions(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(numbers of steps, which of them are whole)."""
        if self.unit in MONTHS:
            months, rest, day = _months(times)
            steps, over = np.divmod(months - months[0], MONTHS[self.unit] * self.count)
            fits = _month_times(months, rest, day) == times
            if not fits.all():  # find those that are off the rule that most follow, instead of those off the latest day
                within = times - months.astype("M8[M]").astype("M8[us]").astype(np.int64)
                days, counts = np.unique(within, return_counts=True)
                rules: tuple[Day, ...] = ("last", "first business", "last business")
                found = [within == days[np.argmax(counts)], *(_month_times(months, rest, rule) == times for rule in rules)]
                fits = max(found, key=np.count_nonzero)
            return steps, (over == 0) & fits
        if self.unit == "b":
            days = times.astype("M8[us]").astype("M8[D]")
            steps, over = np.divmod(np.busday_count(days[0], days), self.count)
            return steps, (over == 0) & np.is_busday(days) & (times % DAY == times[0] % DAY)
        steps, over = np.divmod(times - times[0], self._size)
        return steps, over == 0


class IrregularTimeError(Exception):
    """A time lies between two steps; `index` is its place. Callers that know the series make it a sentence."""

    def __init__(self, index: int):
        super().__init__(index)
        self.index = index


def parse_frequency(text: str, setting: str = "task.frequency") -> Frequency:
    """A frequency from the text of a setting. Raises ConfigError when it is invalid."""
    match = re.fullmatch(r"(\d*)([a-z]+)", text.strip().lower())
    if match is None or match[2] not in WORDS or match[1] in ("0", "00"):
        units = ", ".join(f"{unit} ({word})" for unit, word in WORDS.items())
        raise ConfigError(f"`{setting}` must be a number and a unit such as 15m, 1h, 1d or 1mo, but is {text!r}. Units: {units}.")
    return Frequency(match[2], int(match[1] or 1))


def infer_frequency(
    series: Sequence[np.ndarray], *, calendar: bool, names: Sequence[str] | None = None, zone: str | None = None
) -> Frequency:
    """The frequency of some series, each an ascending int64 array of different times in a zone; `names` are for messages.

    Raises DataError when no series has two times, or when no step divides the gaps between them.
    """
    if zone is not None and calendar:
        shown = [nominal_times(times, zone) for times in series]
        if all((np.diff(times) % DAY == 0).all() for times in shown):  # steps of days or longer
            return infer_frequency(shown, calendar=True, names=names).at(zone)
    names = [name for name, times in zip(names or [""] * len(series), series, strict=True) if len(times) > 1]
    series = [times for times in series if len(times) > 1]
    if not series:
        raise DataError("The frequency cannot be inferred, since no series has two times. Set `task.frequency`.")
    if calendar and _whole_months(series):
        return _of_months(series, names)
    gaps, counts = np.unique(np.concatenate([np.diff(times) for times in series]), return_counts=True)
    if calendar and _business_days(series, gaps):
        return Frequency("b")
    step = int(gaps[np.argmax(counts)])
    odd = gaps[gaps % step != 0]
    if len(odd):
        example = next((number, times) for number, times in enumerate(series) if (np.diff(times) % step != 0).any())
        where = int(np.argmax(np.diff(example[1]) % step != 0))
        raise DataError(
            f"The times of a series must be regular, but most steps are {_shown(step, calendar)} and one{_of(names[example[0]])} is"
            f" {_shown(int(np.diff(example[1])[where]), calendar)}. {_remedy(series, calendar)}"
        )
    return _of_microseconds(step) if calendar else Frequency("i", step)


def _remedy(series: Sequence[np.ndarray], calendar: bool) -> str:
    """The remedy for irregular times: a set frequency also needs matching days, so days that stand for months are to be written as
    months."""
    if calendar and all(len(np.unique(times.astype("M8[us]").astype("M8[M]"))) == len(times) for times in series):
        return "If each row stands for a month, write the month instead of a day in it: 2024-03."
    return "Bring the data to one frequency, or set `task.frequency`."


def _of(name: str) -> str:
    return f" of series `{name}`" if name else ""


def _of_months(series: Sequence[np.ndarray], names: Sequence[str]) -> Frequency:
    """A frequency of months, quarters or years: the most common gap must divide the others."""
    gaps, counts = np.unique(np.concatenate([np.diff(_months(times)[0]) for times in series]), return_counts=True)
    step = int(gaps[np.argmax(counts)])
    if (gaps % step).any():
        odd = int(gaps[gaps % step != 0][0])
        where = next(name for name, times in zip(names, series, strict=True) if odd in np.diff(_months(times)[0]))
        raise DataError(
            f"The times of a series must be regular, but most steps are {step} months and one{_of(where)} is {odd}. Set `task.frequency`."
        )
    for unit in ("y", "q", "mo"):
        if step % MONTHS[unit] == 0:
            return Frequency(unit, step // MONTHS[unit])
    raise AssertionError("every number of months is a number of months")


def _of_microseconds(step: int) -> Frequency:
    """The largest unit that divides the step."""
    unit = next(name for name in reversed(list(FIXED)) if step % FIXED[name] == 0)
    return Frequency(unit, step // FIXED[unit])


def _whole_months(series: Sequence[np.ndarray]) -> bool:
    """Whether all steps are whole months, which have at least 28 days."""
    for times in series:
        if np.diff(times).min() < 28 * DAY:
            return False
        months, rest, day = _months(times)
        if (_month_times(months, rest, day) != times).any():
            return False
    return True


def _business_days(series: Sequence[np.ndarray], gaps: np.ndarray) -> bool:
    """Whether the days are consecutive without weekends, with a weekend between at least two of them."""
    if gaps.min() != DAY or (gaps % DAY).any():
        return False
    days = [times.astype("M8[us]").astype("M8[D]") for times in series]
    return all(bool(np.is_busday(each).all()) for each in days) and any(np.busday_count(each[0], each[-1]) >= 5 for each in days)


def _months(times: np.ndarray) -> tuple[np.ndarray, int, Day]:
    """(month numbers (T,), microseconds of the latest time within its month, the common position within the month)."""
    stamps = times.astype("M8[us]")
    months = stamps.astype("M8[M]")
    numbers, rest = months.astype(np.int64), int((stamps - months.astype("M8[us]")).astype(np.int64).max())
    if bool(((stamps.astype("M8[D]") + 1).astype("M8[M]") > months).all()):
        return numbers, rest, "last"
    kinds: tuple[Day, ...] = ("day", "first business", "last business")
    found: Day = next((kind for kind in kinds if (_month_times(numbers, rest, kind) == times).all()), "day")
    return numbers, rest, found


def _month_times(months: np.ndarray, rest: int, day: Day) -> np.ndarray:
    """The times within months (T,): on the same day (the last one if a month is shorter), or according to `day`."""
    firsts, nexts = months.astype("M8[M]").astype("M8[D]"), (months + 1).astype("M8[M]").astype("M8[D]")
    days: np.ndarray
    if day == "first business":
        days = np.busday_offset(firsts, 0, roll="forward")
    elif day == "last business":
        days = np.busday_offset(nexts, -1, roll="forward")
    else:
        days = nexts - 1 if day == "last" else np.minimum(firsts + rest // DAY, nexts - 1)
    return days.astype("M8[us]").astype(np.int64) + rest % DAY


def _shown(step: int, calendar: bool) -> str:
    return Frequency("i", step).words if not calendar and step == 1 else (_of_microseconds(step).words if calendar else str(step))
