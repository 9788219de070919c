"""A run in a storage elsewhere can be opened at any moment, whatever was being sent, and resumed after a kill at any moment."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch

from antiphon.errors import CheckpointError
from antiphon.store import checkpoint
from antiphon.store.remote import Storage
from antiphon.store.remote_runs import RemoteRun, fetched_checkpoint, working_folder

URL = "memory://bucket/run"


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty storage, and an empty cache."""
    monkeypatch.setenv("ANTIPHON_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "fsync", lambda _: None)  # these kills are none of the machine
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


def save(folder: Path, step: int, *, best: bool, old: int | None = None) -> None:
    """A checkpoint of a step, as training writes it: links, and an old one goes."""
    place = folder / "checkpoints" / f"step-{step}"

    def parts(inner: Path) -> None:
        (inner / "features").mkdir()
        (inner / "features" / "vocabulary.json").write_text(f"[{step}]", encoding="utf-8")
        (inner / "training").mkdir()
        (inner / "training" / "progress.json").write_text(f"{step}", encoding="utf-8")

    checkpoint.write(place, {"version": "1", "step": step}, {"weight": torch.full((2,), float(step))}, parts)
    checkpoint.point(folder / "last", place)
    if best:
        checkpoint.point(folder / "best", place)
    if old is not None:
        checkpoint.remove(folder / "checkpoints" / f"step-{old}")
    (folder / "recipe.yaml").write_text("task: copy\n", encoding="utf-8")
    (folder / "corpus").mkdir(exist_ok=True)
    (folder / "corpus" / "source.bin").write_bytes(b"large")
    with open(folder / "metrics.jsonl", "a", encoding="utf-8") as log:
        log.write(f"{step}\n")


def steps_of(url: str = URL) -> tuple[int, int]:
    """The steps of the best and the last checkpoint, which are whole."""
    found = []
    for name in ("best", "last"):
        opened = checkpoint.read(fetched_checkpoint(url, name))
        opened.check()
        step = int(opened.header["step"])
        assert opened.weights()["weight"].tolist() == [step, step]
        assert (opened.features / "vocabulary.json").read_text("utf-8") == f"[{step}]"
        found.append(step)
    return found[0], found[1]


def begun(resume: bool = False) -> RemoteRun:
    run = RemoteRun(URL)
    run.open(resume=resume)
    return run


SAVES: list[Callable[[Path], None]] = [
    lambda folder: save(folder, 1, best=True),
    lambda folder: save(folder, 2, best=False),
    lambda folder: save(folder, 3, best=True, old=2),
    lambda folder: save(folder, 4, best=False, old=1),
]


def test_a_run_is_there_as_it_is_here(memory: Any) -> None:
    run = begun()
    for write in SAVES:
        write(run.folder)
        run.send()
    assert steps_of() == (3, 4)
    names = set(Storage(URL).sizes(deep=True))
    assert {name.split("/")[1] for name in names if name.startswith("checkpoints/")} == {"step-3", "step-4"}
    assert {"recipe.yaml", "metrics.jsonl", "links.json"} <= names
    assert not any(name.startswith("corpus/") for name in names), "encoded data is made again"
    assert checkpoint.find_checkpoint(URL) == checkpoint.find_checkpoint(Path(URL)) == fetched_checkpoint(URL, "best")
    assert not (fetched_checkpoint(URL, "best") / "training").exists(), "only resuming needs it"
    sent = list[str]()
    memory.pipe("/bucket/run/left.txt", b"of somebody else")
    send = Storage.send

    def counted(self: Storage, path: Path, name: str = "") -> None:
        sent.append(name)
        send(self, path, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Storage, "send", counted)
        run.send()
    assert sent == ["links.json"], "nothing else is new"
    assert memory.exists("/bucket/run/left.txt")


def test_it_can_be_opened_at_every_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[tuple[int, int]]()
    changing = {"send": Storage.send, "remove": Storage.remove}

    def watched(name: str) -> Callable[..., None]:
        def call(self: Storage, *arguments: Any) -> None:
            changing[name](self, *arguments)
            if self.exists("links.json"):
                seen.append(steps_of())

        return call

    run = begun()
    for name in changing:
        monkeypatch.setattr(Storage, name, watched(name))
    for write in SAVES:
        write(run.folder)
        run.send()
    assert list(dict.fromkeys(seen)) == [(1, 1), (1, 2), (3, 3), (3, 4)]
    assert len(seen) > 30


def test_a_kill_while_it_is_sent_costs_nothing(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before every third change in turn: what is resumed is a run of before or of now, and ends as one that was never killed."""

    class Killed(BaseException):
        pass

    changing = {"send": Storage.send, "remove": Storage.remove}
    left = 0

    def mortal(name: str) -> Callable[..., None]:
        def call(self: Storage, *arguments: Any) -> None:
            nonlocal left
            if not left:
                raise Killed
            left -= 1
            changing[name](self, *arguments)

        return call

    for name in changing:
        monkeypatch.setattr(Storage, name, mortal(name))
    kills, ended = 0, False
    while not ended:
        memory.store.clear()
        run, left, ended = begun(), kills, True
        kills += 3
        try:
            for write in SAVES:
                write(run.folder)
                run.send()
        except Killed:
            ended, left = False, 1000
            again = begun(resume=True)
            last = again.folder / "last"
            step = int(checkpoint.read(last.resolve()).header["step"]) if last.exists() else 0
            if step:
                checkpoint.read(last.resolve()).check()
                assert (again.folder / "last" / "training" / "progress.json").read_text("utf-8") == str(step)
            for write in SAVES[step:]:
                write(again.folder)
                again.send()
        assert steps_of() == (3, 4)
    assert kills > 30


def test_a_run_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    run = begun()
    SAVES[0](run.folder)
    run.send()
    with pytest.raises(CheckpointError, match=r"^memory://bucket/run already holds a run\. Continue it with `--resume`"):
        begun()
    (run.folder / "checkpoints" / "step-9").mkdir()
    (run.folder / "corpus" / "kept.bin").write_bytes(b"kept")
    again = begun(resume=True)
    assert again.folder == working_folder(URL)
    assert not (again.folder / "checkpoints" / "step-9").exists(), "what is there counts"
    assert (again.folder / "corpus" / "kept.bin").exists()
    assert working_folder("runs/a") == Path("runs/a")


def test_a_run_that_was_copied_with_its_links(memory: Any, tmp_path: Path) -> None:
    save(tmp_path / "run", 1, best=True)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")  # what links lead to is there twice, as `aws s3 cp --recursive` makes it
    memory.put(f"{tmp_path}/copy/", "/bucket/run/", recursive=True)
    assert steps_of() == (1, 1)
    assert checkpoint.read(fetched_checkpoint(f"{URL}/checkpoints/step-1", "best")).header["step"] == 1


def test_what_is_no_run(memory: Any) -> None:
    memory.pipe("/bucket/other/a.txt", b"a")
    with pytest.raises(CheckpointError, match=r"^There is no run or checkpoint memory://bucket/other: it has no links\.json"):
        fetched_checkpoint("memory://bucket/other", "best")
