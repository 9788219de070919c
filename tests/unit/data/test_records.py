"""Reading records: every format, every compression, and every kind of bad file with a sentence that says what is wrong and where."""

import csv
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars
import pytest
import zstandard

from antiphon.contracts.configuration import config, plain, validate
from antiphon.contracts.files import FileConfig, Files
from antiphon.data.records import FileRecords, open_parts, open_records
from antiphon.errors import ConfigError, DataError

ROWS = [{"source": "a b", "target": "x"}, {"source": 'c "d', "target": "ÿ\u2028z"}, {"source": "", "target": "\x0bw\x85"}]


def write_tsv(path: Path) -> None:
    path.write_text("source\ttarget\n" + "".join(f"{row['source']}\t{row['target']}\n" for row in ROWS), encoding="utf-8", newline="\n")


def write_csv(path: Path) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["source", "target"])
        writer.writeheader()
        writer.writerows(ROWS)


def write_jsonl(path: Path) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), encoding="utf-8", newline="\n")


WRITERS = {"tsv": write_tsv, "csv": write_csv, "jsonl": write_jsonl}


def records_of(*arguments: Any, **settings: Any) -> list[Any]:
    return [record for _, record in open_records(*arguments, **settings)()]


def compress(path: Path, suffix: str) -> Path:
    data = path.read_bytes()
    packed = path.with_name(path.name + suffix)
    packed.write_bytes(gzip.compress(data) if suffix == ".gz" else zstandard.ZstdCompressor().compress(data))
    return packed


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl"])
def test_every_format_gives_the_records_back(tmp_path: Path, kind: str, suffix: str) -> None:
    path = tmp_path / f"data.{kind}"
    WRITERS[kind](path)
    records = open_records((compress(path, suffix) if suffix else path).name, base=tmp_path)
    assert list(records()) == list(enumerate(ROWS))
    assert list(records()) == list(enumerate(ROWS)), "opened anew"
    assert records.count() == 3


def test_parquet_streams_its_rows(tmp_path: Path) -> None:
    frame = polars.DataFrame({"source": [f"s{n}" for n in range(3000)], "target": list(range(3000))})
    frame.write_parquet(tmp_path / "a.parquet")
    records = list(open_records(tmp_path / "a.parquet")())
    assert records == [(n, {"source": f"s{n}", "target": n}) for n in range(3000)]
    columns = FileConfig(path="a.parquet", columns=("target",))
    assert records_of(columns, base=tmp_path)[7] == {"target": 7}


def test_aligned_files_and_single_text(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_bytes(b"one\ntwo\r\n\nfour")
    (tmp_path / "a.de").write_bytes(b"eins\nzwei\n\nvier\n")
    pair = {"source": "a.en", "target": "a.de"}
    expected = [("one", "eins"), ("two", "zwei"), ("", ""), ("four", "vier")]
    found = records_of(pair, base=tmp_path, source_column="en", target_column="de", required=["en", "de"])
    assert [(row["en"], row["de"]) for row in found] == expected
    (tmp_path / "in.txt").write_text("one\n\nthree\n")
    assert records_of(tmp_path / "in.txt", source_column="en") == [{"en": "one"}, {"en": ""}, {"en": "three"}]


def test_csv_cells_may_hold_line_ends_and_places_still_count_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('source,target\n"one\ntwo",x\nthree,y\n')
    records = open_records(path)
    assert [record["source"] for _, record in records()] == ["one\ntwo", "three"]
    assert records.place(0) == f"{path}:2"
    assert records.place(1) == f"{path}:4"
    path.write_text('source,target\n"one\ntwo",x\nthree\n')
    with pytest.raises(DataError, match=r"a\.csv:4 must hold 2 columns"):
        list(open_records(path)())


def test_columns_name_a_table_without_a_first_line(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("x\ty\n")
    records = open_records(FileConfig(path=str(path), columns=("p", "q")))
    assert list(records()) == [(0, {"p": "x", "q": "y"})]
    assert records.place(0) == f"{path}:1"


def test_marks_crlf_and_long_lines_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b"\xef\xbb\xbfsource\ttarget\r\na\tb\r\n" + b"x" * 1_000_001 + b"\ty\r\n\r\n")
    rows = records_of(path)
    assert rows[0] == {"source": "a", "target": "b"}
    assert len(rows[1]["source"]) == 1_000_001
    assert len(rows) == 2
    csv_path = tmp_path / "a.csv"
    csv_path.write_text("source,target\n" + "x" * 1_000_001 + ",y\n")
    assert len(records_of(csv_path)[0]["source"]) == 1_000_001


def test_zstd_of_several_frames(tmp_path: Path) -> None:
    compressor = zstandard.ZstdCompressor()
    (tmp_path / "a.tsv.zst").write_bytes(compressor.compress(b"source\nx\n") + compressor.compress(b"y\n"))
    assert records_of(tmp_path / "a.tsv.zst") == [{"source": "x"}, {"source": "y"}]


def bad(name: str, content: bytes, message: str, **settings: Any) -> Any:
    return pytest.param(name, content, message, settings, id=f"{name}: {message[:30]}")


TABLE = b"source\ttarget\n" + b"".join(b"%d\t%d\n" % (number, number * number) for number in range(50_000))
GZIPPED = gzip.compress(TABLE)
ZIPPED = zstandard.ZstdCompressor().compress(TABLE)


@pytest.mark.parametrize(
    ("name", "content", "message", "settings"),
    [
        bad("a.tsv", b"", r"a\.tsv` is empty"),
        bad("a.tsv.gz", gzip.compress(b""), r"a\.tsv\.gz` is empty: it has no lines"),
        bad("a.tsv", b"source\ttarget\n", r"a first line but no records"),
        bad("a.csv", b"source,target\n\n\n", r"a first line but no records"),
        bad("a.jsonl", b"\n\n", r"blank lines but no records"),
        bad("a.tsv", b"\x7fELF\x00\x01\x02", r"looks like a binary file"),
        bad("a.tsv", "a\tb\nc\td\n".encode("utf-16-le"), r"looks like UTF-16LE without its mark. Convert it: iconv -f UTF-16LE"),
        bad("a.tsv", "a\tb\nc\td\n".encode("utf-16-be"), r"looks like UTF-16BE without its mark"),
        bad("a.tsv", b"a;b\nc;d\n", r'a\.tsv:1 looks as if a semicolon .* not a tab\. .*{path: a\.tsv, format: csv, delimiter: ";"}\.'),
        bad(
            "a.tsv", b"a,b\nc,d\n", r"a comma separated its values, not a tab\. Set `format: csv` of this file: {path: a\.tsv, format: csv}"
        ),
        bad("a.csv", b"a\tb\nc\td\n", r"a tab separated its values, not a comma\. Set `format: tsv` of this file"),
        bad("a.tsv", b"a\tb\n" + b"x" * 70000 + b"\ty\nfine\tline\nd\x00e\tf\n", r"a\.tsv:4: character 2 of the line is a NUL"),
        bad("a.tsv", b"a\tb\nc\td\ngr\xfcn\te\n", r"a\.tsv:3: byte 3 of the line \(0xfc\) is not utf-8, which was expected"),
        bad("a.tsv", b"a\tb\nc\td\ne\n", r"a\.tsv:3 must hold 2 columns \(a, b\), but holds 1"),
        bad("a.tsv", b"a\tb\nc\td\te\n", r"a\.tsv:2 must hold 2 columns \(a, b\), but holds 3"),
        bad("a.tsv", b"a\tb\n\nc\td\n", r"a\.tsv:2 must hold 2 columns, but is blank"),
        bad("a.tsv", b"a\ta\nc\td\n", r"different names, but `a` occurs twice"),
        bad("a.tsv", b"sorce\ttarget\nc\td\n", r"no column `source`; it has: sorce, target\. Did you mean `sorce`", required=["source"]),
        bad("a.csv", b'a,b\n"c,d\n', r"a\.csv:2 must be a row of csv, but its quotes do not match"),
        bad("a.jsonl", b'{"a": 1}\n[1]\n', r"a\.jsonl:2 must be a JSON object .* but is a list"),
        bad("a.jsonl", b'{"a": 1}\n{"a": }\n', r"a\.jsonl:2 must be JSON, but is not at character 7"),
        bad("a.jsonl", b'[\n{"a": 1}\n]\n', r"begins like a JSON list: call it \.json"),
        bad("a.jsonl", b'{"a": 1}\n{"b": 1}\n', r"a\.jsonl:2 has no column `a`; it has: b", required=["a"]),
        bad("a.jsonl", b"[" * 200_000 + b"\n", r"nested too deeply|must be JSON"),
        bad("a.tsv.gz", GZIPPED[: len(GZIPPED) // 2], r"a\.tsv\.gz` is cut off: \d+ lines could be read before"),
        bad("a.tsv.zst", ZIPPED[: len(ZIPPED) // 2], r"a\.tsv\.zst` is cut off: \d+ lines could be read before"),
        bad("a.tsv.zst", b"no zstd at all", r"a\.tsv\.zst` is damaged, or not a \.zst file"),
        bad("a.tsv.gz", b"no gzip at all", r"a\.tsv\.gz` is damaged, or not a \.gz file"),
        bad("a.parquet", b"no parquet at all", r"a\.parquet` cannot be read as parquet"),
        bad("a.dat", b"x", r"suffix of `.*a\.dat` must be one of .*\.csv, .*\(text also with"),
    ],
)
def test_bad_files_are_refused_in_a_sentence(tmp_path: Path, name: str, content: bytes, message: str, settings: dict[str, Any]) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(open_records(name, base=tmp_path, **settings)())


def test_missing_files_folders_and_names_close_by(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("a\nb\n")
    with pytest.raises(DataError, match=r"There is no file .*trian\.tsv`\. Did you mean `train\.tsv`"):
        open_records("trian.tsv", base=tmp_path)
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError, match="must be a file, but is a folder"):
        open_records(tmp_path)
    with pytest.raises(DataError, match=r"The folder `.*/no` does not exist either\.$"):
        open_records(tmp_path / "no" / "a.tsv")
    with pytest.raises(DataError, match=r"The folder `.*/dta` does not exist either\. Did you mean `data`\?"):
        open_records(tmp_path / "dta" / "a.tsv")


@pytest.mark.parametrize("missing", ["gas.tsv", "nothing.tsv", "main.tsv", "string.tsv"])
def test_a_name_that_only_ends_alike_is_not_proposed(tmp_path: Path, missing: str) -> None:
    (tmp_path / "train.tsv").write_text("a\nb\n")
    with pytest.raises(DataError, match=rf"There is no file `.*/{missing}`\.$"):
        open_records(missing, base=tmp_path)


def test_a_file_of_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.tsv").write_text("a\nb\n")
    (tmp_path / "recipes" / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=rf"begin at the folder of the recipe; did you mean `{tmp_path}/data/a\.tsv`\?"):
        open_records("data/a.tsv", base=tmp_path / "recipes")


def test_one_column_may_have_any_name_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("one, or two\nb\n")
    assert list(open_records("a.tsv", base=tmp_path, required=("one, or two",))) == [{"one, or two": "b"}]


@pytest.mark.parametrize(("left", "right"), [(3, 5), (5, 3)])
def test_files_of_different_length_say_both_counts(tmp_path: Path, left: int, right: int) -> None:
    (tmp_path / "a").write_text("x\n" * left)
    (tmp_path / "b").write_text("y\n" * right)
    with pytest.raises(DataError, match=rf"a` has {left} and .*b` has {right}\."):
        records_of({"source": "a", "target": "b"}, base=tmp_path)


def test_another_encoding_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes("a\ngrün\n".encode("latin-1"))
    assert records_of({"path": "a.tsv", "encoding": "latin-1"}, base=tmp_path) == [{"a": "grün"}]


def test_several_files_are_one_stream_with_running_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("source\nx\ny\n")
    (tmp_path / "b.tsv").write_text("source\nz\n")
    files = [FileConfig(path="a.tsv", weight=2.0), "b.tsv"]
    records = open_records(files, base=tmp_path)
    assert records.place(2) == f"{tmp_path / 'b.tsv'}:2", "also before anything was read"
    assert list(records()) == [(0, {"source": "x"}), (1, {"source": "y"}), (2, {"source": "z"})]
    assert records.place(1) == f"{tmp_path / 'a.tsv'}:3"
    assert [weight for _, weight in open_parts(files, base=tmp_path)] == [2.0, 1.0]


def test_signatures_change_with_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("source\nx\n")
    before = open_records(path).signature()
    assert open_records(path).signature() == before
    path.write_text("source\nxy\n")
    assert open_records(path).signature() != before
    assert open_records([{"a": 1}]).signature() != open_records([{"a": 2}]).signature()


class PandasLike:
    """What of a pandas frame is used: `iloc`, `len` and `to_dict("records")`."""

    def __init__(self, rows: list[dict[str, Any]]):
        self.rows = rows

    @property
    def iloc(self) -> "PandasLike":
        return self

    def __getitem__(self, rows: slice) -> "PandasLike":
        return PandasLike(self.rows[rows])

    def __len__(self) -> int:
        return len(self.rows)

    def to_dict(self, orient: str) -> list[dict[str, Any]]:
        assert orient == "records"
        return self.rows


def frames() -> Iterator[Callable[[], Any]]:
    yield lambda: ROWS
    yield lambda: tuple(ROWS)
    yield lambda: lambda: iter(ROWS)
    yield lambda: polars.DataFrame(ROWS)
    yield lambda: polars.DataFrame(ROWS).lazy()
    yield lambda: PandasLike(ROWS)
    yield lambda: (row for row in ROWS)


@pytest.mark.parametrize("make", list(frames()))
def test_python_objects_are_records(make: Callable[[], Any]) -> None:
    assert list(open_records(make())()) == list(enumerate(ROWS))


def test_python_objects_that_are_no_records() -> None:
    with pytest.raises(DataError, match=r"Record 1 must be a mapping .* but is a str"):
        records_of([{"source": "a"}, "b"])
    with pytest.raises(DataError, match="Record 0 has no column `source`"):
        records_of([{"sorce": "a"}], required=["source"])
    with pytest.raises(DataError, match="but are a int"):
        open_records(3)
    once = open_records(iter(ROWS))
    list(once())
    with pytest.raises(DataError, match="must be read more than once, but are an iterator"):
        list(once())


@config
class DataConfig:
    """A recipe's section as other parts declare it."""

    train: Files
    """Training records."""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a.tsv", [("a.tsv", 1.0)]),
        (["a.tsv", {"path": "b.csv", "weight": 2.5}], [("a.tsv", 1.0), ("b.csv", 2.5)]),
        ({"source": "a.en", "target": "a.de"}, [(None, 1.0)]),
    ],
)
def test_a_recipe_names_files_in_three_ways(value: Any, expected: list[Any]) -> None:
    settings = validate(DataConfig, {"train": value})
    assert [(file.path, file.weight) for file in settings.train] == expected
    assert validate(DataConfig, plain(settings)) == settings, "a resolved recipe is a recipe"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"pathh": "a.tsv"}, r"`train`: `pathh` is not a setting of a file\. Did you mean `path`"),
        ({"path": "a.tsv", "weight": 0}, r"`weight` must be greater than 0, but is 0"),
        ({"path": "a.tsv", "weight": "much"}, r"`weight` must be a valid number.*but is 'much'"),
        ({"path": "a.tsv", "format": "tvs"}, r"`format` must be one of .*csv, .*but is 'tvs'\. Did you mean `tsv`"),
        ({"path": "a.tsv", "source": "b"}, r"either `path`, or `source` and `target`"),
        ({}, r"either `path`, or `source` and `target`"),
        ({"path": "a.tsv", "encoding": "utf-17"}, r"`encoding` must be an encoding that Python knows"),
        ({"path": "a.tsv", "encoding": "utf-16"}, r"a byte 10 ends a line"),
        ({"source": "a", "target": "b", "columns": ["a"]}, r"no effect on line-aligned"),
        ([], r"at least one file"),
        (3, r"a file must be a path"),
    ],
)
def test_wrong_file_settings_are_refused(value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(DataConfig, {"train": value})


def test_file_records_know_their_paths(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\nb\n")
    records = open_records("a.tsv", base=tmp_path)
    assert isinstance(records, FileRecords)
    assert records.paths == (tmp_path / "a.tsv",)


@pytest.mark.parametrize("names", [("a.en", "a.de"), ("en.txt", "de.txt")])
def test_a_list_of_two_texts_is_told_how_pairs_are_named(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        (tmp_path / name).write_text("one\n")
    with pytest.raises(DataError, match=rf"\{{source: {names[0]}, target: {names[1]}\}}"):
        records_of(list(names), base=tmp_path, required=["source", "target"])
    if names[0].endswith(".txt"):  # as texts alone they are one after another
        assert len(records_of(list(names), base=tmp_path, required=["source"])) == 2
        with pytest.raises(DataError, match=r"has one text a line.*\{source: en\.txt, target: \.\.\.\}"):
            records_of(tmp_path / names[0], required=["source", "target"])
