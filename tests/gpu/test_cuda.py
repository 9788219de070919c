"""What is promised of a GPU, on a machine that has one: the same losses as a CPU, the same bits twice, one wait for a line of the log."""

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

import antiphon
from antiphon.contracts import registry
from antiphon.contracts.sequences import map_tensors
from antiphon.losses import cross_entropy
from antiphon.store import checkpoint
from antiphon.training.decoder_inputs import TeacherForcingConfig
from antiphon.training.distributed import Ranks
from antiphon.training.learner import Learner
from antiphon.training.optimizers import AdamWConfig, build_optimizer
from antiphon.training.precision import computing
from antiphon.training.results import read
from antiphon.training.sharded_gradients import ShardedGradients
from antiphon.training.shards import full
from antiphon.training.step import Update
from antiphon.training.trainer import Trainer
from benchmarks.gpu_training import SPEC, batch, built, train, training
from tests.reliability.training_processes import TRANSFORMER, events, write_data, write_recipe

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU with CUDA")]

CUDA, CPU = torch.device("cuda"), torch.device("cpu")


def losses(device: torch.device, precision: Any, *, compiled: bool = False) -> list[float]:
    with computing(precision, device, deterministic=False):
        return train(training("tiny", precision, device, compiled=compiled), [batch(512, step % 2) for step in range(20)], precision)


@pytest.mark.parametrize(("precision", "within"), [("fp32", 1e-3), ("tf32", 1e-2), ("bf16", 5e-2), ("bf16_weights", 5e-2), ("fp16", 2e-2)])
def test_losses_are_those_of_a_cpu(precision: str, within: float) -> None:
    assert losses(CUDA, precision) == pytest.approx(losses(CPU, "fp32"), rel=within)


@pytest.mark.parametrize(("precision", "within"), [("fp32", 1e-3), ("bf16", 5e-2), ("bf16_weights", 5e-2)])
def test_losses_of_compiled_layers_are_those_of_a_cpu(precision: str, within: float, monkeypatch: pytest.MonkeyPatch) -> None:
    preset = registry.find("models", "transformer").presets["tiny"]
    monkeypatch.setitem(preset, "dropout", 0.0)  # compiled layers draw other random numbers
    assert losses(CUDA, precision, compiled=True) == pytest.approx(losses(CPU, "fp32"), rel=within)


def test_shards_off_the_gpu_learn_the_same() -> None:
    dist.init_process_group("cpu:gloo,cuda:nccl", store=dist.HashStore(), rank=0, world_size=1)
    try:
        found = []
        for offload in (False, True):
            model = built("tiny")[0].to(CUDA).train()
            learner = Learner(model, cross_entropy.build(cross_entropy.CrossEntropyConfig(), SPEC), TeacherForcingConfig())
            ranks = Ranks(0, 1, CUDA)
            gradients = ShardedGradients(learner, ranks, "fp32", 1, offload=offload)
            update = Update(learner, gradients, build_optimizer(AdamWConfig(learning_rate=1e-4), model), ranks, clip_norm=1.0)
            found.append([update([batch(512, step % 2)], step, 1.0).loss for step in range(10)])
            assert {full(one).device.type for one in model.parameters()} == {"cpu" if offload else "cuda"}
        assert found[1] == pytest.approx(found[0], rel=1e-4)
    finally:
        dist.destroy_process_group()


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


def waits_of(work: Callable[[], object]) -> list[str]:
    """Where the GPU is waited for."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            work()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return [f"{one.filename}:{one.lineno}" for one in heard if "synchroniz" in str(one.message)]


def test_the_gpu_is_waited_for_once_for_many_updates() -> None:
    update = training("tiny", "fp32", CUDA)
    pinned = [map_tensors(torch.Tensor.pin_memory, batch(512, seed)) for seed in (0, 1)]
    for step in range(3):
        update([pinned[0]], step, 1.0)
    pending = []
    assert waits_of(lambda: pending.extend(update.begin([pinned[1]], step, 1.0) for step in range(3, 8))) == []
    assert len(waits_of(lambda: read(pending, update.ranks))) == 1


def test_the_gpu_is_waited_for_once_for_a_line_of_the_log(tmp_path: Path) -> None:
    write_data(tmp_path)
    recipe = write_recipe(tmp_path, model=TRANSFORMER, max_steps=40, validate_every=40, save_every=40, log_every=10, device="cuda")
    waits: list[list[str]] = []
    begin = Trainer._update

    def listening(self: Trainer, batches: Any, epoch: int, number: int) -> None:
        waits.append(waits_of(lambda: begin(self, batches, epoch, number)))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Trainer, "_update", listening)
        antiphon.train(recipe, tmp_path / "run")
    assert [len(found) for found in waits[10:]] == ([0] * 9 + [1]) * 3, waits
