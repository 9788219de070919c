"""Blocks that several processes encode: the files and the errors of one process, and no process that stays behind or is waited for."""

from pathlib import Path
from typing import Any

import pytest

from antiphon.data import parallel_encoding, processes
from antiphon.data.corpus import build_corpus
from antiphon.data.encoded_blocks import Block
from antiphon.data.mapped import MappedCorpus
from antiphon.data.parallel_encoding import encoded
from antiphon.data.records import open_records
from antiphon.errors import ConfigError, DataError, TrainingError
from tests.unit.data.letters import Deadly, contents, encode, encoding, rows


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the blocks' first records that this process encodes, where others have started before any block is read."""
    numbers: list[int] = []
    original = parallel_encoding._here

    def noted(block: Block, *arguments: Any) -> Any:
        numbers.append(block[0][0])
        return original(block, *arguments)

    def waited(helper: Any) -> Any:
        assert helper._connection.poll(120)
        return helper

    monkeypatch.setattr(parallel_encoding, "_here", noted)
    monkeypatch.setattr(parallel_encoding._Helper, "__enter__", waited)
    return numbers


def build(folder: Path, records: Any, workers: int, **settings: Any) -> MappedCorpus:
    return build_corpus(open_records(records), encoding(**settings), folder, workers=workers)


@pytest.mark.parametrize(("workers", "block"), [(2, 4), (3, 1)])
def test_processes_write_what_one_writes(workers: int, block: int, here: list[int], tmp_path: Path) -> None:
    """Weights, links and records; of some blocks nothing is left."""
    data = rows(403, linked=True)
    build(tmp_path / "one", data, 1, block=block)
    here.clear()
    build(tmp_path / "several", data, workers, block=block)
    assert contents(tmp_path / "one") == contents(tmp_path / "several")
    assert 0 < len(here) < len(data) / block, "this process encodes some blocks, and others do"


def test_nobody_waits_for_a_process_that_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_encoding._Helper, "has_said", lambda _: False)
    build(tmp_path / "one", rows(41), 1)
    build(tmp_path / "two", rows(41), 2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize(("wrong", "line"), [(5, "a\tb\tmuch"), (81, "a"), (150, "a\tb\t1")])
def test_errors_come_in_their_turn(wrong: int, line: str, here: list[int], tmp_path: Path) -> None:
    """In whichever process they are met, and before what is wrong behind them, be that encoding or reading."""
    table = tmp_path / "a.tsv"
    lines = [f"{row['source']}x\t{row['target']}\t{row['w']}" for row in rows(160)]
    lines[wrong], lines[wrong + 9] = "a\tb\t-1", line
    table.write_text("source\ttarget\tw\n" + "\n".join(lines) + "\n", encoding="utf-8")
    said = []
    for workers in (1, 2):
        with pytest.raises(DataError, match=rf"a\.tsv:{wrong + 2}: `w` must be a weight") as raised:
            build(tmp_path / "corpus", table, workers)
        said.append(str(raised.value))
    assert said[0] == said[1]
    assert [path.name for path in tmp_path.iterdir()] == ["a.tsv"]


@pytest.mark.parametrize("name", ["target", "alignment", "weight"])
def test_what_only_some_blocks_have_is_refused_alike(name: str, here: list[int], tmp_path: Path) -> None:
    whole = rows(160)
    changed = {
        "target": [{key: value for key, value in row.items() if key != "target"} for row in whole[80:]],
        "alignment": [{**row, "linked": True} for row in whole[80:]],
        "weight": [{key: value for key, value in row.items() if key != "w"} for row in whole[80:]],
    }
    said = []
    for workers in (1, 2):
        with pytest.raises(DataError, match=f"All records must have an? {name}") as raised:
            build(tmp_path / "corpus", whole[:80] + changed[name], workers)
        said.append(str(raised.value))
    assert said[0] == said[1]


def test_a_process_that_is_killed_is_no_corpus(here: list[int], tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"A process that encoded data has ended \(killed by SIGKILL\)"):
        build(tmp_path / "corpus", rows(160), 2, encode=Deadly())
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_sent_is_refused(here: list[int], tmp_path: Path) -> None:
    said = r"`data\.workers` must be 1 for this data, since it cannot be sent to other processes"
    with pytest.raises(ConfigError, match=said):
        build(tmp_path / "corpus", rows(160), 2, encode=lambda record, index=-1, *, seed=None: encode(record, index, seed=seed))
    with pytest.raises(ConfigError, match=said):
        build(tmp_path / "corpus", rows(160, more=lambda: None), 2, keep_records=False)


def test_processes_end_with_whoever_stops_asking(here: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    start = processes.start
    monkeypatch.setattr(processes, "start", lambda *arguments: started.append(start(*arguments)) or started[-1])
    blocks = iter([[*enumerate(rows(4))]] * 40)
    made = encoded(blocks, encoding(), 3)
    assert next(made).numbers.tolist() == [1, 2, 3]
    made.close()
    assert [process.poll() is None for _, process in started] == [False, False]
    assert next(blocks, None) is not None, "no more is read than is needed"
