"""Tables with a series a row: those of M4 and M5, dates as names of columns, decimal commas."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

from antiphon.contracts.files import FileConfig
from antiphon.data import table_blocks
from antiphon.data.series import SeriesReader
from antiphon.data.series_table import SeriesColumns
from antiphon.errors import ConfigError, DataError
from antiphon.features.frequency import parse_frequency
from tests.unit.readers.whole_files import LONG, content, shown, table_of

nan = float("nan")

# In the form of M4's Yearly-train.csv, of M5's sales_train_validation.csv, and of the train_1.csv of Kaggle's web traffic competition.
M4 = '"V1","V2","V3","V4","V5"\n"Y1","5172.1","5133.5",,\n"Y2","2070","2104","2394","1651"\n'
M5 = """\
id,item_id,store_id,d_1,d_2,d_3
HOBBIES_1_001_CA_1_validation,HOBBIES_1_001,CA_1,0,0,3
HOBBIES_1_002_CA_1_validation,HOBBIES_1_002,CA_1,1,,2
"""
TRAFFIC = "Page,2015-07-01,2015-07-02,2015-07-03\n2NE1_zh.wikipedia.org,18.0,11.0,5.0\nAKB48,,,4.0\n"


def write(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_m4(tmp_path: Path) -> None:
    table = table_of(write(tmp_path, M4), format="series_rows")
    assert shown(table) == {"Y1": ((2, 3), [5172.1, 5133.5]), "Y2": ((2, 3, 4, 5), [2070, 2104, 2394, 1651])}
    assert table.place(0).endswith("data.csv:2")
    assert table.place(5).endswith("data.csv:3")


def test_m5(tmp_path: Path) -> None:
    path = write(tmp_path, M5)
    columns = SeriesColumns("unique_id", "ds", ("y",), static=("item_id", "store_id"))
    name, static, times, numbers = content(table_of(path, columns, format="series_rows"))[1]
    assert (name, static, times) == ("HOBBIES_1_002_CA_1_validation", ("HOBBIES_1_002", "CA_1"), [1, 2, 3])
    np.testing.assert_equal(numbers, [[1], [nan], [2]])
    dated = table_of(path, SeriesColumns("id", "ds", ("y",)), format="series_rows", start="2011-01-29", frequency="1d")
    assert dated.style.write(dated.rows(0).times) == (date(2011, 1, 29), date(2011, 1, 30), date(2011, 1, 31))


def test_dates_as_columns(tmp_path: Path) -> None:
    found = shown(table_of(write(tmp_path, TRAFFIC), format="series_rows"))
    assert found["2NE1_zh.wikipedia.org"] == (("2015-07-01", "2015-07-02", "2015-07-03"), [18, 11, 5])
    np.testing.assert_equal(found["AKB48"][1], [nan, nan, 4])


@pytest.mark.parametrize("block", [40, 1 << 20])
@pytest.mark.parametrize("rows", [2, 10_000])
def test_in_any_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, rows: int) -> None:
    monkeypatch.setattr(table_blocks, "_BLOCK", block)
    monkeypatch.setattr("antiphon.readers.series_rows._ROWS", rows)
    random = np.random.default_rng(1)
    values = random.normal(size=(20, 7)).round(3)
    values[random.random(values.shape) < 0.3] = nan
    values[:, 0] = 1.0
    frame = polars.DataFrame({"name": [f"s{n}" for n in range(20)], **{f"t{n + 1}": values[:, n] for n in range(7)}}).fill_nan(None)
    frame.write_csv(tmp_path / "data.csv")
    found = shown(table_of(tmp_path / "data.csv", format="series_rows"))
    for number, row in enumerate(values):
        last = int(np.flatnonzero(~np.isnan(row))[-1]) + 1
        np.testing.assert_equal(found[f"s{number}"], (tuple(range(1, last + 1)), row[:last].tolist()))


def test_decimal_commas_and_tabs(tmp_path: Path) -> None:
    text = 'name;1960;1961\n"a; b";1,5;2\nc;;-3,25\n'
    expected = {"a; b": ((1960, 1961), [1.5, 2]), "c": ((1960, 1961), [nan, -3.25])}
    np.testing.assert_equal(shown(table_of(write(tmp_path, text), format="series_rows", delimiter=";", decimal=",")), expected)
    tabs = text.replace(";", "\t").replace('"a\t b"', "a; b")
    np.testing.assert_equal(shown(table_of(write(tmp_path, tabs, "data.tsv"), format="series_rows", decimal=",")), expected)


def test_a_series_without_a_value_is_told_of(tmp_path: Path) -> None:
    table = table_of(write(tmp_path, "name,t1,t2\na,1,2\nb,,\n"), format="series_rows")
    with pytest.raises(DataError, match=r"Series `b` must have a value in `y`, but has none in 1 rows"):
        list(SeriesReader(table, parse_frequency("1i"), "error", "error"))


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("name,t1,t2\na,1,x\n", {}, r"data.csv:2, series `a`: `y` must be a number, but is 'x'"),
        ("name,region,size\na,1,2\n", {}, r"must have a column for each time, named by dates .* but has: name, region, size\."),
        ("name,t1,t2\na,1\n", {}, r"data.csv:2 must hold 3 columns"),
        ("name,ds,t1,t2\na,1,1,1\n", {}, r"has a column `ds`, a name that times or values will have"),
        ("name,t1,t2\na,1,2\n", {"frequency": "1d"}, r"`frequency` of .* has no effect without `start`, the time of `t1`"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises((DataError, ConfigError), match=message):
        table_of(write(tmp_path, text), LONG, format="series_rows", **settings)


def test_a_start_needs_a_frequency() -> None:
    with pytest.raises(ValueError, match="`start` needs `frequency`"):
        FileConfig(path="a.csv", format="series_rows", start="2011-01-29")
