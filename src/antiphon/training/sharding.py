"""Weights, gradients and the optimizer's state in shards, one for each process (Rajbhandari et al. 2020; torch's `fully_shard`).

Each layer's weights are gathered when it computes and let go behind it; its gradients are added up over all processes, and each keeps its
shard of the sum. What does not belong to a layer (embeddings, the output) is gathered once for an update.

All processes must exchange the same tensors in the same order, whatever becomes of their own batch. One whose memory did not suffice has
exchanged some and not the others: it follows what the rest do (`Exchange.follow`), without taking part twice in what is done.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast, final

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, MixedPrecisionPolicy, OffloadPolicy, fully_shard

from antiphon.errors import ConfigError
from antiphon.training.heap import map_large_blocks


@final
class Exchange:
    """Counts the exchanges within one pass over a batch, so that a process that stopped in the middle can take part in the rest."""

    def __init__(self) -> None:
        self._done = self._skipped = 0

    def begin(self) -> None:
        """Begin a new pass."""
        self._done = self._skipped = 0

    @contextmanager
    def follow(self) -> Iterator[None]:
        """A context in which the pass is repeated, without the exchanges that are done already."""
        self._skipped, self._done = self._done, 0
        yield
        self._skipped = 0

    def takes_part(self) -> bool:
        """Whether to do the next exchange, which counts as done from here on."""
        self._done += 1
        return self._done > self._skipped


class _Allocates:
    """Allocates buffers for exchanges."""

    def __init__(self, exchange: Exchange):
        self.exchange = exchange

    def allocate(self, size: Sequence[int | torch.SymInt], *, dtype: torch.dtype, device: torch.device) -> Tensor:
        """A new buffer for each call."""
        return torch.empty(*size, dtype=dtype, device=device)


class _Gather(_Allocates):
    def __call__(self, output_tensor: Tensor, input_tensor: Tensor, group: dist.ProcessGroup, async_op: bool = False) -> Any:
        if not self.exchange.takes_part():
            output_tensor.zero_()
            return None
        if output_tensor.device.type != "cpu":
            return dist.all_gather_single(output_tensor, input_tensor, group=group, async_op=async_op)
        # gloo gathers into a buffer of its own, which is copied. `input_tensor` is this process's part of the output already.
        for rank, part in enumerate(output_tensor.chunk(group.size())):
            dist.broadcast(part, group=group, group_src=rank)
        return None


class _Scatter(_Allocates):
    """Reduces by sums, never means: the divisor of gradients is known before (see `step.py`)."""

    def __call__(
        self,
        output_tensor: Tensor,
        input_tensor: Tensor,
        group: dist.ProcessGroup,
        op: Any,
        async_op: bool = False,
    ) -> Any:
        on_cpu, takes_part = input_tensor.device.type == "cpu", self.exchange.takes_part()
        if takes_part and not on_cpu:
            return dist.reduce_scatter_single(output_tensor, input_tensor, op=dist.ReduceOp.SUM, group=group, async_op=async_op)
        if takes_part:  # gloo has no other way than to add up all of it, and would do so in a copy
            dist.all_reduce(input_tensor, group=group)
            output_tensor.copy_(input_tensor.chunk(group.size())[group.rank()])
        else:
            output_tensor.zero_()
        if on_cpu:  # torch would keep it until the next one is full, for a stream that may still read it
            input_tensor.untyped_storage().resize_(0)
        return None


def shard(root: nn.Module, layers: Iterable[nn.Module], *, half: bool, offload: bool = False) -> Exchange:
    """Shard a module in place, each of its layers separately. Optimizers must be made afterwards, since the parameters are replaced.

    root     what is called for each batch; its weights are used nowhere but within its `forward`
    layers   those parts whose weights are used nowhere but within their own `forward`
    half     whether weights are gathered in bfloat16; masters and sums of gradients are in single precision
    offload  whether shards lie in the machine's memory, which a GPU copies from (pinned), and are updated there

    Raises ConfigError when PyTorch is too old for it.
    """
    if not hasattr(FSDPModule, "reset_iter_state"):
        raise ConfigError(f"`training.distributed.shard` needs PyTorch 2.13 or newer, but this is {torch.__version__}.")
    precision = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False) if half else MixedPrecisionPolicy()
    # What layers give is a view here and there, and never changed in place.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor", category=UserWarning)
    on_gpu = next(root.parameters()).is_cuda
    if not on_gpu:
        map_large_blocks()
    place = CPUOffloadPolicy(pin_memory=on_gpu) if offload else OffloadPolicy()
    exchange = Exchange()
    for module in (*layers, root):
        fully_shard(module, mp_policy=precision, offload_policy=place)
        sharded = cast(FSDPModule, module)
        sharded.set_custom_all_gather(cast(Any, _Gather(exchange)))
        sharded.set_custom_reduce_scatter(cast(Any, _Scatter(exchange)))
        sharded.set_gradient_divide_factor(1.0)
        sharded.set_force_sum_reduction_for_comms(True)
        sharded.set_reduce_scatter_unused_params(True, recurse=False)
        if not on_gpu:  # what is fetched ahead is waited for there at once: it would only take memory
            sharded.set_modules_to_backward_prefetch([sharded])
    return exchange
