"""Times as people write them <-> int64: whole numbers as they are, dates and clock times as microseconds since 1970 (UTC).

Accepted are integers, ISO 8601 texts ("1994-12", "1994-12-31", "1994-12-31T23:30", with or without an offset), quarters ("1994Q4"), and
`date` and `datetime` objects. What is written back looks like what was read. Times with an offset are converted to UTC.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

import numpy as np

from antiphon.errors import DataError

Kind = Literal["integer", "text", "date", "datetime"]

_INTEGER = re.compile(r"[+-]?\d+")
_QUARTER = re.compile(r"(\d{4})-?[Qq]([1-4])")
_OFFSET = re.compile(r"\d{2}:\d{2}.*(Z|[+-]\d{2}:?\d{2})$")
_PRECISIONS = {7: "M", 10: "D", 13: "h", 16: "m", 19: "s", 23: "ms", 26: "us"}  # characters of an ISO text -> its unit


@dataclass(frozen=True)
class TimeStyle:
    """How a data set writes its times.

    kind        whole numbers, texts, or objects of Python's `datetime`
    precision   numpy's name of the last unit that a text shows ("Q" for quarters)
    separator   what stands between date and clock time in a text
    """

    kind: Kind = "text"
    precision: str = "D"
    separator: str = "T"

    @property
    def calendar(self) -> bool:
        """Whether times are dates rather than whole numbers."""
        return self.kind != "integer"

    def write(self, times: np.ndarray) -> tuple[object, ...]:
        """Times (T,) as the data writes them; a text becomes more precise where it must, so that no time is cut."""
        if self.kind == "integer":
            return tuple(int(time) for time in times)
        stamps = times.astype("M8[us]")
        if self.kind == "datetime":
            return tuple(stamps.tolist())
        if self.kind == "date":
            return tuple(stamp.date() for stamp in stamps.tolist())
        if self.precision == "Q":
            return tuple(f"{stamp.year}Q{(stamp.month + 2) // 3}" for stamp in stamps.tolist())
        units = ["M", "D", "h", "m", "s", "ms", "us"]
        fitting = [unit for unit in units[units.index(self.precision) :] if (stamps.astype(f"M8[{unit}]") == stamps).all()]
        texts = np.datetime_as_string(stamps, unit=fitting[0] if fitting else "us")  # type: ignore[call-overload]
        return tuple(str(text).replace("T", self.separator) for text in texts)


def style_of(value: Any) -> TimeStyle:
    """How one value is written. Raises DataError when it is no time."""
    if isinstance(value, datetime):
        return TimeStyle("datetime")
    if isinstance(value, date):
        return TimeStyle("date")
    if not isinstance(value, str):
        read_time(value)
        return TimeStyle("integer")
    text = value.strip()
    if _INTEGER.fullmatch(text):
        return TimeStyle("integer")
    if _QUARTER.fullmatch(text):
        return TimeStyle("text", "Q")
    read_time(text)
    bare = text[: _OFFSET.search(text).start(1)] if _OFFSET.search(text) else text  # type: ignore[union-attr]
    return TimeStyle("text", _PRECISIONS.get(len(bare), "us"), " " if " " in text else "T")


def read_time(value: Any) -> int:
    """One time as a number. Raises DataError naming the value when it is no time."""
    if isinstance(value, datetime):
        return _stamp(value)
    if isinstance(value, date):
        return int(np.datetime64(value, "us").astype(np.int64))
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return int(value)
    if isinstance(value, str):
        number = _read_text(value.strip())
        if number is not None:
            return number
    wanted = "a whole number, or a date such as 1994-12-31 or 1994-12-31T23:30"
    raise DataError(f"a time must be {wanted}, but {'is missing' if value is None or value == '' else f'is {value!r}'}.")


def read_times(values: Sequence[Any]) -> np.ndarray:
    """Times (T,) as int64; quick for texts of one form. Raises DataError for the first that is no time."""
    if values and isinstance(values[0], str) and all(isinstance(value, str) for value in values):
        first = values[0].strip()
        plain = not (_INTEGER.fullmatch(first) or _QUARTER.fullmatch(first))
        if plain and all(len(value) == len(values[0]) for value in values) and not _OFFSET.search(first):
            try:
                stamps = np.array(values, dtype="M8[us]")
            except ValueError:
                pass  # one of them is wrong: found below
            else:
                if not np.isnat(stamps).any():
                    return stamps.astype(np.int64)
    return np.fromiter((read_time(value) for value in values), dtype=np.int64, count=len(values))


def _read_text(text: str) -> int | None:
    if _INTEGER.fullmatch(text):
        return int(text)
    quarter = _QUARTER.fullmatch(text)
    if quarter:
        text = f"{quarter[1]}-{3 * int(quarter[2]) - 2:02d}"
    try:
        if _OFFSET.search(text):
            return _stamp(datetime.fromisoformat(text))
        stamp = np.datetime64(text, "us")
    except ValueError:
        return None
    return None if np.isnat(stamp) else int(stamp.astype(np.int64))


def _stamp(value: datetime) -> int:
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return int(np.datetime64(value, "us").astype(np.int64))
