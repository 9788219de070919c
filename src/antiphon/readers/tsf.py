"""Files of the Monash forecasting archive: a header with attributes and the frequency, then a series per line.

Format: Godahewa et al. 2021, "Monash Time Series Forecasting Archive" (arXiv:2105.06643), appendix A: `@attribute NAME TYPE`, `@frequency`,
`@data`, then `value of attribute:...:number,number,?,...`; times are written as 1979-01-01 00-00-00.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from antiphon.contracts.reader import Located, ReaderPlugin, Reading
from antiphon.data.byte_streams import read_lines
from antiphon.errors import DataError
from antiphon.features.frequency import Frequency
from antiphon.readers.whole_series import ID, TIME, VALUE, WholeSeries, as_numbers, chosen_clock, frames_of_series, rows_of_series

if TYPE_CHECKING:
    import polars

_NAME, _START = "series_name", "start_timestamp"
_TYPES = ("string", "numeric", "date")
_UNITS = {"second": "s", "minute": "m", "hour": "h", "day": "d", "week": "w", "month": "mo", "quarter": "q", "year": "y"}
_ONE = {f"{word}ly": unit for word, unit in _UNITS.items()} | {"daily": "d", "half_hourly": "30m", "half_yearly": "6mo"}


@dataclass
class _Head:
    """The header above the series."""

    attributes: list[tuple[str, str]] = field(default_factory=list)
    frequency: Frequency | None = None
    unknown: str | None = None
    """A frequency that is none that we know."""


def series(reading: Reading) -> Iterator[WholeSeries]:
    """The series of a file. Raises DataError with the line."""
    head, inside, lines = _Head(), False, dict[Any, int]()
    for number, line in read_lines(reading.path, reading.file.encoding):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if inside:
            one = _one(reading, head, number, text)
            first = lines.setdefault(one.static[ID], number)
            if first != number:
                raise DataError(
                    f"{reading.path}:{number}: `{_NAME}` must tell one series from another, but `{one.static[ID]}` stands in line {first},"
                    " too. Put what tells them apart into the name."
                )
            yield one
        elif text.lower() == "@data":
            inside = True
            if not head.attributes:
                raise DataError(f"{reading.path}:{number} begins the data, but no line `@attribute NAME TYPE` stands above it.")
        elif text.startswith("@"):
            _take(reading.path, head, number, text)
        else:
            raise DataError(f"{reading.path}:{number} must begin with @ or #, as `@data` has not come yet, but is {_cut(text)}.")
    if not lines:
        raise DataError(f"`{reading.path}` has no series behind `@data`.")


def _take(path: Path, head: _Head, number: int, text: str) -> None:
    """Process a line of the header. Horizons and missing values can be seen in the series, so that they are ignored here."""
    word, *rest = text.split()
    if word.lower() == "@attribute":
        if len(rest) != 2 or rest[1].lower() not in _TYPES:
            raise DataError(f"{path}:{number} must be `@attribute NAME TYPE` with one of {', '.join(_TYPES)}, but is {_cut(text)}.")
        if rest[0] in (TIME, VALUE, *(name for name, _ in head.attributes)) or (rest[0] == ID and head.attributes):
            raise DataError(f"{path}:{number}: an attribute must have a name of its own, not `{rest[0]}`. Rename it in the file.")
        head.attributes.append((rest[0], rest[1].lower()))
    elif word.lower() == "@frequency" and rest:
        head.frequency = _frequency(rest[0])
        head.unknown = rest[0] if head.frequency is None else None


def _frequency(word: str) -> Frequency | None:
    """A frequency such as `monthly`, `half_hourly`, `10_minutes`."""
    counted = re.fullmatch(r"(\d+)_([a-z]+?)s?", word.lower())
    if counted is not None and counted[2] in _UNITS and int(counted[1]):
        return Frequency(_UNITS[counted[2]], int(counted[1]))
    one = re.fullmatch(r"(\d*)(\w+)", _ONE.get(word.lower(), ""))
    return None if one is None else Frequency(one[2], int(one[1] or 1))


def _one(reading: Reading, head: _Head, number: int, text: str) -> WholeSeries:
    path, cells = reading.path, text.split(":")
    if len(cells) != len(head.attributes) + 1:
        names = ", ".join(name for name, _ in head.attributes)
        raise DataError(
            f"{path}:{number} must be {len(head.attributes)} attributes ({names}) and the values, separated by colons, but has {len(cells)}"
            f" part{'s' if len(cells) > 1 else ''}."
        )
    static, start = _static(path, head, number, cells[:-1])
    if start is not None and head.unknown is not None and reading.file.frequency is None:
        raise DataError(f"`{path}` has the frequency `{head.unknown}`, which is not known. Set `frequency` of this file, such as 1h.")
    try:
        values = as_numbers(cells[-1].removesuffix(",").split(","))
    except ValueError as error:
        raise DataError(f"{path}:{number}: values must be numbers, or ? where one is missing, with commas between, but {error}.") from None
    return WholeSeries(number, chosen_clock(reading, start, head.frequency), {VALUE: values}, {ID: number, **static})


def _static(path: Path, head: _Head, number: int, cells: Sequence[str]) -> tuple[dict[str, Any], int | None]:
    """The attributes of a series, and its start time, if they contain one."""
    start, static = None, dict[str, Any]()
    for (name, kind), cell in zip(head.attributes, cells, strict=True):
        if name == _START:
            start = int(np.datetime64(_time(path, number, name, cell), "us").astype(np.int64))
            continue
        try:
            static[name] = cell if kind == "string" else _time(path, number, name, cell) if kind == "date" else float(cell)
        except ValueError:
            raise DataError(f"{path}:{number}: `{name}` must be a number, but is {_cut(cell)}.") from None
    if _NAME in static:
        static[ID] = static[_NAME]
    return static, start


def _time(path: Path, number: int, name: str, text: str) -> datetime:
    for form in ("%Y-%m-%d %H-%M-%S", "%Y-%m-%d"):
        try:
            return datetime.strptime(text.strip(), form)
        except ValueError:
            continue
    raise DataError(f"{path}:{number}: `{name}` must be a time such as 1979-01-01 00-00-00, but is {_cut(text)}.")


def _cut(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")


def read(reading: Reading) -> Located:
    """A record for each value of each series."""
    return rows_of_series(series(reading), reading)


def frames(reading: Reading, columns: tuple[str, ...] | None) -> "Iterator[polars.DataFrame]":
    """The same in data frames."""
    return frames_of_series(series(reading), reading, columns)


plugin = ReaderPlugin(
    name="tsf",
    summary="the Monash archive: one series per line; columns unique_id, ds, y and the attributes",
    suffixes=(".tsf",),
    read=read,
    settings=frozenset({"encoding", "frequency", "start"}),
    frames=frames,
)
