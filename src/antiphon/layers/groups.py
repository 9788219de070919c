"""Groups neighbouring steps by a fixed size: chunks that are encoded separately, or frames that are concatenated."""

import torch
from torch import Tensor
from torch.nn.functional import pad


def grouped(x: Tensor, size: int) -> Tensor:
    """Steps (B, S, ...) in groups (B, N, size, ...), of which the last is padded with zeros; N is S / size, rounded up.

    While a graph is traced, steps are looked up: for a length that is not known nobody can prove that it was filled up to a multiple.
    """
    steps, after = x.shape[1], [0, 0] * (x.dim() - 2)
    if not torch.compiler.is_exporting():
        whole: Tensor = pad(x, (*after, 0, -steps % size)).unflatten(1, (-1, size))
        return whole
    first = torch.arange((steps + size - 1) // size, device=x.device) * size
    return pad(x, (*after, 0, size - 1))[:, first.unsqueeze(1) + torch.arange(size, device=x.device)]


def side_by_side(groups: Tensor, steps: int) -> Tensor:
    """Groups (B, N, size, ...) as steps (B, S, ...) again, without padding; `steps` is S."""
    joined = groups.flatten(1, 2)
    if not torch.compiler.is_exporting():
        return joined.narrow(1, 0, steps)
    return joined[:, torch.arange(steps, device=groups.device)]
