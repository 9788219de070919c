"""Processes that are to train together, but do not have the same, are named."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from antiphon.contracts.configuration import plain
from antiphon.errors import CheckpointError, ConfigError, DataError
from antiphon.recipe.recipe import Recipe, read_recipe
from antiphon.runs import agreeing
from antiphon.training.distributed import Ranks
from tests.cli.conftest import write_project


@dataclass(frozen=True)
class Heard(Ranks):  # type: ignore[misc]
    """The first of two processes, of which the second says what `other` makes of the first one's words."""

    other: Any = None

    def gather_plain(self, value: Any) -> list[Any]:
        return [value, self.other(value)]


def heard(other: Any) -> Ranks:
    return Heard(0, 2, torch.device("cpu"), other)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return read_recipe(write_project(tmp_path_factory.mktemp("project")))


def test_the_same_program_and_recipe(recipe: Recipe) -> None:
    def moved(said: Any) -> Any:
        return {**said, "host": "b", "recipe": {**said["recipe"], "data": {"train": "elsewhere"}}}

    agreeing.check_same_program(recipe, heard(moved))
    with pytest.raises(ConfigError, match=r"Process 1 on b has torch 1\.0, but process 0 on .* has .*\. Install the same\."):
        agreeing.check_same_program(recipe, heard(lambda said: {**moved(said), "versions": {**said["versions"], "torch": "1.0"}}))
    other = plain(replace(recipe, seed=7, evaluation=replace(recipe.evaluation, batch_size=3)))

    def with_others(said: Any) -> Any:
        return {**moved(said), "recipe": {**other, "data": {"train": "elsewhere"}}}

    with pytest.raises(ConfigError, match=r"has another recipe than process 0 on .*: `evaluation\.batch_size`, `seed` differ\."):
        agreeing.check_same_program(recipe, heard(with_others))


def test_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agreeing.check_shared(tmp_path, heard(lambda said: said))
    assert not list(tmp_path.iterdir()), "nothing is left behind"
    blind = heard(lambda said: {**said, "host": "b", "seen": False} if isinstance(said, dict) else said)
    with pytest.raises(CheckpointError, match=r"Process 1 on b does not see .* as process 0 on .* has made it\. All processes need"):
        agreeing.check_shared(tmp_path, blind)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(agreeing, "_NOTICED_WITHIN", 0.0)
    assert not agreeing._appears(tmp_path / "never")
    assert not agreeing._appears(tmp_path / "no folder" / "never")


def test_the_same_data() -> None:
    mine = {"train": {"examples": 3, "lengths": "x", "contents": []}, "validation": {"examples": 1, "lengths": "y", "contents": []}}
    agreeing.check_same_data(mine, heard(lambda said: said))
    others = {**mine, "validation": {**mine["validation"], "lengths": "z", "examples": 2}}
    with pytest.raises(DataError, match=r"Process 1 on b has other data in `data\.validation` than process 0 on .*: 2 and 1 examples\."):
        agreeing.check_same_data(mine, heard(lambda _: {"host": "b", "data": others}))
