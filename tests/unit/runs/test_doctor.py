"""What the doctor proves, and what it finds when a promise is broken."""

import shutil
from importlib import import_module
from pathlib import Path

import pytest
import torch

from antiphon.contracts.sequences import select_rows
from antiphon.engines.graphs import Rows
from antiphon.errors import ConfigError, DataError
from antiphon.runs.doctor import doctor
from antiphon.runs.export import export
from antiphon.store import checkpoint
from tests.toy_engine import with_toy_engine


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    with_toy_engine(monkeypatch)


@pytest.fixture
def folder(trained: Path, tmp_path: Path, toy: None) -> Path:
    return export(trained, format="toy", out=tmp_path / "exported", check=0, overrides=["search.limits.max_length=4"])


def states(found) -> dict[str, str]:
    return {one.promise.split(" the same")[0]: one.state for one in found.found}


def test_a_sound_run(trained: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    found = doctor(trained, most=2, updates=4)
    assert states(found) == {"the same alone and in any batch": "ok", "step by step": "ok", "resumed": "ok"}, found
    assert found.sound
    assert "2 of 2 outputs are equal" in found.found[0].text
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before  # the run is as it was
    assert not list(trained.parent.glob(".*partial*"))


def test_a_sound_export(trained: Path, folder: Path, tmp_path: Path) -> None:
    found = doctor(folder, against=trained, most=3)
    assert states(found) == {"the same alone and in any batch": "ok", "step by step": "ok", "exported": "ok"}, found
    assert "100.0% equal" in found.found[2].text
    alone = doctor(folder, data=[{"en": "abc"}, {"en": "bcde"}], most=6)  # own data, which nobody has translated
    assert states(alone) == {"the same alone and in any batch": "ok", "step by step": "skipped", "exported": "skipped"}
    assert "--against" in alone.found[2].text


def test_an_engine_whose_results_depend_on_neighbours(folder: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("antiphon.engines.toy"), "LOUD", 0.01)
    found = doctor(folder, data=trained.parent / "test.tsv", most=3)
    assert states(found)["the same alone and in any batch"] == "wrong"
    assert not found.sound


def test_an_engine_that_says_something_else(folder: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("antiphon.engines.toy"), "FAULT", 0.3)
    found = doctor(folder, against=trained, most=3)
    assert states(found) == {"the same alone and in any batch": "ok", "step by step": "ok", "exported": "wrong"}
    assert "in log-probability from the run" in found.found[2].text


def test_a_cache_that_is_not_reordered(folder: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kept(self: Rows, index: torch.Tensor) -> Rows:
        return self if len(index) == len(next(iter(self.tensors.values()))) else Rows(select_rows(self.tensors, index))

    monkeypatch.setattr(Rows, "select_rows", kept, raising=False)
    found = doctor(folder, data=trained.parent / "test.tsv", most=3)
    assert states(found)["step by step"] == "wrong"


def test_a_run_that_forgets_something(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.training.state.load_optimizer", lambda *_: None)
    found = doctor(trained, most=2, updates=2)
    assert states(found)["resumed"] == "wrong"
    assert "tensors differ" in found.found[-1].text


def test_what_cannot_be_examined_is_said(trained: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`--against` compares an exported folder .* is a run\."):
        doctor(trained, against=trained)
    with pytest.raises(ConfigError, match=r"was exported, too\."):
        doctor(folder, against=folder)
    with pytest.raises(DataError, match="the data has no records"):
        doctor(folder, data=[])
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint.find_checkpoint(trained).resolve(), copy)  # a checkpoint without its run
    assert "no training state" in doctor(copy, most=2).found[-1].text
