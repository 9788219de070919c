"""Runs, inputs and outputs in a storage elsewhere, from the command line; the storage is in memory."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

import antiphon as package
from antiphon.store.remote import Storage
from tests.cli.conftest import Command

WORDS = ["abc1", "cab", "bca22", "a", "ccc"]


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty storage, and an empty cache."""
    monkeypatch.setenv("ANTIPHON_CACHE", str(tmp_path / "cache"))
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pipe("/in/words.txt", "".join(f"{word}\n" for word in WORDS).encode())
    yield files
    files.store.clear()


def put_run(memory: Any, trained: Path) -> None:
    """A run in the storage, as a copy with all that its links lead to."""
    for path in (trained / "best").resolve().rglob("*"):
        if path.is_file():
            memory.pipe(f"/run/{path.relative_to((trained / 'best').resolve()).as_posix()}", path.read_bytes())


def test_a_run_is_trained_stopped_and_resumed(antiphon: Command, project: Path, memory: Any) -> None:
    for split in ("train", "validation"):
        memory.pipe(f"/data/{split}.tsv", (project.parent / f"{split}.tsv").read_bytes())
    named = ("--set", "data.train=memory://data/train.tsv", "--set", "data.validation=memory://data/validation.tsv")
    whole = antiphon("train", project, "--out", "run", *named)
    assert whole.status == 0, whole.err
    first = antiphon("train", project, "--out", "memory://bucket/run", *named, "--set", "training.max_steps=6")
    assert first.status == 0, first.err
    assert "Wrote memory://bucket/run. Next: antiphon evaluate memory://bucket/run" in first.err
    again = antiphon("train", project, "--out", "memory://bucket/run", *named)
    assert "memory://bucket/run already holds a run. Continue it with `--resume`" in again.err
    for path in (project.parent / "cache" / "runs").rglob("*"):  # another machine has nothing
        path.unlink() if path.is_symlink() or path.is_file() else None
    resumed = antiphon("train", project, "--out", "memory://bucket/run", *named, "--resume", "--json")
    assert resumed.status == 0, resumed.err
    there = package.load("memory://bucket/run").predict(WORDS)
    here = package.load(project.parent / "run").predict(WORDS)
    assert [(one.text, one.hypothesis.score) for one in there] == [(one.text, one.hypothesis.score) for one in here]
    assert memory.exists("/bucket/run/metrics.jsonl")


def test_inputs_and_outputs(antiphon: Command, trained: Path, memory: Any, tmp_path: Path) -> None:
    put_run(memory, trained)
    asked = ("predict", "memory://run", "--input", "memory://in/*.txt", "--output")
    assert antiphon("predict", trained, "--input", "words.txt", "--output", "out.jsonl").status == 1
    (tmp_path / "words.txt").write_bytes(memory.cat("/in/words.txt"))
    assert antiphon("predict", trained, "--input", "words.txt", "--output", "out.jsonl").status == 0
    expected = (tmp_path / "out.jsonl").read_bytes()
    assert antiphon(*asked, "memory://out/all.jsonl").status == 0
    assert memory.cat("/out/all.jsonl") == expected
    for shard in ("2/2", "1/2"):
        result = antiphon(*asked, "memory://blocks/", "--block-records", 2, "--shard", shard)
        assert result.status == 0, result.err
    assert "memory://blocks/ has 3 of 3." in result.err
    assert b"".join(memory.cat(path) for path in sorted(memory.glob("/blocks/*.jsonl"))) == expected
    assert json.loads(memory.cat("/blocks/job/job.json"))["inputs"][0]["inputs"] == 5
    other = antiphon(*asked, "memory://blocks/", "--block-records", 3)
    assert "memory://blocks holds predictions of another job: its blocks have 2 inputs." in other.err


def test_an_output_that_cannot_be_sent_stays_here(
    antiphon: Command, trained: Path, memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Any, *_: Any, **__: Any) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(type(memory), "put_file", refuse)
    result = antiphon("predict", trained, "--input", "memory://in/words.txt", "--output", "memory://out/all.txt")
    assert result.status == 1
    assert "`memory://out/all.txt` cannot be written: Access Denied. All that was predicted is in " in result.err
    (kept,) = (tmp_path / "cache" / "outputs").rglob("all.txt")
    assert len(kept.read_text("utf-8").splitlines()) == 5
    assert not memory.exists("/out/all.txt")
    assert result.err.count("antiphon: ") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("memory://gone", "--input", "memory://in/words.txt"), "There is no run or checkpoint memory://gone"),
        (("RUN", "--input", "memory://in/gone.txt"), "There is no `memory://in/gone.txt`."),
        (("RUN", "--input", "memory://in/*.gone"), "No file matches `memory://in/*.gone`."),
        (("RUN", "--input", "s4://in/words.txt"), "`s4://in/words.txt` must begin with one of s3://"),
        (("RUN", "--input", "memory://in/words.txt", "--output", "memory://out/all.docx"), "has the suffix .docx"),
    ],
)
def test_bad_input(antiphon: Command, trained: Path, arguments: tuple[str, ...], sentence: str) -> None:
    result = antiphon("predict", *(trained if one == "RUN" else one for one in arguments))
    assert result.status == 1
    assert sentence in result.err


def test_several_processes_need_a_folder_that_they_see(antiphon: Command, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = antiphon("train", project, "--out", "memory://bucket/run")
    assert "`--out memory://bucket/run` is for one process: several need a folder that all of them see." in result.err
    assert Storage("memory://bucket/run").sizes(deep=True) == {}
