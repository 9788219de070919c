"""The requirements of `torch.compile` and AOTInductor on a machine."""

import importlib.util
import shutil
import sys
import sysconfig
from pathlib import Path

import torch


def lacks(device: torch.device, *, headers: bool = True) -> str:
    """What is missing to compile for a device, as a clause such as "it needs a C++ compiler ..., but there is none"; "" when nothing is
    missing.

    headers   whether those of Python are needed, as by all that is called from Python
    """
    if sys.platform == "win32":
        return "it is for Linux and macOS, but this is Windows (under WSL it works)"
    if device.type not in ("cpu", "cuda"):
        return f"it is for CPUs and GPUs with CUDA, but the device is `{device.type}`"
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        return "on a GPU it needs the package triton, which PyTorch for CUDA brings along"
    known = [*_compilers(), *(("gcc", "clang") if device.type == "cuda" else ())]
    if not any(shutil.which(name) for name in known):
        return f"it needs a C++ compiler ({' or '.join(known)}), but there is none; install one, such as g++"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if headers and not header.is_file():
        return f"it needs the headers of Python, but there is no {header}; install them (python3-dev, python3-devel)"
    return ""


def _compilers() -> list[str]:
    """The compilers that torch would try, in order."""
    from torch._inductor import config

    names = config.cpp.cxx if isinstance(config.cpp.cxx, tuple | list) else (config.cpp.cxx,)
    return [name for name in names if name]
