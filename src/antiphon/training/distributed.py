"""Training in one process or many: the rank, the device, and sums over all ranks.

Started by `torchrun`, every rank takes its rows of the same global batch, and gradients are summed in one flat all-reduce. There is no
wrapper around the model: a rank may run its micro-batches in any number of pieces (see `step.py`), which hooks would not allow.
What the program itself must know (counts, flags, times) is exchanged between processors: a GPU is not waited for.

A rank that fails leaves; the collectives of the others then fail too, instead of waiting, and only the first one to fail speaks of it.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, final

import torch
import torch.distributed as dist
from pydantic import Field
from torch import Tensor, nn
from torch._C._distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from antiphon.contracts.configuration import config
from antiphon.errors import TrainingError
from antiphon.training.device import find_device
from antiphon.training.hanging import start_watch, within

# Rank 0 may encode a large corpus, or check a checkpoint, for hours while the others wait; a rank that dies is noticed without a timeout.
_PATIENCE = timedelta(days=2)
_MEETING = timedelta(minutes=10)
_FAILED = "antiphon/failed"


@config
class DistributedConfig:
    """How several processes share the work. By default each holds the whole model, and only gradients are exchanged (DDP)."""

    shard: bool = False
    """Divide weights, gradients and the optimizer's state among the processes (FSDP2), for models that are too large for one of them."""
    offload: bool = False
    """With `shard`: keep the shards in the machine's memory and update them there; a GPU only holds those of one layer at a time. For
    models that are too large for all GPUs together; each update waits for the copies and for the CPU."""
    timeout_minutes: Annotated[float, Field(gt=0)] | None = 30.0
    """How long a process may keep the others waiting in training; then it is named with the place where it hangs, and all end. Null waits
    forever."""

    def shards(self, world: int) -> bool:
        """Whether this many processes use shards: a single process holds everything."""
        return self.shard and world > 1


@final
@dataclass(frozen=True)
class Ranks:
    """The position of this process among the others."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this rank writes and prints."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks, in place, of a tensor on the device or on the CPU."""
        if self.world > 1:
            with _peers_alive():
                dist.all_reduce(tensor)
        return tensor

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Sum gradients over all ranks; a parameter that a rank did not use counts as 0 there."""
        if self.world == 1:
            return
        trainable = [parameter for parameter in parameters if parameter.requires_grad]
        for parameter in trainable:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in trainable if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        self.sum(flat)
        for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Make all ranks hold rank 0's tensors."""
        if self.world > 1:
            with _peers_alive():
                for tensor in tensors:
                    dist.broadcast(tensor, 0)

    def gather(self, numbers: Sequence[int]) -> list[list[int]]:
        """The integers of each rank, in the order of ranks; their numbers may differ."""
        if self.world == 1:
            return [list(numbers)]
        counts = self._gather(torch.tensor([len(numbers)]))
        room = torch.zeros(max(int(count) for count in counts), dtype=torch.int64)
        room[: len(numbers)] = torch.tensor(list(numbers), dtype=torch.int64)
        gathered = self._gather(room) if len(room) else [room] * self.world
        return [part[: int(count)].tolist() for part, count in zip(gathered, counts, strict=True)]

    def gather_plain(self, value: Any) -> list[Any]:
        """The plain JSON values of each rank, in the order of ranks. Floats are exact, NaN included."""
        if self.world == 1:
            return [value]
        said = json.dumps(value, allow_nan=True).encode()
        counts = self._gather(torch.tensor([len(said)]))
        room = torch.zeros(max(int(count) for count in counts), dtype=torch.uint8)
        room[: len(said)] = torch.frombuffer(bytearray(said), dtype=torch.uint8)
        return [json.loads(part[: int(count)].numpy().tobytes()) for part, count in zip(self._gather(room), counts, strict=True)]

    def _gather(self, tensor: Tensor) -> list[Tensor]:
        parts = [torch.empty_like(tensor) for _ in range(self.world)]
        with _peers_alive():
            dist.all_gather(parts, tensor)
        return parts

    def any_of(self, flags: Sequence[bool]) -> list[bool]:
        """For each of the flags, whether any rank raises it."""
        if self.world == 1:
            return list(flags)
        raised = self.sum(torch.tensor(flags, dtype=torch.float32))
        return [count > 0 for count in raised.tolist()]

    def wait(self) -> None:
        """Wait for all ranks."""
        if self.world > 1:
            with _peers_alive():
                dist.barrier()


def start(device: str) -> Ranks:
    """Join the ranks that `torchrun` started, or run as a single process. `device` is cpu, cuda, mps or auto.

    Raises ConfigError when this machine has no such device.
    """
    device = str(find_device(device, "training.device"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Ranks(0, 1, torch.device(device))
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        _meet("cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo")  # shards may lie in the machine's memory
    return Ranks(dist.get_rank(), world, torch.device(device))


def _meet(backend: str) -> None:
    """Connect to the other ranks. Raises TrainingError when they cannot be reached.

    When `torchrun` has started all of them again, its store still has the addresses of those that have died, which gloo would wait for: so
    each attempt has names of its own there.
    """
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    host, port = (os.environ.get(name, "?") for name in ("MASTER_ADDR", "MASTER_PORT"))
    try:
        store, rank, world = next(iter(rendezvous("env://", timeout=_MEETING)))
        store.set_timeout(_MEETING)
        named = PrefixStore(f"antiphon/attempt-{attempt}", store)
        dist.init_process_group(backend, store=named, rank=rank, world_size=world, timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        if "EADDRINUSE" in str(error) or "address already in use" in str(error).lower():
            raise TrainingError(f"Port {port} (MASTER_PORT) is in use on this machine. Set MASTER_PORT to another one, for all.") from error
        raise TrainingError(
            f"Process {process_rank()} has not met the others at {host}:{port} (MASTER_ADDR, MASTER_PORT) within {_MEETING.seconds // 60}"
            " minutes, or one of them has stopped. See whether all have started, and whether a firewall stands between them."
        ) from error
    store.set_timeout(_PATIENCE)


def sharding_notes(settings: DistributedConfig, ranks: Ranks) -> list[str]:
    """Remarks before training when sharding or offloading has no effect."""
    if settings.shard and ranks.world == 1:
        return ["`training.distributed.shard` changes nothing with one process: start several by `torchrun`."]
    if settings.offload and ranks.device.type == "cpu":
        return ["`training.distributed.offload` changes nothing on a CPU, whose memory is where the shards are."]
    return []


def watched(ranks: Ranks, settings: DistributedConfig) -> AbstractContextManager[object]:
    """A context in which a process that keeps the others waiting is named."""
    return start_watch(ranks.rank, ranks.world, settings.timeout_minutes)


def stop() -> None:
    """Disconnect from the other ranks after success; does nothing for a single process."""
    if dist.is_initialized():
        dist.destroy_process_group()


def process_rank() -> int:
    """The rank that `torchrun` gave this process, known before the ranks are connected; 0 for a single process."""
    return int(os.environ.get("RANK", "0"))


def first_to_fail() -> bool:
    """Whether this rank should report its failure: the first of all ranks that asks. Before the ranks are connected, it is rank 0."""
    if not dist.is_initialized():
        return process_rank() == 0
    try:
        return dist.distributed_c10d._get_default_store().add(_FAILED, 1) == 1
    except RuntimeError:  # the store has gone with the rank that kept it, which then was the first
        return False


@contextmanager
def _peers_alive() -> Iterator[None]:
    """A context in which a collective operation that fails because another rank has gone gives a clear error."""
    try:
        with within("exchange"):
            yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise TrainingError("Another process of this run has stopped or cannot be reached; its own message says why.") from error
