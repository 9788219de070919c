"""Parts of a corpus, joined, are the files that one process writes; what is wrong in one of them is wrong in all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.contracts.configuration import validate
from antiphon.contracts.corpus import Share
from antiphon.contracts.limits import Limits
from antiphon.contracts.sequences import Example
from antiphon.contracts.specs import TokenSpec
from antiphon.data import parallel_encoding
from antiphon.data.corpus import build_corpus, build_part
from antiphon.data.corpus_parts import join_parts
from antiphon.data.encoding import Encoding
from antiphon.data.parallel_encoding import Work, encode_together
from antiphon.data.records import open_records
from antiphon.errors import ConfigError, DataError
from antiphon.tasks.translation import Translation, TranslationConfig

SPEC = TokenSpec(size=300, pad=0, unknown=1, start=2, end=3)


def encode(record: Any, index: int = -1, *, seed: int | None = None) -> Example:
    source = np.array([*map(ord, record["source"]), 3])
    target = np.array([2, *map(ord, record["target"]), 3]) if "target" in record else None
    links = np.zeros((len(record["source"]), 2), dtype=np.int64) if record.get("linked") else None
    return Example(source, target, index, links=links)


def encoding(**settings: Any) -> Encoding:
    given = {"limits": Limits(max_source_length=9), "fingerprint": "f", "keep_records": True, "block": 4, "weight_column": "w", **settings}
    return Encoding(encode, SPEC, SPEC, **given)


def rows(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"source": "x" * (number % 12), "target": "y" * (number % 5), "w": number / 7, **more} for number in range(count)]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def in_parts(folder: Path, records: Any, count: int, **settings: Any) -> Path:
    for number in range(count):
        build_part(records, encoding(**settings), folder / str(number), Share(number, count))
    join_parts([folder / str(number) for number in range(count)], folder / "joined", records)
    return folder / "joined"


@pytest.mark.parametrize("size", [1, 3, 16, 41, 160])
@pytest.mark.parametrize("more", [{}, {"linked": True}])
def test_joined_parts_are_what_one_process_writes(size: int, more: dict[str, Any], tmp_path: Path) -> None:
    records = open_records([{"source": "ab", "target": "c", "w": 1.5, **more}, *rows(size, **more)])
    build_corpus(records, encoding(), tmp_path / "one")
    for count in (2, 3, 7):
        assert contents(in_parts(tmp_path / f"{count}", records, count)) == contents(tmp_path / "one")


def test_a_part_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    records = open_records(rows(40))
    build_part(records, encoding(), tmp_path / "part", Share(1, 2))
    made = (tmp_path / "part" / "manifest.json").stat().st_ino
    build_part(records, encoding(), tmp_path / "part", Share(1, 2))
    assert (tmp_path / "part" / "manifest.json").stat().st_ino == made
    build_part(records, encoding(), tmp_path / "part", Share(0, 2))
    assert (tmp_path / "part" / "manifest.json").stat().st_ino != made


def test_what_only_some_parts_have_is_refused(tmp_path: Path) -> None:
    whole = rows(16)
    without = [{key: value for key, value in row.items() if key != "target"} for row in rows(4)]
    for name, data, said in (
        ("target", whole[:4] + without + whole[8:], "All records must have a target, or none"),
        ("links", whole[:4] + rows(4, linked=True) + whole[8:], "All records must have an alignment, or none"),
        ("weights", whole[:4] + [{**row, "w": None} for row in rows(4)] + whole[8:], "`w` must be a weight, .* but is missing"),
    ):
        with pytest.raises(DataError, match=said):
            in_parts(tmp_path / name, open_records(data), 2, limits=Limits())
    unweighed = [{key: value for key, value in row.items() if key != "w"} for row in rows(4)]
    with pytest.raises(DataError, match="All records must have a weight in `w`, or none"):
        in_parts(tmp_path / "unweighed", open_records(whole[:4] + unweighed + whole[8:]), 2)
    with pytest.raises(DataError, match=r"all were dropped: 1 for empty source, 9 for .*, 2 for empty target \(the first is record 0"):
        in_parts(tmp_path / "nothing", open_records(rows(12)), 2, limits=Limits(max_source_length=1, max_target_length=1))


def test_parts_of_different_data_are_refused(tmp_path: Path) -> None:
    for number in range(2):
        build_part(open_records(rows(8 + number)), encoding(), tmp_path / str(number), Share(number, 2))
    with pytest.raises(DataError, match="parts of one corpus, but they were made of different data or settings"):
        join_parts([tmp_path / "0", tmp_path / "1"], tmp_path / "joined", open_records(rows(8)))


@pytest.fixture(scope="module")
def task() -> Translation:
    made = Translation(validate(TranslationConfig, {"vocabulary": {"kind": "character"}}))
    made.fit(open_records(rows(50)))
    return made


def work(task: Translation, records: Any, folder: Path) -> Work:
    return Work(task, open_records(records), folder, Limits(), keep_records=True)


def test_processes_encode_together_and_what_they_have_done_stays(
    task: Translation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "a.tsv"
    table.write_text("source\ttarget\n" + "".join(f"{row['source']}\t{row['target']}\n" for row in rows(2500)), encoding="utf-8")
    task.build_corpus(open_records(table), tmp_path / "one", limits=Limits(), keep_records=True)
    together = work(task, table, tmp_path / "several")
    together.build(Share(0, 2))  # what a killed run has finished
    finished = (together.folder_of(Share(0, 2)) / "manifest.json").stat().st_ino
    joined: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(Work, "join", lambda _, count: joined.append(count))
        encode_together(together, 2)
    assert joined == [2]
    assert (together.folder_of(Share(0, 2)) / "manifest.json").stat().st_ino == finished
    assert together.join(3) == [Share(0, 3), Share(1, 3), Share(2, 3)], "those of another number of processes are others"
    assert together.join(2) == []
    assert contents(tmp_path / "several") == contents(tmp_path / "one")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("several")] == ["several"], "the parts are gone"
    monkeypatch.setattr(parallel_encoding, "encode_parts", None)
    encode_together(together, 2)  # opens what is there


def test_errors_come_back_as_they_are(task: Translation, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("source\ttarget\na\tb\nc\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.tsv:3"):
        encode_together(work(task, tmp_path / "a.tsv", tmp_path / "c"), 2)
    with pytest.raises(ConfigError, match=r"`data\.workers` must be 1 for this data, since it cannot be sent"):
        encode_together(work(task, lambda: iter(rows(3)), tmp_path / "c"), 2)
