"""Series by columns: whatever the format, the same table, with the same words for what is wrong."""

import gzip
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
import zstandard

from antiphon.data import series_reading, table_blocks
from antiphon.data.records import open_records
from antiphon.data.series import SeriesReader
from antiphon.data.series_reading import read_table
from antiphon.data.series_table import SeriesColumns, SeriesTable
from antiphon.errors import DataError
from antiphon.features.frequency import parse_frequency

LONG = SeriesColumns("id", "ds", ("y",))
WIDE = SeriesColumns(None, "ds", ("y",), known=("price",), wide=True)


def table_of(source: Any, columns: SeriesColumns = LONG) -> SeriesTable:
    return read_table(open_records(source), columns, ())


def content(table: SeriesTable) -> list[Any]:
    return [
        (name, static, rows.times.tolist(), rows.numbers.tolist(), rows.row.tolist())
        for name, static, rows in zip(table.names, table.static, map(table.rows, range(len(table))), strict=True)
    ]


def by_rows(monkeypatch: pytest.MonkeyPatch, source: Any, columns: SeriesColumns = LONG) -> SeriesTable:
    """The same table, of which no part was read by columns."""
    with monkeypatch.context() as patch:
        patch.setattr(series_reading, "frames_of", lambda *_: None)
        return table_of(source, columns)


BODY = "".join(f"{name},2024-01-{day:02d},{day + number / 8}\n" for day in range(1, 29) for number, name in enumerate(("a", "ü", '"b, c"')))
TEXTS = {
    "plain": "id,ds,y\n" + BODY,
    "crlf": ("id,ds,y\n" + BODY).replace("\n", "\r\n"),
    "no end": ("id,ds,y\n" + BODY).rstrip("\n"),
    "blank end": "id,ds,y\n" + BODY + "\n\n\n",
    "mark": "\ufeffid,ds,y\n" + BODY,
    "line in a cell": "id,ds,y\n" + BODY.replace("b, c", "b\nc"),
    "other columns": "x,id,ds,y,z\n" + "".join(f"7,{line},\n" for line in BODY.splitlines()),
    "gaps": "id,ds,y\n" + BODY.replace(",7.0", ",").replace(",8.125", ",NA").replace(",9.0", ", 9.5 "),
    "static": "id,ds,y,region\n" + "".join(f"{line},north\n" for line in BODY.splitlines()),
    "a quote within": "id,ds,y\n" + BODY.replace("ü", 'ü"'),
}


@pytest.mark.parametrize("block", [50, 333, 1 << 20])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_columns_are_read_as_rows_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, block: int) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(text.encode())
    columns = SeriesColumns("id", "ds", ("y",), static=("region",)) if "region" in text else LONG
    monkeypatch.setattr(table_blocks, "_BLOCK", block)
    expected, found = by_rows(monkeypatch, path, columns), table_of(path, columns)
    np.testing.assert_equal(content(found), content(expected))
    assert found.style == expected.style
    assert len(found) == 3
    assert [found.place(int(row)) for row in found.rows(1).row[:2]] == [expected.place(int(row)) for row in expected.rows(1).row[:2]]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed_files_and_tsv(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"data.tsv{suffix}"
    text = b'id\tds\ty\n5" pipe\t2024-01\t1\n5" pipe\t2024-02\t2\n'
    path.write_bytes(gzip.compress(text) if suffix == ".gz" else zstandard.compress(text))
    assert content(table_of(path))[0][0] == '5" pipe'
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"data\.tsv"):
        table_of(path)


def test_what_is_regular_is_read_by_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_reading.TableReader, "_rows", None)
    (tmp_path / "data.csv").write_text(TEXTS["plain"])
    frame = polars.read_csv(tmp_path / "data.csv", try_parse_dates=True)
    frame.write_parquet(tmp_path / "data.parquet")
    for source in (tmp_path / "data.csv", tmp_path / "data.parquet", frame):
        assert len(table_of(source)) == 3


@pytest.mark.parametrize(
    "stamps", ["2024-01-01", "2024-01-01T05:00", "2024-01-01 05:00:30", "2024-01-01T05:00+02:00", "2024-01", "7", "2024Q1"]
)
def test_times_by_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stamps: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text("id,ds,y\n" + "".join(f"{name},{stamps},1\n" for name in range(40)))
    single = tmp_path / "single.csv"  # where no time stands twice
    single.write_text(f"id,ds,y\n1,{stamps},1\n")
    for file in (path, single):
        expected, found = by_rows(monkeypatch, file), table_of(file)
        assert content(found) == content(expected)
        assert found.style.write(found.times[:1]) == ((7,) if stamps == "7" else (stamps,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,ds,y\na,2024-01-01,1\na,2024-01-02\n", r"data.csv:3 must hold 3 columns"),
        ("id,ds,y\na,2024-01-01,1\n\na,2024-01-02,1\n", r"data.csv:3 must hold 3 columns, but is blank"),
        ("id,ds,y\na,2024-01-01,1\na,2024-01-02,x\n", r"data.csv:3, series `a`: `y` must be a number, but is 'x'"),
        ("id,ds,y\na,2024-01-01,1\n,2024-01-02,1\n", r"data.csv:3: `id` must name the series, but is missing"),
        ("id,ds,y\na,2024-01-01,1\na,2024-1-2,1\n", r"data.csv:3, column `ds`: a time must be .* but is '2024-1-2'"),
        ("id,ds,y\na,2024-01-01,1\na,,1\n", r"data.csv:3, column `ds`: a time must be .* but is missing"),
        ("id,ds,y\na,2024-01-01,1\na,5,1\n", r"data.csv:3, column `ds`: times must be all whole numbers or all dates, but are both"),
        ("id,ds,y\na,2024-01-01T00:00Z,1\na,2024-01-02T00:00,1\n", r"data.csv:3, column `ds`: times must have an offset .* everywhere or"),
        (
            "id,ds,y\na,2024-01-01T00:00Z,1\na,2024-01-01T13-05,1\n",
            r"data.csv:3, column `ds`: .*'2024-01-01T13-05' may be 13:05 o'clock, or",
        ),
        ("id,ds\na,2024-01-01\n", r"data.csv:2 has no column `y`; it has: id, ds"),
        ("id,ds,y\n", r"but no records"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "data.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_table(open_records(tmp_path / "data.csv"), LONG, ("id", "ds", "y"))


@pytest.mark.parametrize("typed", [False, True])
def test_in_wide_tables_too(tmp_path: Path, typed: bool) -> None:
    path = tmp_path / "data.csv"
    path.write_text("ds,first,second,price\n2024-01,1,2,3\n2024-02,1,many,3\n")
    source = polars.read_csv(path, infer_schema=False) if typed else path
    with pytest.raises(DataError, match=r"(data.csv:3|record 1), series `second`: `second` must be a number, but is 'many'"):
        table_of(source, WIDE)
    path.write_text("ds,first,second,price\n2024-01,1,2,3\n2024-02,1,2,high\n")
    with pytest.raises(DataError, match=r"data.csv:3: `price` must be a number, but is 'high'"):
        table_of(path, WIDE)


def test_wide_tables_are_unpivoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data.csv"
    path.write_text("first,ds,price,second\n" + "".join(f"{row},{row},{row / 2},{'' if row == 3 else -row}\n" for row in (2, 1, 3, 4)))
    monkeypatch.setattr(table_blocks, "_BLOCK", 16)
    table = table_of(path, WIDE)
    np.testing.assert_equal(content(table), content(by_rows(monkeypatch, path, WIDE)))
    assert table.names == ("first", "second")
    np.testing.assert_equal(table.rows(1).numbers.T, [[-1, -2, np.nan, -4], [0.5, 1, 1.5, 2]])
    assert table.unsorted == {0, 1}


@pytest.mark.parametrize(
    ("names", "expected"),
    [((1, 20), (1, 20)), (("1", "20"), ("1", "20")), ((1, "b"), ("1", "b")), ((np.int64(3), 4), (3, 4)), ((1.5, 2.0), (1.5, 2.0))],
)
def test_names_keep_their_type(names: tuple[Any, Any], expected: tuple[Any, Any]) -> None:
    found = table_of([{"id": name, "ds": step, "y": 1} for name in names for step in (1, 2)]).names
    assert found == expected
    assert [type(name) for name in found] == [type(name) for name in expected]


@pytest.mark.parametrize(("names", "expected"), [(("1", "20"), (1, 20)), (("007", "8"), ("007", "8")), (("1", "b"), ("1", "b"))])
def test_names_in_text_are_numbers_where_nothing_is_lost(tmp_path: Path, names: Any, expected: Any) -> None:
    path = tmp_path / "data.csv"
    path.write_text("id,ds,y\n" + "".join(f"{name},1,1\n" for name in names))
    assert table_of(path).names == expected


def test_a_series_goes_on_in_the_next_file(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("id,ds,y\n7,1,1\n8,1,5\n7,2,2\n")
    polars.DataFrame({"id": [7, 8], "ds": [3, 2], "y": [3.0, 6.0]}).write_parquet(tmp_path / "new.parquet")
    table = table_of([tmp_path / "old.csv", tmp_path / "new.parquet"])
    assert table.names == (7, 8)
    assert table.rows(0).numbers[:, 0].tolist() == [1, 2, 3]
    assert table.place(int(table.rows(0).row[-1])).endswith("new.parquet: row 1")
    assert table.place(int(table.rows(0).row[1])).endswith("old.csv:4")


def test_static_values_that_are_missing() -> None:
    columns = SeriesColumns("id", "ds", ("y",), static=("region",))
    frame = polars.DataFrame({"id": ["a", "a"], "ds": [1, 2], "y": [1.0, 2.0], "region": [float("nan")] * 2})
    for source in (frame, frame.rows(named=True)):
        reader = SeriesReader(table_of(source, columns), parse_frequency("1i"), "error", "error")
        with pytest.raises(DataError, match=r"Series `a`: the static column `region` must have a value, but is missing at record 0\."):
            list(reader)
    with pytest.raises(DataError, match=r"record 1, series `a`: the static column `region` must have one value .* but is 'x' and missing"):
        table_of([{"id": "a", "ds": step, "y": 1, "region": value} for step, value in enumerate(("x", None))], columns)


def test_a_view_copies_nothing() -> None:
    table = table_of([{"id": name, "ds": step, "y": step} for name in "ab" for step in range(5)])
    view = table.until(table.stops - 2)
    assert view.rows(1).times.tolist() == [0, 1, 2]
    assert view.times is table.times
    assert view.numbers[0] is table.numbers[0]


def test_time_is_linear_in_the_number_of_series() -> None:
    def seconds(count: int) -> float:
        reader = SeriesReader(
            table_of(polars.DataFrame({"id": np.arange(count), "ds": 1, "y": 1.0})), parse_frequency("1i"), "error", "error"
        )
        start = time.process_time()
        assert sum(len(series) for series in reader) == count
        return time.process_time() - start

    few = min(seconds(1000) for _ in range(2))
    assert seconds(8000) < 24 * few, "8 times the series take 8 times as long, and would take 64 times"


COMMAS = "id;ds;y\n" + "".join(f"{name};2024-01-{day:02d};{day},{day}\n" for day in range(1, 10) for name in "ab")


@pytest.mark.parametrize("name", ["data.csv", "data.tsv"])
def test_decimal_commas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / name
    path.write_text((COMMAS + "a;2024-01-10;\nb;2024-01-10; -3\n").replace(";", ";" if name == "data.csv" else "\t"))
    settings = {"path": str(path), "decimal": ","} | ({"delimiter": ";"} if name == "data.csv" else {})
    monkeypatch.setattr(table_blocks, "_BLOCK", 64)
    by_columns, by_row = table_of(settings), by_rows(monkeypatch, settings)
    np.testing.assert_equal(content(by_columns), content(by_row))
    assert by_columns.rows(1).numbers[:3, 0].tolist() == [1.1, 2.2, 3.3]
    assert np.isnan(by_columns.rows(0).numbers[-1, 0])
    assert by_columns.rows(1).numbers[-1, 0] == -3


def test_a_point_among_decimal_commas_has_no_meaning(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(COMMAS + "a;2024-01-10;1.234\n")
    settings = {"path": str(tmp_path / "data.csv"), "decimal": ",", "delimiter": ";"}
    with pytest.raises(DataError, match=r"data.csv:20, series `a`: `y` must be a number, but is '1.234'. Write numbers like 1234,5"):
        table_of(settings)
    with pytest.raises(DataError, match=r"data.csv:2, series `a`: `y` must be a number, but is '1,1'. .* set `decimal: ','` of it\."):
        table_of({"path": str(tmp_path / "data.csv"), "delimiter": ";"})


def test_quoted_commas_in_wide_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data.csv").write_text('ds,first,second,price\n2024-01,"1,5",2,"0,25"\n2024-02,,3,"1"\n')
    settings = {"path": str(tmp_path / "data.csv"), "decimal": ","}
    table = table_of(settings, WIDE)
    np.testing.assert_equal(content(table), content(by_rows(monkeypatch, settings, WIDE)))
    np.testing.assert_equal(table.rows(0).numbers, [[1.5, 0.25], [np.nan, 1]])
