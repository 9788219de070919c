"""Finds the most probable symbols of each row, faster than torch does on the CPU.

The k largest of a row stand in the k stripes whose largest numbers are the largest. So a row is cut into stripes, one pass finds the
largest of each, and only those of k stripes are looked at one by one. Every 400th number is of one stripe: then the pass compares whole
vectors.

Measured with 8,000 symbols on one core: 160 rows take 0.9 ms instead of 2.0, 32 rows 0.13 instead of 0.38. The single best of 160 rows
takes numpy 0.2 ms, torch 1.3.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

_STRIPES = 400  # of the sizes that were tried the fastest for 6 of 8,000
_FEWEST = 4096  # elements from which the second pass pays


def likeliest(ranking: Float[Tensor, "R V"]) -> Int[Tensor, " R"]:
    """The index of the largest entry of each row; the first one of equals."""
    if ranking.device.type != "cpu" or ranking.dtype not in (torch.float32, torch.float64):
        return ranking.argmax(-1)
    return torch.from_numpy(ranking.numpy().argmax(-1))


def best(ranking: Float[Tensor, "R V"], k: int) -> tuple[Float[Tensor, "R k"], Int[Tensor, "R k"]]:
    """The k largest entries of each row, in descending order, and their indices."""
    rows, symbols = ranking.shape
    if ranking.device.type != "cpu" or rows * symbols < 4 * _FEWEST or symbols < _FEWEST or k > _STRIPES // 8:
        found = ranking.topk(k, dim=-1)
        return found.values, found.indices
    deep = symbols // _STRIPES
    striped = deep * _STRIPES
    largest = ranking[:, :striped].unflatten(1, (deep, _STRIPES)).amax(1)
    stripes = largest.topk(k, dim=-1, sorted=False).indices
    places = (stripes.unsqueeze(1) + torch.arange(0, striped, _STRIPES).unsqueeze(1)).flatten(1)
    if striped < symbols:
        places = torch.cat((places, torch.arange(striped, symbols).expand(rows, -1)), dim=1)
    values, index = ranking.gather(1, places).topk(k, dim=-1)
    return values, places.gather(1, index)
