"""Work that does not fit into memory fails cleanly, and can be tried again in smaller pieces."""

from collections.abc import Callable
from typing import TypeVar

import torch

from antiphon.training.device import is_out_of_memory

Say = Callable[[str], object]
"""Takes a sentence for the user."""

Result = TypeVar("Result")


def silent(sentence: str) -> None:
    """Ignore a message."""


def unless_out_of_memory(do: Callable[[], Result], device: torch.device) -> Result | None:
    """The result of `do`; None if memory does not suffice, in which case it is free again."""
    try:
        return do()
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    # Only here has the error gone, and with it the tensors of the frames that it came through.
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return None
