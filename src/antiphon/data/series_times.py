"""Converts a column of times to int64, without a loop over rows if all have the same notation."""

from typing import TYPE_CHECKING

import numpy as np

from antiphon.errors import DataError
from antiphon.features.times import TimesRead, TimeStyle, style_of

if TYPE_CHECKING:
    import polars

_OFTEN = 20  # rows for each different time, from which it is quicker to read each of them once
_FORMATS = {"D": (10, "%Y-%m-%d"), "m": (16, "%Y-%m-%d{}%H:%M"), "s": (19, "%Y-%m-%d{}%H:%M:%S")}


def column_times(column: "polars.Series", seen: TimesRead) -> np.ndarray:
    """The times in a column (T,). Raises DataError for an invalid one, or one in another notation."""
    import polars

    kind = column.dtype
    if isinstance(kind, polars.Categorical) and not column.null_count():
        places, found, different = distinct(column)
        return looked_up(places, found, seen.values(different))
    if column.null_count() or not (kind.is_integer() or kind.is_temporal() or kind == polars.String):
        return seen.values(column.to_list())
    if kind == polars.String:
        return _texts(column, seen)
    if kind.is_integer():
        seen.found(TimeStyle("integer"))
        return column.cast(polars.Int64).to_numpy()
    if isinstance(kind, polars.Datetime):
        seen.found(TimeStyle("datetime", zone=kind.time_zone))
    elif kind == polars.Date:
        seen.found(TimeStyle("date"))
    else:
        return seen.values(column.to_list())
    return column.cast(polars.Datetime("us", getattr(kind, "time_zone", None))).to_physical().to_numpy()


def _texts(column: "polars.Series", seen: TimesRead) -> np.ndarray:
    import polars

    if repeats(column):
        return column_times(column.cast(polars.Categorical), seen)
    first = str(column[0])
    style = style_of(first)
    if (column.str.len_bytes() == len(first)).all():
        found = _whole(column) if style.kind == "integer" else _stamps(column, first, style, seen)
        if found is not None:
            seen.found(style)
            return found
    return seen.values(column.to_list())


def repeats(column: "polars.Series") -> bool:
    """Whether texts are repeated in a column so often that it is quicker to convert each different one once."""
    return bool(_OFTEN * column.n_unique() < len(column))


def distinct(column: "polars.Series") -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The texts of a column as numbers (T,), the numbers of the different ones, and their texts, in order of first appearance."""
    import polars

    column = column.cast(polars.Categorical)
    numbers = column.to_physical()
    first = numbers.arg_unique()
    return numbers.to_numpy(), numbers.gather(first).to_numpy(), column.gather(first).cast(polars.String).to_list()


def looked_up(numbers: np.ndarray, found: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The value for each number (T,), given those of the different ones (N,)."""
    by_number = np.zeros(int(found.max()) + 1, dtype=values.dtype)
    by_number[found] = values
    every: np.ndarray = by_number[numbers]
    return every


def _whole(column: "polars.Series") -> np.ndarray | None:
    import polars

    found = column.cast(polars.Int64, strict=False)
    times: np.ndarray = found.to_numpy()
    return None if found.null_count() else times


def _stamps(column: "polars.Series", first: str, style: TimeStyle, seen: TimesRead) -> np.ndarray | None:
    """Texts in one notation, including the offset at their end; None if they differ."""
    import polars

    length, form = _FORMATS.get(style.precision, (0, ""))
    if not length or len(first) != length + len(style.offset):
        return None
    try:
        stamps = (column.str.slice(0, length) if style.offset else column).str.to_datetime(form.format(style.separator), time_unit="us")
    except polars.exceptions.PolarsError:
        return None
    times: np.ndarray = stamps.to_physical().to_numpy()
    if not style.offset:
        return times
    seen.found(style)
    numbers, found, ends = distinct(column.str.slice(length))
    try:
        ahead = np.array([_ahead(end, seen) for end in ends])
    except DataError:
        return None
    instants: np.ndarray = times - looked_up(numbers, found, ahead)
    return instants


def _ahead(end: str, seen: TimesRead) -> int:
    """The offset from UTC, positive in the east."""
    there = TimesRead()
    time = int(there.values([f"1970-01-01T00:00{end}"])[0])
    seen.found(there.style(None))
    return -time
