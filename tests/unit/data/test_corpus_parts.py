"""Parts of a corpus, joined, are the files that one process writes; what is wrong in one of them is wrong in all."""

from pathlib import Path
from typing import Any

import pytest

from antiphon.contracts.corpus import WHOLE, Share
from antiphon.contracts.limits import Limits
from antiphon.data.corpus import build_corpus, build_part
from antiphon.data.corpus_parts import join_if_complete, join_parts, part_folder
from antiphon.data.records import open_records
from antiphon.errors import DataError
from tests.unit.data.letters import contents, encoding, rows


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


def test_whoever_ends_last_joins(tmp_path: Path) -> None:
    records = open_records(rows(41))
    build_corpus(records, encoding(), tmp_path / "one")
    folder = tmp_path / "several"
    for number in (2, 0, 1):
        part = Share(number, 3)
        build_part(records, encoding(), part_folder(folder, part), part)
        missing = join_if_complete(folder, 3, records)
        assert missing == {2: [Share(0, 3), Share(1, 3)], 0: [Share(1, 3)], 1: []}[number]
        assert len(join_if_complete(folder, 4, records)) == 4, "those of another number of machines are others"
    assert contents(folder) == contents(tmp_path / "one")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("several")] == ["several"], "the parts are gone"


def test_a_part_that_is_all_is_the_corpus(tmp_path: Path) -> None:
    records = open_records(rows(41))
    build_corpus(records, encoding(), tmp_path / "one")
    build_part(records, encoding(), part_folder(tmp_path / "whole", WHOLE), WHOLE)
    assert join_if_complete(tmp_path / "whole", 1, records) == []
    assert contents(tmp_path / "whole") == contents(tmp_path / "one")
