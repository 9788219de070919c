"""Rows become series: order, gaps, duplicates, missing values, and what is refused."""

import datetime
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from antiphon.contracts.records import Records
from antiphon.data import series_reading, series_table
from antiphon.data.series import Series, SeriesReader, fill
from antiphon.data.series_reading import read_table
from antiphon.data.series_table import SeriesColumns
from antiphon.errors import DataError
from antiphon.features.frequency import parse_frequency

COLUMNS = SeriesColumns("id", "ds", ("y",))


class Placed(Records):
    """Rows that know where they stand."""

    def __init__(self, rows: list[dict[str, Any]]):
        self.rows = rows

    def __call__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        return iter(enumerate(self.rows))

    def place(self, number: int) -> str:
        return f"train.csv:{number + 2}"

    def signature(self) -> str:
        return ""


def read(
    rows: list[dict[str, Any]], columns: SeriesColumns = COLUMNS, frequency: str = "1d", missing: Any = "error", duplicates: Any = "error"
) -> tuple[list[Series], SeriesReader]:
    table = read_table(Placed(rows), columns, ())
    reader = SeriesReader(table, parse_frequency(frequency).at(columns.zone or table.style.zone), missing, duplicates)
    return list(reader), reader


def days(*values: Any, name: str = "a", start: int = 1) -> list[dict[str, Any]]:
    return [{"id": name, "ds": f"2024-01-{start + step:02d}", "y": value} for step, value in enumerate(values)]


def test_rows_of_several_series_in_any_order() -> None:
    rows = [*days(1, 2, 3), *days(7, 8, name="b")]
    shuffled = [rows[place] for place in (3, 0, 2, 4, 1)]
    found, reader = read(shuffled)
    assert [(series.unique_id, series.targets[:, 0].tolist()) for series in found] == [("b", [7, 8]), ("a", [1, 2, 3])]
    assert reader.mended.sentences() == ("1 series had rows that were not in the order of time (first in series `a`).",)
    assert len(found[1]) == 3
    assert found[0].times.dtype == np.int64


def test_rows_beyond_the_memory_go_to_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_table, "_MEMORY", 200)
    monkeypatch.setattr(series_reading, "_BLOCK", 3)
    rows = [row for day in range(1, 15) for name in "abc" for row in days(day * 10 + ord(name), name=name, start=day)]
    found, _ = read(rows)
    for series in found:
        assert series.targets[:, 0].tolist() == [day * 10 + ord(str(series.unique_id)) for day in range(1, 15)]


def test_missing_steps_and_values() -> None:
    rows = [row for row in days(None, 1.0, 2.0, 3.0, None, 5.0, None) if row["ds"] != "2024-01-03"]
    with pytest.raises(DataError, match=r"Series `a` must have a number in `y` at 2024-01-03, but has no row for it; 1 more is missing\."):
        read(rows)
    (series,), reader = read(rows, missing="linear")
    np.testing.assert_array_equal(series.targets[:, 0], [1, np.nan, 3, np.nan, 5])  # ends without a value are no part of the series
    assert "2 missing values, for which the model reads others (linear)" in " ".join(reader.mended.sentences())
    assert "1 leading rows without a value" in " ".join(reader.mended.sentences())
    assert "1 trailing rows without a value" in " ".join(reader.mended.sentences())


@pytest.mark.parametrize(("policy", "expected"), [("previous", [1, 1, 1, 4, 4]), ("linear", [1, 2, 3, 4, 4]), ("zero", [1, 0, 0, 4, 0])])
def test_filling(policy: Any, expected: list[float]) -> None:
    values = np.array([[1, np.nan, np.nan, 4, np.nan], [np.nan] * 5, [np.nan, 2, 2, 2, 2]]).T
    filled = fill(values, policy)
    assert filled[:, 0].tolist() == expected
    assert filled[:, 1].tolist() == [0] * 5
    assert filled[0, 2] == (0 if policy == "zero" else 2)
    assert np.isnan(values[1, 0])


@pytest.mark.parametrize(("policy", "expected"), [("last", 5.0), ("mean", 3.5), ("sum", 7.0)])
def test_duplicates(policy: Any, expected: float) -> None:
    rows = [*days(1, 2, 3), {"id": "a", "ds": "2024-01-02", "y": 5}]
    with pytest.raises(DataError, match=r"one row for 2024-01-02, but has more: train.csv:3 and train.csv:5"):
        read(rows)
    (series,), reader = read(rows, duplicates=policy)
    assert series.targets[:, 0].tolist() == [1, expected, 3]
    assert "1 rows shared their time" in " ".join(reader.mended.sentences())


def test_a_sum_adds_targets_only() -> None:
    columns = SeriesColumns("id", "ds", ("y",), past=("visitors",), known=("price",), static=("size",))
    rows = [{**row, "visitors": 10, "price": 2, "size": 5} for row in days(1, 2, 3)]
    (series,), reader = read([*rows, {**rows[1], "y": 5, "price": 2.5}, {**rows[2], "visitors": None}], columns, duplicates="sum")
    assert series.targets[:, 0].tolist() == [1, 7, 6]
    assert series.known[:, 0].tolist() == [2, 2.5, 2]
    assert series.past[:, 0].tolist() == [10, 10, 10]
    assert series.static == (5,)
    assert "1 times whose rows differ in a covariate, of which the last was taken" in " ".join(reader.mended.sentences())


def test_the_future_has_known_covariates_only() -> None:
    columns = SeriesColumns("id", "ds", ("y",), past=("visitors",), known=("price",), static=("region",))
    rows: list[dict[str, Any]] = [
        {**row, "visitors": 5 + number, "price": number, "region": "north"} for number, row in enumerate(days(1, 2))
    ]
    rows += [{**row, "visitors": None, "price": 9, "region": "north"} for row in days(None, "", start=3)]
    (series,), _ = read(rows, columns)
    assert len(series) == 2
    assert series.known[:, 0].tolist() == [0, 1, 9, 9]
    assert series.past[:, 0].tolist() == [5, 6]
    assert series.static == ("north",)
    assert len(series.times) == 4
    rows[3]["price"] = None
    with pytest.raises(DataError, match=r"a number in `price` at 2024-01-04"):
        read(rows, columns)


def test_wide_rows() -> None:
    columns = SeriesColumns(None, "ds", ("y",), known=("holiday",), wide=True)
    rows = [{"ds": day, "first": day, "second": 10 * day, "holiday": day % 2} for day in range(4)]
    found, _ = read(rows, columns, frequency="1i")
    assert [series.unique_id for series in found] == ["first", "second"]
    assert found[1].targets[:, 0].tolist() == [0, 10, 20, 30]
    assert found[1].known[:, 0].tolist() == [0, 1, 0, 1]


def test_dates_of_python_and_several_targets() -> None:
    columns = SeriesColumns(None, "ds", ("y", "z"))
    rows = [{"ds": datetime.date(2024, 1, day), "y": day, "z": -day} for day in (1, 2, 3)]
    (series,), _ = read(rows, columns)
    assert series.targets.tolist() == [[1, -1], [2, -2], [3, -3]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (days(1, "x"), r"train.csv:3, series `a`: `y` must be a number, but is 'x'"),
        (days(1, float("inf")), r"train.csv:3, series `a`: `y` must be a finite number, but is infinite"),
        ([*days(1), {"id": "a", "ds": "soon", "y": 1}], r"train.csv:3, column `ds`: a time must be .* but is 'soon'"),
        ([*days(1), {"id": "a", "ds": None, "y": 1}], r"train.csv:3, column `ds`: a time must be .* but is missing"),
        ([*days(1), {"id": None, "ds": "2024-01-02", "y": 1}], r"`id` must name the series, but is missing"),
        (
            [*days(1), {"id": "a", "ds": "2024-01-02T05", "y": 1}],
            r"train.csv:3, series `a`: times must be one day apart, but 2024-01-02T05",
        ),
        (days(None, None), r"Series `a` must have a value in `y`, but has none in 2 rows"),
        ([*days(1), {"id": "a", "ds": "2924-01-02", "y": 1}], r"must have most of its steps, but lacks"),
        ([*days(1), {"id": "a", "ds": 5, "y": 1}], r"all whole numbers or all dates, but are both"),
    ],
)
def test_what_is_wrong_is_named(rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(rows)


def test_static_values_must_not_change() -> None:
    columns = SeriesColumns("id", "ds", ("y",), static=("region",))
    rows = [{**row, "region": region} for row, region in zip(days(1, 2), ("north", "south"), strict=True)]
    with pytest.raises(
        DataError, match=r"series `a`: the static column `region` must have one value for a series, but is 'north' and 'south'"
    ):
        read(rows, columns)


def test_month_ends_of_a_market_are_refused_with_a_remedy_that_works() -> None:
    ends = ["2024-01-31", "2024-02-29", "2024-03-28", "2024-04-30"]
    rows = [{"id": "a", "ds": day, "y": 1.0} for day in ends]
    with pytest.raises(DataError, match=r"train.csv:4, series `a`: times must be one month .* write 2024-03 instead of 2024-03-28\."):
        read(rows, frequency="1mo")
    (series,), _ = read([{**row, "ds": row["ds"][:7]} for row in rows], frequency="1mo")
    assert len(series) == 4
