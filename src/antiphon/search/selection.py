"""The best of many numbers in a row. torch looks at them one by one; here the largest of each block of a vocabulary is found first, which
a processor does for many at once, and only the best blocks are looked into. Few rows, small vocabularies and GPUs take torch's own way."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

_BLOCK = 64
_MANY = 1 << 17  # numbers from which on this pays


def best(values: Float[Tensor, "R V"]) -> Int[Tensor, " R"]:
    """Where the largest of each row is, the first of equal ones."""
    rows, size = values.shape
    if not _pays(values) or size % _BLOCK:
        return values.argmax(-1)
    blocks = values.view(rows, -1, _BLOCK)
    chosen = blocks.amax(-1).argmax(-1)
    inside = blocks[torch.arange(rows), chosen].argmax(-1)
    return chosen * _BLOCK + inside


def best_few(values: Float[Tensor, "R V"], count: int) -> tuple[Float[Tensor, "R K"], Int[Tensor, "R K"]]:
    """The `count` largest of each row in order, and where they are: in as many blocks at most."""
    rows, size = values.shape
    if not _pays(values) or size < 4 * count * _BLOCK:
        largest = values.topk(min(count, size), dim=-1)
        return largest.values, largest.indices
    whole = size // _BLOCK
    chosen = values[:, : whole * _BLOCK].unflatten(1, (whole, _BLOCK)).amax(-1).topk(count, dim=-1).indices.sort(-1).values
    places = (chosen.unsqueeze(-1) * _BLOCK + torch.arange(_BLOCK)).flatten(1)
    if whole * _BLOCK < size:
        places = torch.cat([places, torch.arange(whole * _BLOCK, size).expand(rows, -1)], dim=1)
    largest = values.gather(1, places).topk(count, dim=-1)
    return largest.values, places.gather(1, largest.indices)


def _pays(values: Tensor) -> bool:
    return values.device.type == "cpu" and values.numel() >= _MANY and values.is_contiguous()
