"""Wait-k (Ma et al. 2019, STACL): the decoder first waits for k symbols, then writes one symbol for each one that it reads.

Output t sees the first t + k - 1 states of the source, and the encoder never looks ahead, so that these states are the same however the
source goes on (Elbayad et al. 2020, whose encoders are unidirectional, too).
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def readable(mask: Bool[Tensor, "B S"], steps: Int[Tensor, "B T"], k: int | Int[Tensor, "B 1"]) -> Bool[Tensor, "B T S"]:
    """The states of the memory that the output at each step, counted from 0, may attend to; `mask` is True at real states."""
    states = torch.arange(mask.shape[1], device=mask.device)
    return mask.unsqueeze(1) & (states < (steps + k).unsqueeze(2))


def drawn(paths: tuple[int, int], rows: int, device: torch.device) -> Int[Tensor, "B 1"]:
    """Draw a k for each source of a training batch (multi-path training, Elbayad et al. 2020)."""
    return torch.randint(paths[0], paths[1] + 1, (rows, 1), device=device)
