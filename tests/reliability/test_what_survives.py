"""The experiments of `benchmarks/reliability.py`: few cases each in the fast suite, all of them as a slow test."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(1200)  # each starts dozens of processes, which takes its time on a busy machine
ROOT = Path(__file__).resolve().parents[2]


def run_experiments(*arguments: str, seed: int) -> str:
    """What the benchmark prints. It is a program of its own, since it forks, which a process with threads must not."""
    command = [sys.executable, str(ROOT / "benchmarks" / "reliability.py"), *arguments, "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_stop_and_resume(seed: int) -> None:
    """Random combinations of model, processes, precision and accumulation, each stopped at random updates."""
    assert "identical 1, combinations 1" in run_experiments("resume", "--limit", "1", seed=seed)


def test_kills_and_no_room(seed: int) -> None:
    said = run_experiments("kill", "full", "--limit", "1", seed=seed)
    assert re.search(r"kills \d+, during a save \d+, unreadable 0, lost or repeated 0", said)
    assert "full and recovered 2" in said


def test_divergence_and_memory(seed: int) -> None:
    said = run_experiments("diverge", "memory", "--limit", "1", seed=seed)
    assert "poisoned records named 1" in said
    assert re.search(r"updates split [1-9]", said)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("experiment", ["resume", "kill", "ranks", "full", "signals", "diverge", "memory"])
def test_all_cases(experiment: str, seed: int) -> None:
    assert "failures 0" in run_experiments(experiment, seed=seed)


@pytest.mark.slow
def test_several_processes(seed: int) -> None:
    said = run_experiments("ranks", "--limit", "1", seed=seed)
    assert "lost ranks 2" in said
    assert "validations alike 1" in said
