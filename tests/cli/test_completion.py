"""What a shell completes: commands, and names that commands take; and that it answers without torch."""

import os
import subprocess
import sys

import pytest

from antiphon.contracts import registry

PROGRAM = """
import sys
sys.argv = ["antiphon"]
from antiphon.cli.main import main
try:
    main()
finally:
    assert "torch" not in sys.modules
"""


def completed(shell: str, line: str) -> str:
    """What the shell is told for a line that ends where the cursor is."""
    words = line.split(" ")
    asked = {"_ANTIPHON_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **asked, "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=True)
    return run.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_names_are_completed(shell: str) -> None:
    told = completed(shell, "antiphon list m")
    assert "models" in told
    assert "metrics" in told
    assert "tasks" not in told


def test_each_argument_has_its_own_names() -> None:
    assert completed("bash", "antiphon new t").split() == ["translation"]
    assert completed("bash", "antiphon import ").split() == registry.names("importers")
    assert completed("bash", "antiphon export run --format ").split() == registry.names("exporters")
    assert {"check", "schema", "train"} <= set(completed("bash", "antiphon ").split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")  # the shell is named, not looked for
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace('["antiphon"]', repr(["antiphon", "--show-completion", shell]))],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    assert f"_ANTIPHON_COMPLETE=complete_{shell}" in run.stdout
