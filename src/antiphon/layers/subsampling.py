"""Subsampling: reduces the frames of a recording to fewer, wider ones before an encoder that would be slow on all of them.

    convolution   stride-2 convolutions over time and frequency (Dong et al. 2018), one for each halving
    stack         neighbouring frames side by side (the pyramid of Chan et al. 2016)

Unusual here: what lies behind a recording's end is zero before *every* convolution, as if there were nothing, so padding changes no
result. And output frame j depends on no input behind its own group, frames j * factor to (j + 1) * factor - 1, and on none before the
group in front of that: a recording that arrives piece by piece is subsampled without waiting for more (`subsampled_behind`).
"""

from typing import Literal, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from antiphon.contracts.sequences import Padded
from antiphon.contracts.specs import Spec, TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.layers.groups import grouped
from antiphon.layers.halving import halved, silenced
from antiphon.layers.linear import Linear

Subsampling = Literal["convolution", "stack"]
FACTORS = (1, 2, 4, 8)


def subsampled_lengths(lengths: Int[Tensor, "*N"], factor: int) -> Int[Tensor, "*N"]:
    """The number of frames that remain of `lengths` frames: one for every group of `factor`, also for an incomplete last group."""
    return -(-lengths // factor)


@final
class ConvolutionalSubsampling(nn.Module):
    """Frames (B, S, C) -> vectors (B, ceil(S / factor), D), by log2(factor) convolutions of `width` maps and a linear layer."""

    def __init__(self, channels: int, dim: int, factor: int, *, width: int = 64):
        super().__init__()
        if factor not in FACTORS:
            raise ConfigError(f"`model.subsampling` must be one of {', '.join(map(str, FACTORS))}, but is {factor}.")
        self.factor, self.dim = factor, dim
        self.convolutions = nn.ModuleList()
        maps = 1
        while factor > 1:
            self.convolutions.append(nn.Conv2d(maps, width, kernel_size=3, stride=2, padding=1))
            maps, factor, channels = width, factor // 2, (channels + 1) // 2
        self.out = Linear(maps * channels, dim)

    def forward(self, source: Padded) -> Padded:
        """The subsampled frames with their lengths."""
        x, lengths = halved(source.values.unsqueeze(1), self.convolutions, source.lengths)
        return Padded(self.out(x.transpose(1, 2).flatten(2)), lengths, counts=_counts(source, self.factor))


@final
class StackedFrames(nn.Module):
    """Frames (B, S, C) -> vectors (B, ceil(S / factor), D): `factor` frames are concatenated and go through a linear layer."""

    def __init__(self, channels: int, dim: int, factor: int):
        super().__init__()
        if factor < 1:
            raise ConfigError(f"`model.subsampling` must be at least 1, but is {factor}.")
        self.factor, self.dim = factor, dim
        self.out = Linear(channels * factor, dim)

    def forward(self, source: Padded) -> Padded:
        """The stacked frames with their lengths."""
        x = silenced(source.values.unsqueeze(1), source.lengths).squeeze(1)
        lengths = subsampled_lengths(source.lengths, self.factor)
        return Padded(self.out(grouped(x, self.factor).flatten(2)), lengths, counts=_counts(source, self.factor))


def _counts(source: Padded, factor: int) -> np.ndarray | None:
    return None if source.counts is None else -(-source.counts // factor)


def subsampled_behind(
    subsampling: ConvolutionalSubsampling | StackedFrames, source: Padded, past: Float[Tensor, "B P C"] | None
) -> tuple[Padded, Float[Tensor, "B F C"]]:
    """The output of `subsampling` for frames that follow a past, and the past for the next frames: the last group.

    Frames come in whole groups, but for the last of a recording.
    """
    kept = source.values[:, max(source.values.shape[1] - subsampling.factor, 0) :]
    if past is None:
        return subsampling(source), kept
    whole = subsampling(Padded(torch.cat([past, source.values], dim=1), past.shape[1] + source.lengths))
    known = past.shape[1] // subsampling.factor
    return Padded(whole.values[:, known:], whole.lengths - known), kept


def build_subsampling(
    kind: Subsampling, channels: int, dim: int, factor: int, *, width: int = 64
) -> ConvolutionalSubsampling | StackedFrames:
    """Make the layer. Raises ConfigError for an unsupported factor."""
    if kind == "stack":
        return StackedFrames(channels, dim, factor)
    return ConvolutionalSubsampling(channels, dim, factor, width=width)


def check_frames(source: Spec, target: Spec, *, subsampling: int, ctc: bool) -> None:
    """Raise ConfigError when subsampling is requested for a source of symbols, or CTC has nothing to align."""
    if subsampling > 1 and not isinstance(source, ValueSpec):
        raise ConfigError(
            f"`model.subsampling` must be 1 when the source is made of symbols, but is {subsampling}: it is for frames of values."
        )
    if ctc and not (isinstance(source, ValueSpec) and isinstance(target, TokenSpec)):
        raise ConfigError("`model.ctc` must be false unless the source is made of values and the target of symbols, which CTC aligns.")
