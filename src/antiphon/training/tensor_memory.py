"""Measures the peak memory of tensors during a computation.

A GPU keeps count itself. For the CPU the allocations are counted here: every result of an operation, also of the backward pass, is seen as
it is made, and as its memory is let go. Unusual: nothing asks the operating system. What a process holds (its resident set) only shows
growth, differs from try to try, and keeps what was freed; the count is the same each time, so that what is decided by it is, too. It
does not see what a kernel takes for itself while it runs, nor the program: `memory_limit.py` has allowances for both.
"""

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


@final
class CountedTensors(TorchDispatchMode):
    """A context in which `peak` is the peak memory, in bytes, of all tensors created within it, on any device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._known: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(
        self, operation: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operation, and count its results."""
        made = operation(*args, **(kwargs or {}))
        for tensor in tree_iter(made):
            if isinstance(tensor, Tensor):
                self._see(tensor)
        return made

    def _see(self, tensor: Tensor) -> None:
        memory = tensor.untyped_storage()
        key, size = memory._cdata, memory.nbytes()
        if key in self._known:  # a view
            return

        def gone(_: object) -> None:
            self._known.pop(key, None)
            self.now -= size

        self._known[key] = weakref.ref(memory, gone)
        self.now += size
        self.peak = max(self.peak, self.now)


def peak_of(work: Callable[[], object], device: torch.device) -> int:
    """The peak memory of tensors on the device during some work: on a GPU of all tensors, else of those that the work creates."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        work()
        torch.cuda.synchronize(device)
        return int(torch.cuda.max_memory_allocated(device))
    with CountedTensors() as counted:
        work()
    peak: int = counted.peak  # of a class that torch leaves without types
    return peak
