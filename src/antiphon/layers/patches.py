"""Patches: several neighbouring steps of a series as one element (Nie et al. 2023, PatchTST).

Attention then looks over S / stride elements instead of S, and an element shows a shape instead of a number. Unusual here: patches are laid
from the end of each sequence, so that the newest one is always whole; before the first step its value is repeated.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from antiphon.contracts.sequences import Padded


@dataclass(frozen=True)
class Patches:
    """The length of a patch, and the distance to the start of the next one (patches overlap if it is less than `length`)."""

    length: int
    stride: int

    def cut(self, source: Padded) -> Padded:
        """Values (B, S, C) -> patches (B, N, length * C); a sequence of n steps has ceil((n - length) / stride) + 1, at least one."""
        steps = self._steps(source)
        rows = torch.arange(steps.shape[0], device=steps.device)[:, None, None]
        return Padded(source.values[rows, steps].flatten(2), self._counts(source.lengths))

    def longest(self, patches: int) -> int:
        """The greatest number of steps that gives this many patches."""
        return self.length + (patches - 1) * self.stride

    def _counts(self, lengths: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        return -(-(lengths - self.length).clamp(min=0) // self.stride) + 1

    def _most(self, source: Padded, counts: Int[Tensor, " B"]) -> int:
        """The number of patches of the longest row. Graphs cannot ask for it: there it is computed as if that row had no padding."""
        if not torch.compiler.is_exporting():
            return int(counts.max())
        beyond = torch.sym_max(source.values.shape[1] - self.length, 0)
        return (beyond + self.stride - 1) // self.stride + 1  # type: ignore[no-any-return]  # of negative numbers, ONNX rounds to 0

    def _steps(self, source: Padded) -> Int[Tensor, "B N P"]:
        """The index of the step at each place of each patch. Those of a padded patch are at the end, where they are masked."""
        counts = self._counts(source.lengths)
        number = torch.arange(self._most(source, counts), device=counts.device)
        first = source.lengths[:, None] - self.length - (counts[:, None] - 1 - number) * self.stride  # (B, N)
        place = torch.arange(self.length, device=counts.device)
        latest: Tensor = (source.lengths - 1)[:, None, None]
        return torch.minimum((first[:, :, None] + place).clamp(min=0), latest)
