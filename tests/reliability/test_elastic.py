"""A process that is killed under torchrun leads to a restart, which ends with the weights of a run that nothing happened to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from antiphon.store import checkpoint
from tests.reliability.training_processes import LSTM, write_data, write_recipe

KILLS = 3


def torchrun(recipe: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", str(KILLS)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    train = ["-m", "antiphon", "train", str(recipe), "--out", str(out), "--resume", *more]
    return subprocess.Popen([*command, *train], env=environment, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True)


def ranks_of(agent: int) -> list[int]:
    """The processes that torchrun has started."""
    return [int(pid) for pid in Path(f"/proc/{agent}/task/{agent}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("sharded", [False, True])
def test_killed_three_times(sharded: bool, tmp_path: Path) -> None:
    write_data(tmp_path)
    recipe = write_recipe(tmp_path, model=LSTM, max_steps=60, save_every=1)
    more = ("--set", f"training.distributed.shard={str(sharded).lower()}")
    undisturbed = torchrun(recipe, tmp_path / "one", *more)
    said, _ = undisturbed.communicate()
    assert undisturbed.returncode == 0, said
    disturbed = torchrun(recipe, tmp_path / "two", *more)
    for kill in range(KILLS):
        wanted = 5 + 15 * kill
        while disturbed.poll() is None and not _reached(tmp_path / "two", wanted):
            time.sleep(0.05)
        assert disturbed.poll() is None, f"it ended before kill {kill}: {disturbed.communicate()[0]}"
        os.kill(ranks_of(disturbed.pid)[kill % 2], signal.SIGKILL)
    said, _ = disturbed.communicate()
    assert disturbed.returncode == 0, said
    expected, found = (checkpoint.read((tmp_path / name / "last").resolve()).weights() for name in ("one", "two"))
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def _reached(run: Path, step: int) -> bool:
    try:
        return int((run / "last").resolve().name.removeprefix("step-")) >= step
    except ValueError:
        return False
