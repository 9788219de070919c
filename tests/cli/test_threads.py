"""Threads that wait sleep soon: a command asks OpenMP for it before it loads torch, unless the user wants otherwise."""

import os
import sys

import pytest

from antiphon.cli.threads import bound_spinning
from tests.cli.conftest import Command
from tests.package.source_files import run_python

# A command that loads torch, and with it OpenMP, which then prints what it makes of the environment.
LOADS_TORCH = "from antiphon.cli import main; main.app = lambda **_: __import__('torch')\n"
COMMAND = "main.main()"
MODULE = "import runpy; runpy.run_module('antiphon', run_name='__main__')"  # as a rank that torchrun starts


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "")  # so that what a test leaves is taken back
        monkeypatch.delenv(name)


@pytest.mark.skipif(sys.platform != "linux", reason="what GNU's OpenMP prints")
@pytest.mark.parametrize(("program", "given", "spins"), [(MODULE, None, "2000"), (COMMAND, "1234", "1234")], ids=["module", "command"])
def test_openmp_learns_it_before_torch_is_loaded(program: str, given: str | None, spins: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_DISPLAY_ENV", "VERBOSE")
    if given is not None:
        monkeypatch.setenv("GOMP_SPINCOUNT", given)
    finished = run_python(LOADS_TORCH + program)
    assert finished.returncode == 0, finished.stderr
    assert f"GOMP_SPINCOUNT = '{spins}'" in finished.stderr


def test_a_command_sets_it_for_child_processes(antiphon: Command) -> None:
    assert antiphon("--version").status == 0
    assert os.environ["GOMP_SPINCOUNT"] == "2000"
    assert "OMP_WAIT_POLICY" not in os.environ


def test_ranks_of_one_machine_do_not_spin_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    bound_spinning()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "GOMP_SPINCOUNT" not in os.environ


def test_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    bound_spinning()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    assert "GOMP_SPINCOUNT" not in os.environ


def test_importing_the_package_sets_nothing() -> None:
    finished = run_python("import os, antiphon, antiphon.cli.main; print(os.environ.get('GOMP_SPINCOUNT'))")
    assert finished.stdout.strip() == "None", finished.stderr
