"""The memory that training may use on a device, with an explanation.

On a GPU it is nine tenths of what is free and of what PyTorch has already: the rest is for what its allocator cannot use of its blocks, and
for other programs. On a CPU nothing is anybody's own, and more than there is ends programs; so by itself training takes half of what is
free, shared by the processes of a machine.

The limit of a CPU is for the whole process. Tensors are counted (`tensor_memory.py`); Python, torch and what kernels take for themselves
are not, and have an allowance: half a gigabyte, and a tenth of the tensors. On one thread processes of Transformers, LSTMs and Conformers
had 0.34 to 0.43 GB beside their tensors.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from antiphon.data.budgets import in_bytes, in_words
from antiphon.errors import ConfigError

_PROGRAM = 500_000_000
_BESIDE = 1.1
_SHARE_OF_GPU, _SHARE_OF_CPU = 0.9, 0.5
_COARSE = 500_000_000  # what is free changes all the time; rounded down, it is the same more often
_CGROUPS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))


@dataclass(frozen=True)
class MemoryLimit:
    """The number of bytes for one process, and where it comes from, in words."""

    bytes: int
    reason: str


def memory_limit(setting: str | None, device: torch.device) -> MemoryLimit:
    """The memory that a process may use on its device. Raises ConfigError where memory cannot be measured."""
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(
            f"`training.batching.target_tokens` must be a number on `{device.type}`, whose memory cannot be measured, but is `auto`. Begin"
            " with 4096."
        )
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        most = int(_SHARE_OF_GPU * (free + torch.cuda.memory_reserved(device)))
        free_here = MemoryLimit(most, f"{in_words(most)}, which is nine tenths of what is free on the GPU")
        if setting is None or in_bytes(setting) > most:
            return free_here
    elif setting is None:
        processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        most = int(_SHARE_OF_CPU * available() / processes)
        most = max(most // _COARSE, 1) * _COARSE
        shared = f" for each of {processes} processes" if processes > 1 else ""
        return MemoryLimit(
            most, f"{in_words(most)}, which is half of the memory that is free{shared}; `training.batching.memory_limit` sets it"
        )
    return MemoryLimit(in_bytes(setting), f"{setting}, as `training.batching.memory_limit` says")


def with_allowances(tensors: int, device: torch.device) -> int:
    """The bytes that a process uses, given those of its tensors."""
    return tensors if device.type == "cuda" else int(_PROGRAM + _BESIDE * tensors)


def available() -> int:
    """The bytes still available to programs on this machine, or in this container."""
    found = []
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        found += [int(line.split()[1]) * 1024 for line in meminfo.read_text().splitlines() if line.startswith("MemAvailable:")]
    else:
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))  # all there is, where the system does not say what is free
    for limit, used in (tuple(Path("/sys/fs/cgroup") / name for name in pair) for pair in _CGROUPS):
        try:
            found.append(int(limit.read_text()) - int(used.read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return max(min(found), 0)
