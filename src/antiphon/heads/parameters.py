"""Maps a decoder's vectors to the parameters of each channel; shared by all heads for real values.

Unusual here: parameters leave the half precision of autocast before anything nonlinear is done with them. A density computed in bfloat16
has three digits, and its gradient fewer.
"""

from collections.abc import Callable
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.functional import softplus

from antiphon.contracts.specs import Spec, ValueSpec
from antiphon.errors import ConfigError


@final
class ChannelParameters(nn.Module):
    """A linear layer (..., D) -> (..., C, P): P unconstrained numbers for each of C channels.

    When `apart` is set, a layer for one channel takes channels that have a vector each: (..., C, D) -> (..., C, P).
    """

    def __init__(self, dim: int, channels: int, parameters: int):
        super().__init__()
        self.linear = nn.Linear(dim, channels * parameters)
        self.channels = channels
        self.apart = False

    def forward(self, features: Float[Tensor, "... D"]) -> Float[Tensor, "... C P"]:
        """The parameters, at least in single precision."""
        raw: Tensor = self.linear(features)
        if raw.dtype in (torch.bfloat16, torch.float16):
            raw = raw.float()
        parameters: Tensor = raw if self.apart else raw.unflatten(-1, (self.channels, -1))
        return parameters

    def start_at(self, values: Float[Tensor, " P"]) -> None:
        """Initialize the bias so that every channel's parameters begin near these."""
        with torch.no_grad():
            self.linear.bias.copy_(values.repeat(self.channels))


@final
class DistributionHead(nn.Module):
    """Vectors (..., D) -> a distribution with batch shape (..., C); `make` turns parameters (..., C, P) into it."""

    def __init__(self, dim: int, channels: int, parameters: int, make: Callable[[Tensor], Distribution]):
        super().__init__()
        self.parameters_of = ChannelParameters(dim, channels, parameters)
        self.make = make

    def forward(self, features: Float[Tensor, "... D"]) -> Distribution:
        """The distribution of each channel."""
        return self.make(self.parameters_of(features))


def positive(raw: Tensor, least: float, most: float) -> Tensor:
    """Softplus, raised by `least` and clamped at `most`: positive numbers whose logarithms, squares and reciprocals are finite."""
    return (softplus(raw) + least).clamp(max=most)


def values_only(target: Spec, tied: nn.Parameter | None, name: str) -> ValueSpec:
    """The target's spec, for the head of this name. Raises ConfigError when the target is made of symbols, or an embedding is tied."""
    if not isinstance(target, ValueSpec) or tied is not None:
        raise ConfigError(f"`model.head.name` must be `categorical` when the target is made of symbols, but is `{name}`.")
    return target
