"""Parquet and Arrow: files, streams, folders of them, and partitions as other tools name them."""

from pathlib import Path
from typing import Any

import polars
import pytest

from antiphon.contracts.files import FileConfig
from antiphon.data.named_files import files_of
from antiphon.data.records import open_records
from antiphon.data.series_table import SeriesColumns
from antiphon.errors import DataError
from tests.unit.readers.whole_files import content, table_of

ROWS = [{"source": f"text {number}", "target": number / 2, "more": {"de": f"Text {number}"}} for number in range(3000)]


def rows(path: Path, required: tuple[str, ...] = ("source",), **settings: Any) -> list[dict[str, Any]]:
    return [dict(record) for record in open_records(FileConfig(path=str(path), **settings), required=required)]


def as_stream(frame: polars.DataFrame, path: Path) -> None:
    frame.write_ipc_stream(path)


@pytest.mark.parametrize("suffix", [".arrow", ".feather", ".ipc"])
@pytest.mark.parametrize("write", [polars.DataFrame.write_ipc, as_stream, lambda frame, path: frame.write_ipc(path, compression="zstd")])
def test_arrow_files_and_streams(tmp_path: Path, suffix: str, write: Any) -> None:
    path = tmp_path / f"data{suffix}"
    write(polars.DataFrame(ROWS), path)
    found = rows(path, ("source", "more.de"))
    assert found == [{**row, "more.de": row["more"]["de"]} for row in ROWS]
    assert rows(path, columns=["source"])[1] == {"source": "text 1"}
    records = open_records(path, required=("source",))
    assert records.place(1500) == records.label(1500) == f"{path}: row 1501"
    with pytest.raises(DataError, match=r"data\.\w+` has no column `sorce`; it has: source, target, more\. Did you mean `source`"):
        rows(path, ("sorce",))


def test_bad_arrow_files_are_refused(tmp_path: Path) -> None:
    polars.DataFrame(ROWS).write_ipc(tmp_path / "whole.arrow")
    whole = (tmp_path / "whole.arrow").read_bytes()
    for name, data, message in (
        ("a.arrow", b"no arrow at all, but so long", r"a.arrow` cannot be read as Arrow"),
        ("b.arrow", whole[: len(whole) // 2], r"b.arrow` cannot be read as Arrow"),
        ("c.feather", b"FEA1" + bytes(100), r"version 1 of Feather"),
        ("d.arrow", b"", r"is empty"),
        ("e.arrow.gz", b"x", r"must be a plain Arrow file, but is compressed from outside"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=message):
            rows(tmp_path / name)
    polars.DataFrame({"source": []}).write_ipc(tmp_path / "empty.arrow")
    with pytest.raises(DataError, match=r"has columns but no records"):
        rows(tmp_path / "empty.arrow")


def partitioned(folder: Path, suffix: str = ".parquet") -> None:
    """As Spark and pyarrow lay them out, with what they leave beside the data."""
    for year, region, numbers in ((2023, "north east", (1, 2)), (2023, "süd", (3,)), (2024, "__HIVE_DEFAULT_PARTITION__", (4, 5))):
        own = folder / f"year={year}" / f"region={region.replace(' ', '%20')}"
        own.mkdir(parents=True)
        frame = polars.DataFrame({"source": [f"text {number}" for number in numbers], "y": [float(number) for number in numbers]})
        (frame.write_parquet if suffix == ".parquet" else frame.write_ipc)(own / f"part-0{suffix}")
    (folder / "_SUCCESS").touch()
    (folder / f"_metadata{suffix}").write_bytes(b"not data")


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_partitions_are_columns(tmp_path: Path, suffix: str) -> None:
    partitioned(tmp_path, suffix)
    found = rows(tmp_path, ("source", "year", "region"))
    assert [(row["source"], row["year"], row["region"]) for row in found] == [
        ("text 1", 2023, "north east"),
        ("text 2", 2023, "north east"),
        ("text 3", 2023, "süd"),
        ("text 4", 2024, None),
        ("text 5", 2024, None),
    ]
    assert rows(tmp_path, (), columns=["y", "year"])[0] == {"y": 1.0, "year": 2023}
    assert files_of(FileConfig(path=str(tmp_path)), Path()) == [(FileConfig(path=str(tmp_path)), None)]


def test_a_partition_may_name_the_series(tmp_path: Path) -> None:
    for name in ("7", "12"):
        (tmp_path / f"unique_id={name}").mkdir()
        frame = polars.DataFrame({"ds": ["2024-01-01", "2024-01-02"], "y": [1.0, float(name)]})
        frame.write_parquet(tmp_path / f"unique_id={name}" / "0.parquet")
    table = table_of(tmp_path, SeriesColumns("unique_id", "ds", ("y",)))
    assert [(name, values) for name, _, _, values in content(table)] == [(12, [[1], [12]]), (7, [[1], [7]])]
    (tmp_path / "unique_id=007").mkdir()
    frame.write_parquet(tmp_path / "unique_id=007" / "0.parquet")
    assert set(table_of(tmp_path).names) == {"7", "12", "007"}


def test_a_folder_is_read_again_when_a_file_in_it_changes(tmp_path: Path) -> None:
    partitioned(tmp_path)
    before = open_records(tmp_path, required=("source",)).signature()
    (tmp_path / "_SUCCESS").write_text("again")
    assert open_records(tmp_path, required=("source",)).signature() == before
    polars.DataFrame({"source": ["new"], "y": [0.0]}).write_parquet(tmp_path / "year=2023" / "region=süd" / "part-1.parquet")
    assert open_records(tmp_path, required=("source",)).signature() != before


def test_a_folder_without_such_files_is_none(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.parquet").write_bytes(b"")
    (tmp_path / "a=b").mkdir()
    with pytest.raises(DataError, match=r"must be a file, but is a folder"):
        rows(tmp_path)


def test_what_polars_and_pyarrow_write(tmp_path: Path) -> None:
    frame = polars.DataFrame({"id": ["a", "a", "b"], "ds": [1, 2, 1], "y": [1.0, 2.0, 3.0]})
    frame.write_parquet(tmp_path / "polars", partition_by="id")
    columns = SeriesColumns("id", "ds", ("y",))
    expected = [("a", (), [1, 2], [[1], [2]]), ("b", (), [1], [[3]])]
    assert content(table_of(tmp_path / "polars", columns)) == expected
    dataset = pytest.importorskip("pyarrow.dataset")
    table = frame.to_arrow()
    for form, name in (("parquet", "{i}.parquet"), ("feather", "{i}.feather")):
        place = tmp_path / form
        dataset.write_dataset(table, place, format=form, partitioning=["id"], partitioning_flavor="hive", basename_template=name)
        assert content(table_of(tmp_path / form, columns)) == expected
