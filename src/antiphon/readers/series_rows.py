"""Comma- or tab-separated tables with a row for each series and a column for each time, as in the M4 and M5 competitions.

The first column names the series (`unique_id`). The times are the longest run of columns behind it that are called by dates, or by one
word and rising numbers (`d_1`, `d_2`, ... of M5, `V2`, `V3`, ... of M4, `1960`, `1961`, ...); others have one value for a series, and keep
their names. Empty cells at the end of a row are no values: rows are shorter where series are.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from antiphon.contracts import registry
from antiphon.contracts.reader import IrregularError, Located, ReaderPlugin, Reading, Skip
from antiphon.data.fields import check_columns
from antiphon.data.formats import suffix_of
from antiphon.data.table_blocks import blocks_of, names_in, parsed
from antiphon.errors import ConfigError, DataError
from antiphon.features.times import style_of
from antiphon.readers.whole_series import ID, TIME, VALUE, check_long, chosen_clock

if TYPE_CHECKING:
    import polars

_ROWS = 2_000_000  # of a frame, about
_COUNTED = re.compile(r"(.*?)(\d+)")


@dataclass(frozen=True)
class _Layout:
    """The roles of the columns.

    steps    those with the values, each with its time as people write it, or as a whole number
    static   all others
    """

    id: str
    steps: dict[str, Any]
    static: tuple[str, ...]


def layout_of(names: Sequence[str], reading: Reading) -> _Layout:
    """The roles of a table's columns. Raises DataError when no two of them look like times."""
    runs = [list(run) for _, run in groupby(names[1:], key=_kind)]
    runs = [part for run in runs for part in _rising(run) if _kind(run[0]) is not None]
    longest = max(runs, key=len, default=[])
    if len(longest) < 2:
        raise DataError(
            f"`{reading.path}` must have a column for each time, named by dates (2024-01-31) or numbers (d_1, d_2), but has:"
            f" {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}."
        )
    if reading.file.frequency is not None and reading.file.start is None:
        raise ConfigError(f"`frequency` of `{reading.path}` has no effect without `start`, the time of `{longest[0]}`. Set it, too.")
    clock = None if reading.file.start is None else chosen_clock(reading, None, None)
    times = [_time(name) for name in longest] if clock is None else list(clock.style.write(clock.times(len(longest))))
    steps = dict(zip(longest, times, strict=True))
    static = tuple(name for name in names if name not in steps)
    taken = next((name for name in static[1:] if name in (ID, TIME, VALUE)), None)
    if taken is not None:
        raise DataError(f"`{reading.path}` has a column `{taken}`, a name that times or values will have. Rename it.")
    return _Layout(names[0], steps, static)


def _kind(name: str) -> str | None:
    """The kind of a column name: the same for columns that may be times of one table."""
    try:
        if style_of(name.strip()).calendar:
            return "date"
    except DataError:
        pass
    counted = _COUNTED.fullmatch(name.strip())
    return None if counted is None else f"number {counted[1]}"


def _time(name: str) -> Any:
    counted = _COUNTED.fullmatch(name.strip())
    return name.strip() if _kind(name) == "date" or counted is None else int(counted[2])


def _rising(run: Sequence[str]) -> Iterator[list[str]]:
    """A run of columns in parts, in each of which time increases. Dates are sorted later, as for rows."""
    if _kind(run[0]) in ("date", None):
        yield list(run)
        return
    part: list[str] = []
    for name in run:
        if part and _time(name) <= _time(part[-1]):
            yield part
            part = []
        part.append(name)
    yield part


def read(reading: Reading) -> Located:
    """A record for each value in each row."""
    inner: ReaderPlugin = registry.find("readers", _table_format(reading))
    layout: _Layout | None = None
    for line, row in inner.read(replace(reading, required=())):
        assert not isinstance(row, Skip), "tables skip nothing"
        layout = layout or layout_of(list(row), reading)
        static = {ID: row[layout.id], **{name: row[name] for name in layout.static}}
        check_columns([*static, TIME, VALUE], reading.required, f"{reading.path}:{line}")
        values = [row[name] for name in layout.steps]
        # A series without any value keeps one row, so that it is told of.
        count = next((place for place in range(len(values), 0, -1) if values[place - 1] not in ("", None)), 1)
        for time, value in zip(list(layout.steps.values())[:count], values[:count], strict=True):
            yield line, {**static, TIME: time, VALUE: value}


def _table_format(reading: Reading) -> str:
    return "tsv" if suffix_of(reading.path) in (".tsv", ".tab") else "csv"


def frames(reading: Reading, columns: tuple[str, ...] | None) -> "Iterator[polars.DataFrame]":
    """The same in data frames; irregular files are read row by row."""
    check_long(reading, columns)
    file, quotes = reading.file, _table_format(reading) == "csv"
    separator = file.delimiter if quotes else "\t"
    if not separator.isascii() or file.encoding.lower().replace("-", "") != "utf8":
        raise IrregularError
    names, layout = list(file.columns), None
    for block in blocks_of(reading.path, quotes):
        if not names:
            head, _, block = block.partition(b"\n")
            names = names_in(head, separator, quotes)
            if not block:
                raise IrregularError
        layout = layout or layout_of(names, reading)
        if not set(columns or ()) <= {ID, TIME, VALUE, *layout.static}:
            raise IrregularError
        table = parsed(block, names, separator, quotes, numbers=set(layout.steps), decimal=file.decimal)
        if not all(table[name].dtype.is_numeric() for name in layout.steps):
            raise IrregularError
        size = max(1, _ROWS // len(layout.steps))
        yield from (_unpivoted(part, layout, columns) for part in table.iter_slices(size))


def _unpivoted(table: "polars.DataFrame", layout: _Layout, columns: Sequence[str] | None) -> "polars.DataFrame":
    import polars

    values = table.select(polars.col(list(layout.steps)).fill_null(float("nan"))).to_numpy()
    there = ~np.isnan(values)
    lengths = np.where(there.any(axis=1), values.shape[1] - np.argmax(there[:, ::-1], axis=1), 1)
    taken = np.arange(values.shape[1]) < lengths[:, None]
    row, step = np.nonzero(taken)
    steps = list(layout.steps.values())
    kind = polars.Categorical if isinstance(steps[0], str) else None
    times = polars.Series(TIME, steps, dtype=kind)[polars.Series(step)]
    static = table.select(polars.col(layout.static).cast(polars.Categorical)).with_columns(polars.col(layout.id).alias(ID))
    wanted = [name for name in static.columns if columns is None or name in columns]
    frame = static.select(wanted)[polars.Series(row)].with_columns(times, polars.Series(VALUE, values[taken]))
    return frame if columns is None else frame.select(columns)


plugin = ReaderPlugin(
    name="series_rows",
    summary="tables with one row for each series and one column for each time, as those of M4 and M5; only by `format`",
    suffixes=(),
    read=read,
    settings=frozenset({"encoding", "columns", "delimiter", "decimal", "frequency", "start"}),
    frames=frames,
    has_types=False,
)
