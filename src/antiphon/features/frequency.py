"""The step from one time of a series to the next: "15m", "1h", "1d", "1b" (business days), "1w", "1mo", "1q", "1y", "1i" (integers).

The texts are polars' durations, with b for business days. Months, quarters and years have no fixed length, so they are steps of the
calendar: on one day of the month (the last one that there is), or on the last day of each.

Unusual here: a frequency is inferred from all series together, as the most common step, which must divide all others; so gaps in a
series do not mislead it, and what does not fit is named instead of guessed at.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from antiphon.errors import ConfigError, DataError

FIXED = {"us": 1, "ms": 1000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6, "w": 7 * 86400 * 10**6}
MONTHS = {"mo": 1, "q": 3, "y": 12}
DAY = FIXED["d"]
WORDS = {"i": "integer", "b": "business day", "us": "microsecond", "ms": "millisecond", "s": "second", "m": "minute", "h": "hour"}
WORDS |= {"d": "day", "w": "week", "mo": "month", "q": "quarter", "y": "year"}

# The season that people mean when they name none, in steps of one unit (as in GluonTS, but weeks of a year and days of a week).
_SEASONS = {"s": 60, "m": 1440, "h": 24, "d": 7, "b": 5, "w": 52, "mo": 12, "q": 4, "y": 1, "i": 1, "ms": 1, "us": 1}


@dataclass(frozen=True)
class Frequency:
    """`count` units of time from one step to the next."""

    unit: str
    count: int = 1

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"

    @property
    def words(self) -> str:
        """For people: "15 minutes"."""
        return WORDS[self.unit] if self.count == 1 else f"{self.count} {WORDS[self.unit]}s"

    @property
    def calendar(self) -> bool:
        """Whether the steps are between dates rather than whole numbers."""
        return self.unit != "i"

    @property
    def season(self) -> int:
        """Steps of the natural season: a day of hours, a week of days, a year of months; 1 where there is none."""
        steps = _SEASONS[self.unit]
        return steps // self.count if steps % self.count == 0 else 1

    def positions(self, times: np.ndarray) -> np.ndarray:
        """Steps from the first of ascending times (T,) to each, int64 (T,). Raises DataError with the place of one that is off."""
        steps, fits = self._positions(times)
        if not fits.all():
            raise IrregularTimeError(int(np.argmin(fits)))
        return steps

    def grid(self, times: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """The times that lie `steps` behind the first of `times`, which show on which day of the month the series stands."""
        if self.unit in MONTHS:
            months, rest, end = _months(times)
            return _month_times(months[0] + steps * (MONTHS[self.unit] * self.count), rest, end)
        if self.unit == "b":
            start = times[0].astype("M8[us]").astype("M8[D]")
            days: np.ndarray = np.busday_offset(start, steps * self.count).astype("M8[us]").astype(np.int64)
            return days + int(times[0]) % DAY
        return int(times[0]) + steps * self._size

    def following(self, times: np.ndarray, count: int) -> np.ndarray:
        """The `count` times after the last of regular, ascending times (T,)."""
        last = int(self.positions(times)[-1])
        return self.grid(times, np.arange(last + 1, last + 1 + count))

    @property
    def _size(self) -> int:
        return self.count * FIXED.get(self.unit, 1)

    def _positions(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(steps, which of them are whole)."""
        if self.unit in MONTHS:
            months, rest, end = _months(times)
            steps, over = np.divmod(months - months[0], MONTHS[self.unit] * self.count)
            fits = _month_times(months, rest, end) == times
            if not fits.all():  # find those that are off the usual day, instead of those off the latest
                within = times - months.astype("M8[M]").astype("M8[us]").astype(np.int64)
                days, counts = np.unique(within, return_counts=True)
                fits = within == days[np.argmax(counts)]
            return steps, (over == 0) & fits
        if self.unit == "b":
            days = times.astype("M8[us]").astype("M8[D]")
            steps, over = np.divmod(np.busday_count(days[0], days), self.count)
            return steps, (over == 0) & np.is_busday(days) & (times % DAY == times[0] % DAY)
        steps, over = np.divmod(times - times[0], self._size)
        return steps, over == 0


class IrregularTimeError(Exception):
    """A time that stands between two steps; `index` is its place. Whoever knows the series says it in words."""

    def __init__(self, index: int):
        super().__init__(index)
        self.index = index


def parse_frequency(text: str) -> Frequency:
    """A frequency from its text. Raises ConfigError when it is none."""
    match = re.fullmatch(r"(\d*)([a-z]+)", text.strip().lower())
    if match is None or match[2] not in WORDS or match[1] in ("0", "00"):
        units = ", ".join(f"{unit} ({word})" for unit, word in WORDS.items())
        raise ConfigError(f"`task.frequency` must be a number and a unit such as 15m, 1h, 1d or 1mo, but is {text!r}. Units: {units}.")
    return Frequency(match[2], int(match[1] or 1))


def infer_frequency(series: Sequence[np.ndarray], *, calendar: bool, names: Sequence[str] | None = None) -> Frequency:
    """The step of some series, each an ascending int64 array of different times; `names` are for people.

    Raises DataError when no series has two times, or when no step divides the gaps between them.
    """
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
            f" {_shown(int(np.diff(example[1])[where]), calendar)}. Bring the data to one frequency, or set `task.frequency`."
        )
    return _of_microseconds(step) if calendar else Frequency("i", step)


def _of(name: str) -> str:
    return f" of series `{name}`" if name else ""


def _of_months(series: Sequence[np.ndarray], names: Sequence[str]) -> Frequency:
    """Months, quarters or years: the most common gap must divide the others."""
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
    """Whether all steps are whole months, none below 28 days."""
    for times in series:
        if np.diff(times).min() < 28 * DAY:
            return False
        months, rest, end = _months(times)
        if (_month_times(months, rest, end) != times).any():
            return False
    return True


def _business_days(series: Sequence[np.ndarray], gaps: np.ndarray) -> bool:
    """Whether days follow each other, but never on a weekend, though there was one in between."""
    if gaps.min() != DAY or (gaps % DAY).any():
        return False
    days = [times.astype("M8[us]").astype("M8[D]") for times in series]
    return all(bool(np.is_busday(each).all()) for each in days) and any(np.busday_count(each[0], each[-1]) >= 5 for each in days)


def _months(times: np.ndarray) -> tuple[np.ndarray, int, bool]:
    """(month numbers (T,), microseconds of the latest time within its month, whether all stand on a month's last day)."""
    stamps = times.astype("M8[us]")
    months = stamps.astype("M8[M]")
    rest = (stamps - months.astype("M8[us]")).astype(np.int64)
    end = bool(((stamps.astype("M8[D]") + 1).astype("M8[M]") > months).all())
    return months.astype(np.int64), int(rest.max()), end


def _month_times(months: np.ndarray, rest: int, end: bool) -> np.ndarray:
    """The times within months (T,), on the same day, or the last one where a month is shorter."""
    starts = months.astype("M8[M]").astype("M8[us]").astype(np.int64)
    lasts = (months + 1).astype("M8[M]").astype("M8[us]").astype(np.int64) - DAY
    within: np.ndarray = rest % DAY + (lasts if end else np.minimum(starts + rest // DAY * DAY, lasts))
    return within


def _shown(step: int, calendar: bool) -> str:
    return Frequency("i", step).words if not calendar and step == 1 else (_of_microseconds(step).words if calendar else str(step))
