"""Selects the device by name, checks that it exists, and recognizes its out-of-memory errors."""

import torch

from antiphon.errors import ConfigError


def find_device(name: str, setting: str) -> torch.device:
    """The device with the name cpu, cuda, cuda:1, mps or auto (a GPU with CUDA, else one of Apple's, else the CPU).

    Raises ConfigError, which speaks of `setting`, when this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"`{setting}` must be `auto`, `cpu`, `cuda` or `mps`, but is {name!r}.") from None
    if device.type not in ("cpu", "cuda", "mps"):
        raise ConfigError(f"`{setting}` must be `auto`, `cpu`, `cuda` or `mps`, but is {name!r}.")
    missing = _missing(device)
    if missing:
        raise ConfigError(f"`{setting}` must not be `{name}` on this machine: {missing}. Use `auto`, which takes what is there, or `cpu`.")
    return device


def _missing(device: torch.device) -> str:
    """What this machine lacks for a device; "" when the device exists."""
    if device.type == "cuda":
        if not torch.cuda.is_available():
            return "PyTorch finds no GPU with CUDA"
        count = torch.cuda.device_count()
        return f"there are {count} GPUs, numbered from 0" if (device.index or 0) >= count else ""
    if device.type == "mps" and not torch.backends.mps.is_available():
        return "PyTorch finds no GPU of Apple's"
    return ""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory does not suffice."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return "not enough memory" in str(error) or "can't allocate memory" in str(error).lower()
