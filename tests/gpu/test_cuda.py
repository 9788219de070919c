"""What is promised of a GPU, on a machine that has one: the same losses as a CPU, the same bits twice, one wait an update."""

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import antiphon
from antiphon.store import checkpoint
from antiphon.training.precision import computing
from benchmarks.gpu_training import batch, training
from tests.reliability.training_processes import TRANSFORMER, events, write_data, write_recipe

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU with CUDA")]

CUDA, CPU = torch.device("cuda"), torch.device("cpu")


def losses(device: torch.device, precision: Any) -> list[float]:
    update: Any = training("tiny", precision, device)
    with computing(precision, device, deterministic=False):
        return [update(batch(8, step % 2), step).loss for step in range(20)]


@pytest.mark.parametrize(("precision", "within"), [("fp32", 1e-3), ("tf32", 1e-2), ("bf16", 5e-2), ("bf16_weights", 5e-2), ("fp16", 2e-2)])
def test_losses_are_those_of_a_cpu(precision: str, within: float) -> None:
    assert losses(CUDA, precision) == pytest.approx(losses(CPU, "fp32"), rel=within)


def test_a_run_is_the_same_twice_and_when_it_is_resumed(tmp_path: Path) -> None:
    write_data(tmp_path)
    recipe = write_recipe(tmp_path, model=TRANSFORMER, max_steps=20, device="cuda", deterministic=True)
    runs = [antiphon.train(recipe, tmp_path / name) for name in ("one", "two")]
    antiphon.train(recipe, tmp_path / "three", overrides=["training.max_steps=10"])
    runs.append(antiphon.train(recipe, tmp_path / "three", resume=True))
    expected, *others = [checkpoint.read((Path(run) / "last").resolve()).weights() for run in runs]
    for weights in others:
        assert all(torch.equal(tensor, weights[name]) for name, tensor in expected.items())
    assert events(Path(runs[0]), "train") == events(Path(runs[1]), "train")


def test_steps_in_cuda_graphs_find_what_steps_find() -> None:
    command = [sys.executable, "-m", "tests.compiled_programs", "search", "inductor", "cuda"]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert said["BeamSearch"]["programs"] == said["made"] == 4
    assert max(said[name]["apart"] for name in ("GreedySearch", "BeamSearch")) < 1e-4


def test_the_gpu_is_waited_for_once_an_update() -> None:
    update: Any = training("tiny", "fp32", CUDA)
    for step in range(3):
        update(batch(8, 0), step)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            for step in range(5):
                update(batch(8, 1), step)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    waits = [one for one in heard if "synchroniz" in str(one.message)]
    assert len(waits) <= 5, [f"{one.filename}:{one.lineno}" for one in waits]
