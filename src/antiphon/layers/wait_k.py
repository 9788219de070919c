"""Wait-k: the decoder writes one symbol for each one that it reads, k symbols behind (Ma et al. 2019, STACL).

Output t sees the first t + k - 1 states of the source, and the encoder never looks ahead, so that these states are the same however the
source goes on (Elbayad et al. 2020, whose encoders are unidirectional, too).
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def readable(mask: Bool[Tensor, "B S"], steps: Int[Tensor, "B T"], k: int | Int[Tensor, "B 1"]) -> Bool[Tensor, "B T S"]:
    """Which states of the memory the output at each step, counted from 0, may see; `mask` is True at real states."""
    states = torch.arange(mask.shape[1], device=mask.device)
    return mask.unsqueeze(1) & (states < (steps + k).unsqueeze(2))


def drawn(paths: tuple[int, int], rows: int, device: torch.device) -> Int[Tensor, "B 1"]:
    """A k of its own for each source of a batch that is learned from (multi-path training, Elbayad et al. 2020)."""
    return torch.randint(paths[0], paths[1] + 1, (rows, 1), device=device)
