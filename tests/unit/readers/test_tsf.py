"""Files of the Monash archive: heads, frequencies, what is missing, and what GluonTS reads in them."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import antiphon
from antiphon.data.series_table import SeriesColumns
from antiphon.errors import ConfigError, DataError
from antiphon.recipe.recipe import recipe_from
from tests.unit.readers.whole_files import LONG, content, shown, table_of

# In the form of the archive's m1_monthly_dataset.tsf.
HEAD = """\
# Dataset Information
# The first competition of Makridakis.
#
@relation M1
@attribute series_name string
@attribute start_timestamp date
@frequency monthly
@horizon 18
@missing false
@equallength false
@data
"""
M1 = f"{HEAD}T1:1977-01-31 00-00-00:8030,12400,?,8800.5\nT2:1979-03-31 00-00-00:1,2\n"
nan = float("nan")


def write(folder: Path, text: str) -> Path:
    path = folder / "data.tsf"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("text", [M1, M1.replace("\n", "\r\n"), M1.rstrip("\n"), M1 + "\n\n", M1.replace("@data", "@DATA")])
def test_a_line_is_a_series(tmp_path: Path, text: str) -> None:
    table = table_of(write(tmp_path, text))
    np.testing.assert_equal(
        shown(table),
        {
            "T1": ((date(1977, 1, 31), date(1977, 2, 28), date(1977, 3, 31), date(1977, 4, 30)), [8030, 12400, nan, 8800.5]),
            "T2": ((date(1979, 3, 31), date(1979, 4, 30)), [1, 2]),
        },
    )
    assert table.place(0).endswith("data.tsf:12")
    assert table.place(4).endswith("data.tsf:13")


@pytest.mark.parametrize(
    ("frequency", "start", "third"),
    [
        ("yearly", "1979-01-01 00-00-00", date(1981, 1, 1)),
        ("quarterly", "1979-01-01 00-00-00", date(1979, 7, 1)),
        ("weekly", "2012-01-01 00-00-01", datetime(2012, 1, 15, 0, 0, 1)),  # as in electricity_weekly_dataset.tsf
        ("daily", "1996-02-28 00-00-00", date(1996, 3, 1)),
        ("hourly", "2012-01-01 00-00-00", datetime(2012, 1, 1, 2)),
        ("half_hourly", "2002-01-01 00-00-00", datetime(2002, 1, 1, 1)),
        ("10_minutes", "2006-01-01 00-00-00", datetime(2006, 1, 1, 0, 20)),
        ("4_seconds", "2019-08-01 00-00-02", datetime(2019, 8, 1, 0, 0, 10)),
        ("minutely", "2019-08-01 23-59-00", datetime(2019, 8, 2, 0, 1)),
    ],
)
def test_every_frequency_of_the_archive(tmp_path: Path, frequency: str, start: str, third: Any) -> None:
    text = HEAD.replace("monthly", frequency) + f"T1:{start}:1,2,3\n"
    assert shown(table_of(write(tmp_path, text)))["T1"][0][2] == third


def test_attributes_are_columns_and_without_times_values_are_counted(tmp_path: Path) -> None:
    text = """\
@relation t
@attribute state string
@attribute series_name string
@attribute population numeric
@data
NSW:one:8.5:1,2
VIC:two:7:3
"""
    columns = SeriesColumns("unique_id", "ds", ("y",), static=("state", "population"))
    table = table_of(write(tmp_path, text), columns)
    assert content(table) == [("one", ("NSW", 8.5), [1, 2], [[1], [2]]), ("two", ("VIC", 7.0), [1], [[3]])]
    dated = table_of(write(tmp_path, text), columns, frequency="1d", start="2024-02-28")
    assert shown(dated)["one"][0] == (date(2024, 2, 28), date(2024, 2, 29))
    unnamed = write(tmp_path, "@attribute state string\n@data\nNSW:1,2\nNSW:3\n")
    assert list(shown(table_of(unnamed))) == [3, 4], "without a name a series has that of its line"


def test_dates_and_times_of_day_may_mix(tmp_path: Path) -> None:
    table = table_of(write(tmp_path, HEAD.replace("monthly", "daily") + "T1:2024-01-01 00-00-00:1,2\nT2:2024-01-01 09-00-00:3,4\n"))
    assert shown(table)["T2"][0] == (datetime(2024, 1, 1, 9), datetime(2024, 1, 2, 9)), "no time of day is cut off"


def test_other_encodings_and_frequencies(tmp_path: Path) -> None:
    path = tmp_path / "data.tsf"
    path.write_bytes(M1.replace("T2", "Zürich").replace("monthly", "fortnightly").encode("cp1252"))
    with pytest.raises(DataError, match=r"data.tsf:13: byte 2 of the line .*is not utf-8"):
        table_of(path, frequency="2w")
    with pytest.raises(DataError, match=r"has the frequency `fortnightly`, which is not known. Set `frequency` of this file"):
        table_of(path, encoding="cp1252")
    assert shown(table_of(path, encoding="cp1252", frequency="2w"))["Zürich"][0] == (date(1979, 3, 31), date(1979, 4, 14))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEAD + "T1:1977-01-31 00-00-00\n",
            r"data.tsf:12 must be 2 attributes \(series_name, start_timestamp\) and the values, .* has 2 parts",
        ),
        (HEAD + "T1:1977-01-31 00-00-00:1,x\n", r"data.tsf:12: values must be numbers, or \? where one is missing, .*'x'"),
        (HEAD + "T1:31.1.1977:1\n", r"data.tsf:12: `start_timestamp` must be a time such as 1979-01-01 00-00-00, but is '31.1.1977'"),
        (
            HEAD + "T1:1977-01-31 00-00-00:1\nT1:1977-01-31 00-00-00:1\n",
            r"data.tsf:13: `series_name` must tell one .* `T1` stands in line 12, too",
        ),
        (HEAD, r"has no series behind `@data`"),
        ("T1:1,2\n", r"data.tsf:1 must begin with @ or #, as `@data` has not come yet"),
        ("@data\nT1:1\n", r"data.tsf:1 begins the data, but no line `@attribute"),
        ("@attribute a\n@data\n", r"data.tsf:1 must be `@attribute NAME TYPE` with one of string, numeric, date"),
        ("@attribute y string\n@data\n", r"data.tsf:1: an attribute must have a name of its own, not `y`"),
        ("@attribute a numeric\n@data\nx:1\n", r"data.tsf:3: `a` must be a number, but is 'x'"),
        (
            HEAD.replace("@frequency monthly\n", "") + M1.splitlines()[-1],
            r"does not tell the time from one value to the next. Set `frequency`",
        ),
        (HEAD + "T1:1977-01-31 00-00-00:1,2\n", r"data.tsf:12 has no column `sales`; it has: unique_id, ds, y, series_name"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    columns = SeriesColumns("unique_id", "ds", ("sales",)) if "sales" in message else LONG
    with pytest.raises(DataError, match=message):
        table_of(write(tmp_path, text), columns)


# The first two series of m1_yearly_dataset.tsf of the archive (Monash Time Series Forecasting Repository, CC BY 4.0), as aeon 1.6.0 has it.
YEARLY = """\
@relation M1
@attribute series_name string
@attribute start_timestamp date
@frequency yearly
@horizon 6
@missing false
@equallength false
@data
T1:1972-01-01 00-00-00:3600,7700,12300,30500,47390,57006,98563,117759,115097,133759,142485,169611,216229,253227,313096,322681,296245,\
370333,443826,426751,453627,553400,588568,646758,849998,1106740,1184550,1425090
T2:1974-01-01 00-00-00:12654,22879,34164,49524,64761,78199,88626,102168,102758,122442,129900,139706,178858,213162,236026,255542,314269,\
357822,374755,401439,451875,419245,384040,425507,471077,578326,648954,658827,598742
"""


def test_a_file_of_the_archive_is_trained_on_and_forecast(tmp_path: Path) -> None:
    recipe = {
        "task": {"name": "forecasting", "horizon": 6, "context_length": 12, "decoding": "direct"},
        "data": {"train": str(write(tmp_path, YEARLY)), "validation": 6},
        "model": {"name": "lstm", "dim": 4},
        "training": {"max_steps": 1},
    }
    run = antiphon.train(recipe_from(recipe), tmp_path / "run")
    rows = antiphon.load(run).predict_table(tmp_path / "data.tsf").rows(named=True)
    assert [(row["unique_id"], row["ds"].year) for row in rows] == [("T1", year) for year in range(2000, 2006)] + [
        ("T2", year) for year in range(2003, 2009)
    ]
    with pytest.raises(DataError, match=r"data.tsf` holds whole series, .* Leave out `task.format: wide`"):
        table_of(tmp_path / "data.tsf", SeriesColumns(None, "ds", ("y",), wide=True))


def test_settings_that_mean_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, M1)
    with pytest.raises(ConfigError, match=r"`decimal` has no effect on .* read as tsf"):
        table_of(path, decimal=",")
    with pytest.raises(ConfigError, match=r"`frequency` must be a number and a unit .* is 'often'"):
        table_of(path, frequency="often")
    with pytest.raises(ConfigError, match=r"`start` of .* must be a date such as 2011-01-29, but is '5'"):
        table_of(path, frequency="1d", start="5")


def test_gluonts_reads_the_same(tmp_path: Path) -> None:
    reason = "needs gluonts, which is in no extra, as it holds pandas and toolz back: pip install gluonts"
    reader = pytest.importorskip("gluonts.dataset.repository._tsf_reader", reason=reason).TSFReader
    _, entries = reader(write(tmp_path, M1.replace("12400,?", "12400"))).read()
    own = shown(table_of(tmp_path / "data.tsf"))
    found = {entry["series_name"]: (entry["start_timestamp"].date(), list(entry["target"])) for entry in entries}
    assert found == {name: (times[0], values) for name, (times, values) in own.items()}
