"""The numerical precision of a model's computations, where the device supports it."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch

from antiphon.errors import TrainingError

Precision = Literal["fp32", "tf32", "fp16", "bf16", "bf16_weights"]


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """A context in which a model computes at a precision, if the device supports it; in fp32 otherwise."""
    if precision == "fp16" and has_fp16(device):
        return torch.autocast(device.type, torch.float16)
    return torch.autocast(device.type, torch.bfloat16) if precision.startswith("bf16") and has_bf16(device) else nullcontext()


def has_fp16(device: torch.device) -> bool:
    """Whether fp16 is useful on a device: GPUs compute with it, CPUs do not."""
    return device.type != "cpu"


def has_bf16(device: torch.device) -> bool:
    """Whether bf16 is useful on a device. On a CPU with AVX2 alone an update of a small Transformer took 47 s instead of 3."""
    return device.type != "cpu" or (torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()))


def precision_notes(precision: Precision, device: torch.device) -> list[str]:
    """Remarks before training when the device does not support a precision."""
    if precision == "tf32" and device.type != "cuda":
        return [f"`training.precision` is tf32, which only Nvidia's GPUs know: {device.type} computes in fp32."]
    if precision == "fp16" and not has_fp16(device):
        return ["`training.precision` is fp16, which GPUs compute with: this CPU computes in fp32."]
    if not precision.startswith("bf16") or has_bf16(device):
        return []
    return [
        f"`training.precision` is {precision}, and bf16 is what this CPU can only imitate, many times as slow as fp32: it computes in fp32."
    ]


@contextmanager
def computing(precision: Precision, device: torch.device, *, deterministic: bool) -> Iterator[None]:
    """A context for training on a GPU: matrix products in TF32 or not, and optionally only deterministic algorithms.

    Raises TrainingError where an operation has no such algorithm.
    """
    products, algorithms = torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    try:
        if device.type == "cuda":
            torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        if deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read with the first product
            torch.use_deterministic_algorithms(True)
            torch.backends.cudnn.benchmark = False
        yield
    except RuntimeError as error:
        if not deterministic or "deterministic" not in str(error):
            raise
        reason = str(error).split(". ")[0]
        raise TrainingError(f"`training.deterministic` must be false for this model on {device.type}: {reason}.") from error
    finally:
        torch.set_float32_matmul_precision(products)
        torch.use_deterministic_algorithms(algorithms)
        torch.backends.cudnn.benchmark = benchmark
