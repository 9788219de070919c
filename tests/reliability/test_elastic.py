"""A process that is killed under torchrun leads to a restart, which ends with the weights of a run that nothing happened to."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from antiphon.store import checkpoint
from tests.reliability.training_processes import LSTM, write_data, write_recipe

KILLS = 3


ONE_MACHINE = ("--standalone", "--nproc-per-node", "2")


def torchrun(recipe: Path, out: Path, *more: str, machine: Sequence[str] = ONE_MACHINE) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", *machine, "--max-restarts", str(KILLS)]
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


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_machine_fewer_goes_on(tmp_path: Path) -> None:
    write_data(tmp_path)
    recipe = write_recipe(tmp_path, model=LSTM, max_steps=200, save_every=5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"--rdzv-endpoint=127.0.0.1:{free.getsockname()[1]}"
    machines = [
        torchrun(recipe, tmp_path / "run", machine=[endpoint, "--rdzv-backend=c10d", "--nnodes=1:2", f"--rdzv-conf=is_host={host}"])
        for host in (1, 0)
    ]
    while not _reached(tmp_path / "run", 20):
        assert all(machine.poll() is None for machine in machines), [machine.communicate()[0] for machine in machines]
        time.sleep(0.05)
    for process in (*ranks_of(machines[1].pid), machines[1].pid):
        os.kill(process, signal.SIGKILL)
    machines[1].communicate()
    said, _ = machines[0].communicate()
    assert machines[0].returncode == 0, said
    assert "2 process(es)" in said
    assert "1 process(es)" in said, "the one that is left goes on alone"
    assert _reached(tmp_path / "run", 200)
