"""One process or many: the rank, the device, and sums over all ranks.

Started by `torchrun`, every rank takes its rows of the same global batch, and gradients are summed in one flat all-reduce. There is no
wrapper around the model: a rank may run its micro-batches in any number of pieces (see `step.py`), which hooks would not allow.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
import torch.distributed as dist
from torch import Tensor, nn


@final
@dataclass(frozen=True)
class Ranks:
    """Where this process stands among its peers."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this rank writes and prints."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks, in place."""
        if self.world > 1:
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
        dist.all_reduce(flat)
        for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Make all ranks hold rank 0's tensors."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def agree(self, flag: bool) -> bool:
        """Whether any rank says yes."""
        return bool(self.sum(torch.tensor(float(flag), device=self.device)) > 0) if self.world > 1 else flag

    def wait(self) -> None:
        """Wait for all ranks."""
        if self.world > 1:
            dist.barrier()


def start(device: str) -> Ranks:
    """Join the ranks that `torchrun` started, or stand alone. `device` is cpu, cuda, mps or auto."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Ranks(0, 1, torch.device(device))
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    return Ranks(dist.get_rank(), world, torch.device(device))
