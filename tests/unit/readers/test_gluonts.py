"""Data sets of GluonTS, as its own writers make them, and what it reads in them."""

import gzip
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

from antiphon.contracts.files import FileConfig
from antiphon.data.formats import reader_of
from antiphon.data.series_table import SeriesColumns
from antiphon.errors import DataError
from antiphon.readers.gluonts import frequency_of
from tests.unit.readers.whole_files import LONG, content, shown, table_of

nan = float("nan")

# Written by gluonts 0.17.0: TrainDatasets(metadata, train).save(path, writer=JsonLinesWriter()).
MADE = """\
{"start": "2014-01-01 05:00", "target": [1.0, "Nan", 3.0], "item_id": "s0", "feat_static_cat": [0, 2], "feat_static_real": [0.5], \
"feat_dynamic_real": [[0.0, 1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0, 9.0]], "past_feat_dynamic_real": [[1.0, 2.0, 3.0]]}
{"start": "2014-01-01 05:00", "target": [0.5, 1.5, 2.5], "item_id": "s1", "feat_static_cat": [1, 2], "feat_static_real": [0.5], \
"feat_dynamic_real": [[1.0, 1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0]], "past_feat_dynamic_real": [[0.0, 0.0, 0.0]]}
"""
METADATA = '{"freq": "H", "target": null, "feat_static_cat": [], "prediction_length": 2}'


def data_set(folder: Path, text: str = MADE, metadata: str | None = METADATA) -> Path:
    (folder / "train").mkdir(exist_ok=True)
    path = folder / "train" / "data.json.gz"
    path.write_bytes(gzip.compress(text.encode()))
    if metadata is not None:
        (folder / "metadata.json").write_text(metadata)
    return path


def test_an_entry_is_a_series(tmp_path: Path) -> None:
    path = data_set(tmp_path)
    assert reader_of(path, FileConfig(path=str(path))).name == "gluonts"
    columns = SeriesColumns(
        "unique_id", "ds", ("y",), ("past_feat_dynamic_real_0",), ("feat_dynamic_real_0",), ("feat_static_cat_0", "feat_static_real_0")
    )
    table = table_of(path, columns)
    assert shown(table)["s0"][0] == tuple(datetime(2014, 1, 1, 5 + hour) for hour in range(5))
    name, static, _, numbers = content(table)[0]
    assert (name, static) == ("s0", (0, 0.5))
    np.testing.assert_equal(numbers, [[1, 1, 0], [nan, 2, 1], [3, 3, 2], [nan, nan, 3], [nan, nan, 4]])


@pytest.mark.parametrize(
    ("freq", "start", "second"),
    [
        ("M", "1990-01", date(1990, 2, 1)),
        ("W", "2014-01-06/2014-01-12", date(2014, 1, 13)),
        ("Q", "1994Q1", date(1994, 4, 1)),
        ("Y", "1990", date(1991, 1, 1)),
        ("D", "2014-02-28", date(2014, 3, 1)),
        ("B", "2014-02-28", date(2014, 3, 3)),
        ("30min", "2014-01-01 00:30", datetime(2014, 1, 1, 1)),
        ("H", "2014-01-01 05", datetime(2014, 1, 1, 6)),
    ],
)
def test_periods_as_pandas_writes_them(tmp_path: Path, freq: str, start: str, second: Any) -> None:
    path = data_set(tmp_path, json.dumps({"start": start, "target": [1, 2], "freq": freq}) + "\n", None)
    assert shown(table_of(path)) == {1: ((shown(table_of(path))[1][0][0], second), [1, 2])}


@pytest.mark.parametrize(("name", "ours"), [("H", "1h"), ("15T", "15m"), ("MS", "1mo"), ("QE-DEC", "1q"), ("W-SUN", "1w"), ("A-DEC", "1y")])
def test_frequencies_of_pandas(name: str, ours: str) -> None:
    assert str(frequency_of(name)) == ours
    assert frequency_of("fortnight") is None
    assert frequency_of("0H") is None


def test_several_channels(tmp_path: Path) -> None:
    path = data_set(tmp_path, '{"start": "2014-01-01", "target": [[1, 2], [3, 4]]}\n', '{"freq": "D"}')
    assert content(table_of(path, SeriesColumns("unique_id", "ds", ("y_0", "y_1"))))[0][3] == [[1, 3], [2, 4]]


def test_tables_as_the_arrow_writer_makes_them(tmp_path: Path) -> None:
    # The columns that gluonts 0.17.0 writes: what has two dimensions lies in one list, with its shape beside it.
    entry = {"start": datetime(2014, 1, 1, 5), "target": [1.0, nan, 3.0], "item_id": "s0", "feat_dynamic_real": [0.0, 1, 2, 5, 6, 7]}
    frame = polars.DataFrame([entry]).with_columns(polars.lit([2, 3]).alias("feat_dynamic_real._np_shape"))
    columns = SeriesColumns("unique_id", "ds", ("y",), known=("feat_dynamic_real_1",))
    for name in ("data.parquet", "data.feather"):
        write = frame.write_parquet if name == "data.parquet" else frame.write_ipc
        write(tmp_path / name)
        table = table_of(tmp_path / name, columns, format="gluonts", frequency="1h")
        np.testing.assert_equal(content(table)[0][3], [[1, 5], [nan, 6], [3, 7]])
    times = polars.DataFrame({"id": ["a"], "timestamp": [[datetime(2024, 1, 31), datetime(2024, 2, 29)]], "target": [[1.0, 2.0]]})
    times.write_parquet(tmp_path / "listed.parquet")
    assert shown(table_of(tmp_path / "listed.parquet", format="gluonts")) == {"a": ((date(2024, 1, 31), date(2024, 2, 29)), [1, 2])}
    times.with_columns(polars.col("timestamp").list.eval(polars.element().first())).write_parquet(tmp_path / "listed.parquet")
    with pytest.raises(DataError, match=r"listed.parquet:1: `timestamp` must have as many times as `target` has values, 2, but has 1"):
        table_of(tmp_path / "listed.parquet", format="gluonts")
    twice = polars.DataFrame({"id": ["a"], "timestamp": [[datetime(2024, 1, 31)] * 2], "target": [[1.0, 2.0]]})
    twice.write_parquet(tmp_path / "listed.parquet")
    with pytest.raises(DataError, match=r"listed.parquet:1: the times in `timestamp` must be one step apart"):
        table_of(tmp_path / "listed.parquet", format="gluonts")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('{"start": "2014-01-01", "target": [1, "x"]}', r"json.gz:1: `target` must hold numbers, or \"NaN\" where one is missing"),
        ('{"start": "gestern", "target": [1]}', r"json.gz:1, `start`: a time must be"),
        ('{"start": "2014-01-01", "target": [[1], [1, 2]]}', r"json.gz:1: the channels of `target` must be as long as each other"),
        (
            '{"start": "2014-01-01", "target": [1, 2], "feat_dynamic_real": [[1]]}',
            r"`feat_dynamic_real` must have at least as many values as `target`, 2, but has 1",
        ),
        (
            '{"start": "2014-01-01", "target": [1, 2], "past_feat_dynamic_real": [[1, 2, 3]]}',
            r"`past_feat_dynamic_real` must have as many values as `target`, 2, but has 3",
        ),
        ('{"start": "2014-01-01", "target": [1], "freq": "often"}', r"has the frequency `often`, which is not known. Set `frequency`"),
        ('{"start": "2014-01-01", "target": 5}', r"json.gz:1: `target` must be a list of numbers, but is '5'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, entry: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        table_of(data_set(tmp_path, entry + "\n"), LONG, format="gluonts")
    with pytest.raises(DataError, match=r"does not tell the time from one value to the next"):
        table_of(data_set(tmp_path / "..", '{"start": "2014-01-01", "target": [1]}\n', "damaged"))


def test_texts_are_no_series(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"source": "a", "target": "b", "start": 3}\n{"source": "a", "target": ["1"]}\n')
    assert reader_of(path, FileConfig(path=str(path))).name == "jsonl"


@pytest.mark.parametrize("kind", ["JsonLinesWriter", "ArrowWriter", "ParquetWriter"])
def test_what_gluonts_writes_itself(tmp_path: Path, kind: str) -> None:
    reason = "needs gluonts, which is in no extra, as it holds pandas and toolz back: pip install gluonts"
    common = pytest.importorskip("gluonts.dataset.common", reason=reason)
    pandas = pytest.importorskip("pandas")
    writers = pytest.importorskip("gluonts.dataset.jsonl" if kind == "JsonLinesWriter" else "gluonts.dataset.arrow")
    start = pandas.Period("1990-01-31", freq="D")
    target, known = np.array([1, nan, 3]), np.ones((2, 4))
    rows = [{"start": start, "target": target, "item_id": f"s{n}", "feat_dynamic_real": known * n} for n in range(3)]
    meta = common.MetaData(freq="D", prediction_length=1)
    common.TrainDatasets(metadata=meta, train=rows, test=rows).save(str(tmp_path / "made"), writer=getattr(writers, kind)())
    path = next((tmp_path / "made" / "train").iterdir())
    table = table_of(path, SeriesColumns("unique_id", "ds", ("y",), known=("feat_dynamic_real_1",)), format="gluonts")
    assert table.names == ("s0", "s1", "s2")
    assert shown(table)["s2"][0][0] == date(1990, 1, 31)
    assert table.rows(2).numbers[:, 1].tolist() == [2, 2, 2, 2]
