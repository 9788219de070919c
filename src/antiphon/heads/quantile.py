"""Quantiles of each channel that never cross.

Unusual here: the head says the median and, to both sides of it, how much further each next level lies: softplus increments, summed up
(Gasthaus et al. 2019 build quantile functions likewise). So the order of the levels is not learned but given.
"""

from itertools import pairwise
from typing import Annotated, Literal, final

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.functional import softplus

from antiphon.contracts.configuration import config
from antiphon.contracts.model import HeadPlugin
from antiphon.contracts.sequences import Quantiles
from antiphon.contracts.specs import Spec
from antiphon.heads.parameters import ChannelParameters, values_only


@config
class QuantileConfig:
    """Which quantiles are predicted."""

    name: Literal["quantile"] = "quantile"
    """The name of this head."""
    levels: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)
    """Levels, ascending, 0.5 among them; 0.1 and 0.9 bound the 80 % interval, 0.025 and 0.975 the 95 % interval."""

    def __post_init__(self) -> None:
        if 0.5 not in self.levels or any(not low < high for low, high in pairwise((0.0, *self.levels, 1.0))):
            raise ValueError(f"`levels` must ascend within 0 and 1 and hold 0.5, but are {list(self.levels)}.")


@final
class QuantileHead(nn.Module):
    """Vectors (..., D) -> quantiles (..., C, Q)."""

    def __init__(self, dim: int, channels: int, levels: tuple[float, ...]):
        super().__init__()
        self.levels, self.middle = levels, levels.index(0.5)
        self.parameters_of = ChannelParameters(dim, channels, len(levels))
        self.parameters_of.start_at(self._standard_normal())

    def forward(self, features: Float[Tensor, "... D"]) -> Quantiles:
        """The quantiles, ascending along the last axis."""
        return self.make(self.parameters_of(features))

    def make(self, parameters: Float[Tensor, "... C Q"]) -> Quantiles:
        """Quantiles from the parameters: the median, and the distances to the next levels on both sides of it."""
        below, median, above = parameters.split([self.middle, 1, len(self.levels) - self.middle - 1], dim=-1)
        up = softplus(above).cumsum(-1)
        down = softplus(below).flip(-1).cumsum(-1).flip(-1)
        return Quantiles(torch.cat([median - down, median, median + up], dim=-1), self.levels)

    def _standard_normal(self) -> Float[Tensor, " Q"]:
        """Parameters for the quantiles of a standard normal distribution, as scaled values can be expected to have."""
        quantiles = Normal(0.0, 1.0).icdf(torch.tensor(self.levels, dtype=torch.float64))
        increments = quantiles.diff().clamp(min=1e-4).expm1().log().float()
        return torch.cat([increments[: self.middle], torch.zeros(1), increments[self.middle :]])


def median_of(quantiles: Quantiles) -> Float[Tensor, "... C"]:
    """The median, which every quantile head predicts."""
    median: Tensor = quantiles.values[..., quantiles.levels.index(0.5)]
    return median


def build(settings: QuantileConfig, target: Spec, dim: int, tied: nn.Parameter | None) -> nn.Module:
    """Make the head. Raises ConfigError when the target is made of symbols."""
    return QuantileHead(dim, values_only(target, tied, "quantile").channels, settings.levels)


plugin = HeadPlugin(
    name="quantile", summary="Quantiles of each channel that cannot cross.", Config=QuantileConfig, build=build, loss="pinball"
)
