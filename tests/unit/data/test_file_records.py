"""A file of any format becomes records; what is none is counted, and every record knows its line."""

import gzip
import json
from pathlib import Path
from typing import Any

import polars
import pytest

from antiphon.contracts.files import FileConfig, as_file
from antiphon.contracts.records import Skipped
from antiphon.data.file_records import FileRecords
from antiphon.data.formats import readers
from antiphon.data.records import ChosenRecords, open_records
from antiphon.errors import ConfigError, DataError
from tests import toy_reader

TOY = FileConfig(path="a.toy", format="tests.toy_reader")
LINES = "# toy\none = eins\ntwo\n# more\nthree = drei\n"


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    (tmp_path / "a.toy").write_text(LINES, encoding="utf-8")
    return tmp_path


def test_what_is_no_record_is_counted_with_its_place(toy: Path) -> None:
    records = open_records(TOY, base=toy, required=("source", "target"))
    assert [(number, record["source"], record["unit"], record["file"]) for number, record in records()] == [
        (0, "one", 1, "a.toy"),
        (1, "three", 2, "a.toy"),
    ]
    path = toy / "a.toy"
    assert records.skipped() == {"comment": Skipped(2, (f"{path}:1", f"{path}:4")), "no target": Skipped(1, (f"{path}:3",))}
    assert records.place(1) == f"{path}:5"
    assert records.label(1) == f"{path}: unit 2"
    both = open_records([TOY, TOY], base=toy, required=("source", "target"))
    assert both.skipped()["comment"].count == 4
    kept, held = (ChosenRecords(both, frozenset({1}), keep=keep) for keep in (False, True))
    assert kept.skipped() == both.skipped()
    assert held.skipped() == {}


def test_records_to_answer_are_those_that_wait(toy: Path) -> None:
    records = open_records(TOY, base=toy, required=("source",))
    assert [record["source"] for record in records] == ["two"]
    assert records.place(0).endswith("a.toy:3")
    assert records.signature() != open_records(TOY, base=toy, required=("source", "target")).signature()


def test_skipped_is_known_without_reading_first(toy: Path) -> None:
    assert open_records(TOY, base=toy, required=("source",)).skipped()["has a target"].count == 2


def test_a_pattern_names_files_in_order(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.tsv").write_text(f"source\ttarget\n{name}\t{name}\n")
    assert [record["source"] for record in open_records("[ab].tsv", base=tmp_path)] == ["a", "b"]
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "f.tsv").write_text("source\ttarget\nf\tf\n")
    assert [record["source"] for record in open_records("**/*.tsv", base=tmp_path)] == ["a", "b", "c", "f"]
    (tmp_path / "[ab].tsv").write_text("source\ttarget\nitself\tx\n")
    assert [record["source"] for record in open_records("[ab].tsv", base=tmp_path)] == ["itself"]
    with pytest.raises(DataError, match=r"No file matches .*x\*\.tsv"):
        open_records("x*.tsv", base=tmp_path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz"])
def test_a_byte_order_mark_is_believed(tmp_path: Path, encoding: str, name: str) -> None:
    content = "source\ttarget\ngrün\tvert\n\u2028x\t€\n".encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert list(open_records(name, base=tmp_path)) == [{"source": "grün", "target": "vert"}, {"source": "\u2028x", "target": "€"}]


def test_half_a_character_of_utf_16_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("grün".encode("utf-16")[:-1])
    with pytest.raises(DataError, match=r"a\.txt` must be utf-16-le, as its byte order mark says"):
        list(open_records("a.txt", base=tmp_path))


def test_fields_within_fields(tmp_path: Path) -> None:
    rows = [{"translation": {"en": "one", "de": "eins"}}, {"translation": {"en": "two", "de": "zwei"}}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    polars.DataFrame(rows).write_parquet(tmp_path / "a.parquet")
    names = ("translation.en", "translation.de")
    for source in (tmp_path / "a.jsonl", tmp_path / "a.parquet", rows, polars.DataFrame(rows)):
        found: list[Any] = [tuple(record[name] for name in names) for record in open_records(source, required=names)]
        assert found == [("one", "eins"), ("two", "zwei")]
    with pytest.raises(DataError, match=r"no column `translation\.fr`; it has: translation"):
        list(open_records(tmp_path / "a.jsonl", required=("translation.fr",)))


def test_another_delimiter(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('source;target\n"a;b";c,d\n')
    assert list(open_records(FileConfig(path="a.csv", delimiter=";"), base=tmp_path)) == [{"source": "a;b", "target": "c,d"}]
    with pytest.raises(DataError, match=r'a\.csv:1 looks as if a semicolon separated its values.*Set `delimiter: ";"`'):
        list(open_records("a.csv", base=tmp_path))


def test_settings_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tb\nc\td\n")
    with pytest.raises(
        ConfigError, match=r"`languages` has no effect on .*a\.tsv`, which is read as tsv; remove it\. It may have: columns"
    ):
        open_records(FileConfig(path="a.tsv", languages=("en", "de")), base=tmp_path)
    with pytest.raises(ValueError, match=r"`format` must be one of .*Did you mean `tsv`"):
        as_file({"path": "a", "format": "tvs"})


def test_the_first_bytes_tell_where_the_suffix_does_not(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.data.formats.readers", lambda *suffix: iter([*readers(*suffix), toy_reader.plugin]))
    (toy / "a.toy").rename(toy / "a.strings")
    records = open_records("a.strings", base=toy, required=("source",))
    assert isinstance(records, FileRecords)
    assert records.format == "toy"


def test_two_readers_share_no_suffix_by_accident() -> None:
    claims: dict[str, list[str]] = {}
    for plugin in readers():
        for suffix in plugin.suffixes:
            if plugin.recognizes is None:
                claims.setdefault(suffix, []).append(plugin.name)
    assert not {suffix: names for suffix, names in claims.items() if len(names) > 1}


def test_a_format_names_its_suffixes_in_its_own_file() -> None:
    every = list(readers())
    for suffix in {suffix for plugin in every for suffix in plugin.suffixes}:
        assert [one.name for one in readers(suffix) if suffix in one.suffixes] == [one.name for one in every if suffix in one.suffixes]
    assert len(list(readers(".txt"))) < len(every), "the others are not imported"


def test_of_many_columns_some_are_named(tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_text(",".join(f"d_{day}" for day in range(100)) + "\n" + ",".join("1" * 100) + "\n")
    with pytest.raises(DataError, match=r"has no column `ds`; it has: d_0, .*d_29 and 70 more\."):
        list(open_records(tmp_path / "wide.csv", required=("ds",)))
