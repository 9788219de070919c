"""What sharding weights costs and saves: the most memory of a process, and target tokens a second, of whole and of sharded weights.

    python benchmarks/sharded_training.py --preset big --ranks 2
    python benchmarks/sharded_training.py --preset big --ranks 1 --device cuda --ways whole fsdp offload

Each way runs in processes of its own, one thread each, in turns: one process, one with as many threads as there are ranks, several with
whole weights (DDP), several with shards (FSDP2), the same with shards in the memory of the machine (offload). Batches are random symbols,
the same for all ways. Memory is the peak of a process without what importing takes; on a GPU, that of its tensors there. With one rank a
single GPU shows what the layers that are gathered one by one, and the copies of an offload, cost and save.
"""

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

import torch

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Batch, Padded
from antiphon.contracts.specs import TokenSpec
from antiphon.losses import cross_entropy
from antiphon.training import distributed
from antiphon.training.decoder_inputs import TeacherForcingConfig
from antiphon.training.distributed import DistributedConfig
from antiphon.training.gradients import Gradients, make_gradients
from antiphon.training.learner import Learner
from antiphon.training.optimizers import AdamWConfig, build_optimizer
from antiphon.training.sharded_gradients import ShardedGradients
from antiphon.training.step import Update

WAYS = ("whole", "threads", "ddp", "fsdp", "offload")
SOURCE, TARGET = 30, 32


def batch(spec: TokenSpec, rows: int, seed: int) -> Batch:
    """Rows of random symbols, all of one length."""
    generator = torch.Generator().manual_seed(seed)
    source, target = (torch.randint(4, spec.size, (rows, length), generator=generator) for length in (SOURCE, TARGET))
    return Batch(Padded(source, torch.full((rows,), SOURCE)), Padded(target, torch.full((rows,), TARGET)), tuple(range(rows)))


def measure(settings: argparse.Namespace) -> dict[str, float]:
    """What this process takes, as one of its ranks."""
    torch.set_num_threads(settings.ranks if settings.way == "threads" else 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sharded = settings.way in ("fsdp", "offload")
    ranks = distributed.start(settings.device)
    if sharded and ranks.world == 1:  # training takes the whole model then
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if ranks.device.type == "cuda" else "gloo", rank=0, world_size=1)
    spec = TokenSpec(settings.symbols, 0, 1, 2, 3)
    plugin = registry.find("models", "transformer")
    torch.manual_seed(1)
    config: Any = validate(plugin.Config, {"name": "transformer", **plugin.presets[settings.preset], "tied_embeddings": "all"})
    model = plugin.build(config, spec, spec).to(ranks.device).train()
    loss = cross_entropy.build(cross_entropy.CrossEntropyConfig(), spec)
    learner = Learner(model, loss, TeacherForcingConfig())
    gradients: Gradients
    if sharded:
        gradients = ShardedGradients(learner, ranks, "fp32", 1, offload=settings.way == "offload")
    else:
        gradients = make_gradients(learner, ranks, "fp32", 1, DistributedConfig())
    update = Update(learner, gradients, build_optimizer(AdamWConfig(learning_rate=1e-4), model), ranks, clip_norm=1.0)
    times = []
    for step in range(settings.updates):
        whole = batch(spec, settings.rows, step)
        began = time.perf_counter()
        update([whole.select_rows(torch.arange(ranks.rank, settings.rows, ranks.world))], step, 1.0)
        times.append(time.perf_counter() - began)
    if ranks.device.type == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**20
    else:
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    distributed.stop()
    return {"MiB": peak, "tokens": settings.rows * (TARGET - 1) / statistics.median(times[1:])}


def run(settings: argparse.Namespace, way: str) -> dict[str, float]:
    """What the processes of one way take: the most memory of one, and the tokens a second of all."""
    count = 1 if way in ("whole", "threads") else settings.ranks  # one GPU is for one process
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    environment = os.environ | shared | {"OMP_NUM_THREADS": str(settings.ranks if way == "threads" else 1), "OMP_WAIT_POLICY": "PASSIVE"}
    processes = [
        subprocess.Popen([sys.executable, __file__, *sys.argv[1:], "--way", way], env=environment | {"RANK": str(rank)}, stdout=-1)
        for rank in range(count)
    ]
    found = [json.loads(process.communicate()[0]) for process in processes]
    return {"MiB": max(one["MiB"] for one in found), "tokens": found[0]["tokens"]}


def main() -> None:
    """Measure all ways in turns, or one within a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="base", help="of the Transformer")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--symbols", type=int, default=16_000)
    parser.add_argument("--rows", type=int, default=16, help="rows of a batch, of all processes together")
    parser.add_argument("--updates", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.way is not None:
        print(json.dumps(measure(settings)))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in settings.ways}
    for _ in range(settings.rounds):
        for way in settings.ways:
            found[way].append(run(settings, way))
            print(way, found[way][-1], flush=True)
    for way in settings.ways:
        memory, tokens = (statistics.median(one[name] for one in found[way]) for name in ("MiB", "tokens"))
        print(f"{way:7} {memory:8.0f} MiB of a process at most, {tokens:8.0f} target tokens a second")


if __name__ == "__main__":
    main()
