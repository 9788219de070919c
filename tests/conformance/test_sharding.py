"""Gradients of weights in shards are those of the whole model, whichever layers are gathered one by one."""

import os
import socket
import traceback
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from antiphon.contracts.loss import LossSum
from antiphon.training.decoder_inputs import TeacherForcingConfig
from antiphon.training.distributed import Ranks
from antiphon.training.learner import Learner
from antiphon.training.sharded_gradients import ShardedGradients
from antiphon.training.shards import full
from tests.conformance.variants import BY_FRAMES, batch, build, gradients, loss_of, variants

RANKS = 2
# A norm over the batch is over the rows of a rank, with shards or without.
OWN_ROWS = [variant for variant in variants() if "batch" not in variant.settings.values()]
ALL = [(variant, kind) for variant in OWN_ROWS for kind in variant.specs if variant.architecture not in BY_FRAMES]
FIRST = {variant.architecture: (variant, kind) for variant, kind in reversed(ALL)}


class Summed:
    """The loss of `gradients`."""

    def __call__(self, output, labels, weights=None):
        counts = 1.0 if weights is None else weights[0]  # 0 for rows that are not learned from
        return LossSum(counts * loss_of(output, labels), torch.zeros(len(labels.lengths)))


def sharded_gradients(rank, pairs, seed, precision="fp32"):
    """The gradients of each parameter, by the number of the pair."""
    found = {}
    for number, (variant, kind) in enumerate(pairs):
        model, data = made(variant, kind, seed, precision), batch(kind, seed)
        learner = Learner(model, Summed(), TeacherForcingConfig())
        sharded = ShardedGradients(learner, Ranks(rank, RANKS, torch.device("cpu")), precision, 1)
        mine = data.select_rows(torch.arange(rank, 3, RANKS))
        sharded([mine, mine.unlearned()], 0, 1.0)
        found[number] = {name: None if one.grad is None else full(one.grad) for name, one in model.named_parameters()}
    return found


def made(variant, kind, seed, precision="fp32"):
    """A model to train; weights that are gathered in half precision have masters in single precision."""
    model = build(variant, seed, kind).train()
    return model if precision == "fp32" else model.float()


def in_ranks(function, folder: Path):
    """What the first of several forked processes, which have met, makes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    children = []
    for rank in range(RANKS):
        if pid := os.fork():
            children.append(pid)
            continue
        status = 1
        try:
            dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=RANKS)
            found = function(rank)
            if rank == 0:
                torch.save(found, folder / "found.pt")
            dist.barrier()
            status = 0
        except BaseException:
            (folder / f"error-{rank}.txt").write_text(traceback.format_exc())
        finally:
            os._exit(status)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    assert statuses == [0] * RANKS, "\n".join(path.read_text() for path in folder.glob("error-*.txt"))
    return torch.load(folder / "found.pt")


@pytest.mark.parametrize("pairs", [pytest.param(list(FIRST.values()), id="quick"), pytest.param(ALL, id="all", marks=pytest.mark.slow)])
def test_gradients_are_those_of_the_whole_model(pairs, seed, tmp_path):
    found = in_ranks(lambda rank: sharded_gradients(rank, pairs, seed), tmp_path)
    wrong = set()
    for number, (variant, kind) in enumerate(pairs):
        expected = gradients(build(variant, seed, kind).train(), batch(kind, seed))
        for name, gradient in expected.items():
            own = found[number][name]
            if not torch.allclose(torch.zeros_like(gradient) if own is None else own, gradient, 1e-9, 1e-9):
                wrong.add(f"{variant.id} {kind}")
    assert not wrong


def test_gathered_in_half_precision_they_are_near_and_in_single_precision(seed, tmp_path, monkeypatch):
    for module in ("precision", "sharded_gradients"):  # a processor without bf16 imitates it
        monkeypatch.setattr(f"antiphon.training.{module}.has_bf16", lambda _: True)
    variant, kind = FIRST["transformer"]
    (found,) = in_ranks(lambda rank: sharded_gradients(rank, [(variant, kind)], seed, "bf16"), tmp_path).values()
    expected = gradients(made(variant, kind, seed, "bf16"), batch(kind, seed))
    assert {one.dtype for one in found.values()} == {torch.float32}
    one, other = (torch.cat([gradient.flatten() for gradient in tree.values()]) for tree in (found, expected))
    apart = float((one - other).norm() / other.norm())
    assert 0 < apart < 0.1
