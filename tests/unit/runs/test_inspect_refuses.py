"""`inspect` refuses what `train` would refuse, and settings have one name in Python and on the command line."""

from pathlib import Path

import pytest

import antiphon
from antiphon.errors import ConfigError
from antiphon.runs.inspect import inspect
from tests.cli.conftest import write_project


def test_what_decides_must_be_a_metric(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`training\.best`"):
        inspect(write_project(tmp_path), ["training.best=chrF"])


def test_settings_of_python_are_those_of_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--set: `model\.dmi` is not a setting"):
        antiphon.train(write_project(tmp_path), tmp_path / "run", settings=["model.dmi=8"])
