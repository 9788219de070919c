"""Checkpoints of an earlier revision are read as of today's, wherever their weights are taken from."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import antiphon
from antiphon.errors import CheckpointError, ConfigError
from antiphon.models import lstm
from antiphon.recipe.assembly import load_trained
from antiphon.recipe.recipe import Recipe, recipe_from
from antiphon.store import checkpoint

DATA = {"train": [{"source": text, "target": text[::-1]} for text in ("a b c", "c b", "a a", "b c a", "c a b", "b b")]}


def recipe(model: dict[str, Any], vocabulary: dict[str, Any], **training: Any) -> Recipe:
    return recipe_from(
        {
            "task": {"name": "translation", "vocabulary": vocabulary},
            "model": model,
            "data": {"validation": 1},
            "training": {"max_steps": 1, "optimizer": {"name": "adamw", "weight_decay": 0.0, "learning_rate": 1e-30}, **training},
            "search": {"name": "greedy"},
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    own = {"name": "lstm", "dim": 8, "encoder_layers": 1, "decoder_layers": 1, "dropout": 0.5}
    return antiphon.train(recipe(own, {"kind": "word"}), tmp_path_factory.mktemp("earlier") / "run", data=DATA)


@pytest.fixture
def revised(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def use(**changes: Any) -> None:
        monkeypatch.setattr(lstm, "plugin", replace(lstm.plugin, **changes))

    return use


def doubled(revision: int, weights: dict[str, Tensor], settings: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    assert revision == 1
    return {name: 2 * tensor for name, tensor in weights.items()}, {**settings, "dropout": 0.25}


def test_loading_initializing_and_adapting_upgrade(run: Path, tmp_path: Path, revised: Callable[..., None]) -> None:
    before = load_trained(run).model.state_dict()
    revised(revision=2, upgrade=doubled)
    loaded = load_trained(run)
    assert loaded.recipe.model.dropout == 0.25
    for name, tensor in loaded.model.state_dict().items():
        torch.testing.assert_close(tensor, 2 * before[name])
    again = antiphon.train(recipe(loaded.recipe.model.__dict__, {"run": str(run)}, init_from=str(run)), tmp_path / "again", data=DATA)
    for name, tensor in load_trained(again).model.state_dict().items():
        torch.testing.assert_close(tensor, 2 * before[name])
    adapter = {"name": "adapted", "run": str(run), "adapter": {"rank": 1, "modules": ["combine"]}}
    adapted = load_trained(antiphon.train(recipe(adapter, {"run": str(run)}), tmp_path / "adapted", data=DATA))
    assert adapted.recipe.model.model.dropout == 0.25
    torch.testing.assert_close(adapted.model.get_parameter("combine.base_layer.weight"), 2 * before["combine.weight"])


def test_other_revisions_are_refused(run: Path, revised: Callable[..., None]) -> None:
    revised(revision=0)
    with pytest.raises(CheckpointError, match=r"holds revision 1 of `lstm`, but this version knows up to 0\. Install a newer antiphon\."):
        load_trained(run)
    revised(revision=2)
    with pytest.raises(CheckpointError, match=r"holds revision 1 of `lstm`, which can no longer be upgraded to 2\."):
        load_trained(run)


def test_code_that_nobody_trusts_is_not_imported(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "model.py").write_text("plugin = None\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    copied = shutil.copytree(run, tmp_path / "copied", symlinks=True)
    header = checkpoint.read((copied / "best").resolve()).header
    named = {"name": "outside.model"}
    foreign = {"model": {**header["model"], **named}, "recipe": {**header["recipe"], "model": named}}
    checkpoint.amend((copied / "best").resolve(), {**header, **foreign})
    own = {"name": "lstm", "dim": 8, "encoder_layers": 1, "decoder_layers": 1}
    with pytest.raises(ConfigError, match="names code outside Antiphon"):
        antiphon.train(recipe(own, {"kind": "word"}, init_from=str(copied)), tmp_path / "run", data=DATA)
    assert "outside.model" not in sys.modules
