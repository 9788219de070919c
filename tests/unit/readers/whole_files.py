"""Series read from a file of any format, for tests: by columns and by rows, which must be the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.contracts.files import FileConfig
from antiphon.data import series_reading
from antiphon.data.records import open_records
from antiphon.data.series_reading import read_table
from antiphon.data.series_table import SeriesColumns, SeriesTable

LONG = SeriesColumns("unique_id", "ds", ("y",))


def needed(columns: SeriesColumns) -> tuple[str, ...]:
    return (*(() if columns.id is None else (columns.id,)), columns.time, *columns.numbers, *columns.static)


def table_of(path: Path, columns: SeriesColumns = LONG, **settings: Any) -> SeriesTable:
    """The series of a file, by rows and by columns."""
    file = FileConfig(path=str(path), **settings)
    by_columns = read_table(open_records(file, required=needed(columns)), columns, needed(columns))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series_reading, "frames_of", lambda *_: None)
        by_rows = read_table(open_records(file, required=needed(columns)), columns, needed(columns))
    np.testing.assert_equal(content(by_columns), content(by_rows))
    assert by_columns.style == by_rows.style
    assert [by_columns.place(row) for row in (0, len(by_columns.row) - 1)] == [by_rows.place(row) for row in (0, len(by_rows.row) - 1)]
    return by_columns


def content(table: SeriesTable) -> Any:
    """All that a table holds, by series."""
    return [
        (name, static, rows.times.tolist(), rows.numbers.tolist())
        for name, static, rows in ((table.names[index], table.static[index], table.rows(index)) for index in range(len(table)))
    ]


def shown(table: SeriesTable) -> dict[Any, tuple[tuple[Any, ...], list[Any]]]:
    """Times as the data writes them, and the values of the first column, by series."""
    rows = {table.names[index]: table.rows(index) for index in range(len(table))}
    return {name: (table.style.write(one.times), one.numbers[:, 0].tolist()) for name, one in rows.items()}
