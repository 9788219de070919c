"""At which precision a model computes, where the device has it."""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

Precision = Literal["fp32", "bf16", "bf16_weights"]


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The context in which a model computes at a precision, where the device has it; in fp32 otherwise."""
    return torch.autocast(device.type, torch.bfloat16) if precision != "fp32" and has_bf16(device) else nullcontext()


def has_bf16(device: torch.device) -> bool:
    """Whether bf16 is worth anything there. On a CPU with AVX2 alone an update of a small Transformer took 47 s instead of 3."""
    return device.type != "cpu" or (torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()))


def precision_notes(precision: Precision, device: torch.device) -> list[str]:
    """What to say before training when the device has no such precision."""
    if precision == "fp32" or has_bf16(device):
        return []
    return [
        f"`training.precision` is {precision}, and bf16 is what this CPU can only imitate, many times as slow as fp32: it computes in fp32."
    ]
