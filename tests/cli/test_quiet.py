"""How far a command is shows on a terminal alone, and `--quiet` leaves out all that is not the result."""

import shutil
from pathlib import Path

import pytest

from antiphon.runs.inspect import inspect
from tests.cli.conftest import Command


def test_inspect_tells_how_far_it_is(project: Path) -> None:
    said: list[str] = []
    inspect(project, progress=said.append)
    assert said[0] == "fitting the task to the training data"
    assert "train: 40 records encoded" in said
    assert said[-2:] == ["looking at the data", "trying 5 updates"]


def test_inspect_shows_it_on_a_terminal_unless_it_is_to_be_quiet(antiphon: Command, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert antiphon("inspect", project).err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    assert "trying 5 updates" in antiphon("inspect", project).err
    assert antiphon("inspect", project, "--quiet").err == ""


def test_a_report_is_quiet(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "copied", symlinks=True))
    assert antiphon("report", run).out == f"Wrote {run / 'report.html'}\n"
    quiet = antiphon("report", run, "-q")
    assert (quiet.status, quiet.out, quiet.err) == (0, "", "")
