"""Converts times between text and int64: integers unchanged, dates and clock times as microseconds since 1970 (UTC).

Accepted are integers, ISO 8601 texts ("1994-12", "1994-12-31", "1994-12-31T23:30", with or without an offset from UTC), quarters
("1994Q4", "1994-Q4"), and `date` and `datetime` objects. What is written back looks like what was read, its zone included.

Unusual: a text such as 2022-01-01T13-05 is refused. ISO 8601 reads 13:00 five hours behind UTC, most people who write it mean 13:05.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, final

import numpy as np

from antiphon.errors import DataError
from antiphon.features.zones import fixed_zone, python_zone, wall_times, zone_of

Kind = Literal["integer", "text", "date", "datetime"]

_INTEGER = re.compile(r"[+-]?\d+")
_QUARTER = re.compile(r"(\d{4})(-?[Qq])([1-4])")
_STAMP = re.compile(r"(\d{4}-\d\d(?:-\d\d)?|\d{4}-\d\d-\d\d[T ]\d\d(?::\d\d(?::\d\d(?:\.\d{1,6}0*)?)?)?)(Z|[+-]\d\d(?::?\d\d)?)?")
_WITH_DASH = re.compile(r"(.+[T ]\d\d)-(\d\d)")
_PRECISIONS = {7: "M", 10: "D", 13: "h", 16: "m", 19: "s", 23: "ms", 26: "us"}  # characters of an ISO text -> its unit
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class TimeStyle:
    """The notation of times in a data set.

    kind        whole numbers, texts, or objects of Python's `datetime`
    precision   numpy's name of the last unit that a text shows ("Q" for quarters)
    separator   what stands between date and clock time in a text, or between year and quarter
    zone        the zone that times are written in; None where they have none
    offset      how texts write the distance from UTC: like Z, +01:00, +0100 or +01
    """

    kind: Kind = "text"
    precision: str = "D"
    separator: str = "T"
    zone: str | None = None
    offset: str = ""

    @property
    def calendar(self) -> bool:
        """Whether times are dates rather than integers."""
        return self.kind != "integer"

    def write(self, times: np.ndarray) -> tuple[object, ...]:
        """Times (T,) in the notation of the data; it is made more precise if necessary, so that no time is truncated."""
        if self.kind == "integer":
            return tuple(int(time) for time in times)
        if self.kind == "datetime" and self.zone is not None:
            zone = python_zone(self.zone)
            return tuple((_EPOCH + timedelta(microseconds=int(time))).astimezone(zone) for time in times)
        shown = wall_times(times, self.zone)
        stamps = shown.astype("M8[us]")
        if self.kind == "datetime" or (self.kind == "date" and bool((stamps.astype("M8[D]") != stamps).any())):
            return tuple(stamps.tolist())
        if self.kind == "date":
            return tuple(stamp.date() for stamp in stamps.tolist())
        if self.precision == "Q":
            between = self.separator if self.separator != "T" else "Q"  # as older runs have it
            return tuple(f"{stamp.year}{between}{(stamp.month + 2) // 3}" for stamp in stamps.tolist())
        units = ["M", "D", "h", "m", "s", "ms", "us"]
        fitting = [unit for unit in units[units.index(self.precision) :] if (stamps.astype(f"M8[{unit}]") == stamps).all()]
        texts = np.datetime_as_string(stamps, unit=fitting[0] if fitting else "us")  # type: ignore[call-overload]
        behind = [""] * len(times) if self.zone is None else [_offset(int(ahead), self.offset) for ahead in shown - times]
        return tuple(str(text).replace("T", self.separator) + end for text, end in zip(texts, behind, strict=True))


@final
class TimesRead:
    """Parses times of one data set, and detects their notation."""

    def __init__(self) -> None:
        self._first: TimeStyle | None = None
        self._zones: dict[str | None, TimeStyle] = {}

    def values(self, values: Sequence[Any]) -> np.ndarray:
        """Times (T,) as int64. Raises DataError for the first invalid time, or one of another kind than the others."""
        return np.fromiter((self._value(value) for value in values), dtype=np.int64, count=len(values))

    def found(self, style: TimeStyle) -> None:
        """Add the notation of times parsed elsewhere. Raises DataError if it is of another kind than earlier ones."""
        self._first = self._first or style
        if style.calendar != self._first.calendar:
            raise DataError("times must be all whole numbers or all dates, but are both.")
        if style.zone not in self._zones:
            self._zones[style.zone] = style
            if None in self._zones and len(self._zones) > 1:
                raise DataError("times must have an offset from UTC everywhere or nowhere, but are of both kinds.")

    @property
    def varies(self) -> bool:
        """Whether times have different offsets from UTC."""
        return len(self._zones) > 1

    def is_odd(self, value: Any) -> bool:
        """Whether a time has another offset than the first one."""
        return self._first is not None and style_of(value).zone != self._first.zone

    def style(self, zone: str | None) -> TimeStyle:
        """The notation; `zone` is the one that the user gives for times with an offset.

        Raises DataError where offsets differ and no zone is named.
        """
        assert self._first is not None, "times were read"
        if self._first.zone is None:
            return self._first
        if zone is not None and self._first.kind == "text" and self._first.offset != "Z":
            return replace(self._first, zone=zone)
        if self.varies:
            zones = sorted(str(name) for name in self._zones)
            shown = f"{', '.join(zones[:-1])} and {zones[-1]}"
            raise DataError(
                f"times must be of one zone, but have the offsets {shown}: what follows them cannot be told. Name the zone in"
                " `task.time_zone`, such as Europe/Berlin."
            )
        return self._first

    def _value(self, value: Any) -> int:
        time, style = _read(value)
        if style is not self._first:
            self.found(style)
        return time


def style_of(value: Any) -> TimeStyle:
    """The notation of one value. Raises DataError when it is not a time."""
    return _read(value)[1]


def read_time(value: Any) -> int:
    """One time as a number. Raises DataError naming the value when it is not a time."""
    return _read(value)[0]


_WHOLE, _DATE = TimeStyle("integer"), TimeStyle("date")


def _read(value: Any) -> tuple[int, TimeStyle]:
    if isinstance(value, str):
        found = _read_text(value.strip())
        if found is not None:
            return found
    elif isinstance(value, datetime):
        if value == value:  # pandas has a time that is none
            return _stamp(value), TimeStyle("datetime", zone=zone_of(value))
    elif isinstance(value, date):
        return int(np.datetime64(value, "us").astype(np.int64)), _DATE
    elif (isinstance(value, int | np.integer) and not isinstance(value, bool)) or (
        isinstance(value, float | np.floating) and float(value).is_integer()
    ):
        return int(value), _WHOLE
    wanted = "a whole number, or a date such as 1994-12-31 or 1994-12-31T23:30"
    raise DataError(f"a time must be {wanted}, but {'is missing' if value is None or value == '' else f'is {value!r}'}.")


@lru_cache(maxsize=65536)
def _read_text(text: str) -> tuple[int, TimeStyle] | None:
    if _INTEGER.fullmatch(text):
        return int(text), _WHOLE
    quarter = _QUARTER.fullmatch(text)
    if quarter:
        return _microseconds(f"{quarter[1]}-{3 * int(quarter[3]) - 2:02d}"), TimeStyle("text", "Q", quarter[2])
    stamp = _STAMP.fullmatch(text)
    if stamp is None:
        return None
    bare, offset = stamp[1], stamp[2]
    if offset is not None and len(bare) < 13:  # a date has none: 2024-01-05-07
        return None
    dashed = _WITH_DASH.fullmatch(text)
    if dashed:
        raise DataError(
            f"a time must have one meaning, but {text!r} may be {dashed[1][-2:]}:{dashed[2]} o'clock, or {dashed[1][-2:]} o'clock"
            f" {int(dashed[2])} hours behind UTC. Write {dashed[1]}:{dashed[2]} or {dashed[1]}:00-{dashed[2]}:00."
        )
    try:
        time = _microseconds(bare[:26])
        zoned = None if offset is None else datetime.fromisoformat(f"2000-01-01T00:00{offset}")
    except ValueError:
        return None
    precision, separator = _PRECISIONS.get(len(bare), "us"), " " if " " in text else "T"
    if zoned is None or offset is None:
        return time, TimeStyle("text", precision, separator)
    ahead = zoned.utcoffset() or timedelta()
    return time - ahead // timedelta(microseconds=1), TimeStyle("text", precision, separator, fixed_zone(zoned), offset)


def _microseconds(text: str) -> int:
    return int(np.datetime64(text, "us").astype(np.int64))


def _stamp(value: datetime) -> int:
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return int(np.datetime64(value, "us").astype(np.int64))


def _offset(ahead: int, like: str) -> str:
    """An offset from UTC in microseconds, in the notation of another."""
    if like == "Z":
        return "Z"
    minutes = abs(ahead) // 60_000_000
    between = ":" if ":" in like else ""
    behind = "" if len(like) == 3 and minutes % 60 == 0 else f"{between}{minutes % 60:02d}"
    return f"{'-' if ahead < 0 else '+'}{minutes // 60:02d}{behind}"
