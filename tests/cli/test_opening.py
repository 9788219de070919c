"""Opening a run reads each of its files once, and what only resuming needs not at all; what is read is checked."""

import shutil
from pathlib import Path

import pytest

import antiphon
from antiphon.contracts.trust import FOREIGN
from antiphon.errors import CheckpointError
from antiphon.recipe.assembly import stored_recipe, task_of
from antiphon.recipe.recipe import read_recipe
from antiphon.store import checkpoint


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A run that may be damaged."""
    return Path(shutil.copytree(trained, tmp_path / "copied", symlinks=True))


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that are hashed, in order."""
    names: list[str] = []
    own = checkpoint.digest

    def digest(path: Path) -> str:
        names.append(path.name)
        return own(path)

    monkeypatch.setattr(checkpoint, "digest", digest)
    return names


def test_each_file_is_hashed_once(run: Path, hashed: list[str]) -> None:
    antiphon.load(run)
    assert sorted(set(hashed)) == ["checkpoint.json", "model.safetensors", "task.json", "text.json", "vocabulary.json"]
    assert [hashed.count(name) for name in ("checkpoint.json", "model.safetensors", "task.json")] == [1, 1, 1]
    assert [hashed.count(name) for name in ("text.json", "vocabulary.json")] == [2, 2], "once for each side"


def test_recipe_and_task_need_no_weights(run: Path, hashed: list[str]) -> None:
    saved = checkpoint.read((run / "best").resolve())
    assert stored_recipe(saved, FOREIGN).task.name == task_of(saved, FOREIGN).name
    assert "model.safetensors" not in hashed


def test_damaged_training_state_is_noticed_when_it_is_needed(run: Path) -> None:
    with open(run / "last" / "training" / "optimizer.safetensors", "ab") as file:
        file.write(b"x")
    antiphon.load(run / "last")
    recipe = read_recipe(run.parent / "copied" / "recipe.yaml", ["training.max_steps=14"])
    with pytest.raises(CheckpointError, match=r"damaged: training/optimizer\.safetensors has changed"):
        antiphon.train(recipe, run, resume=True)
