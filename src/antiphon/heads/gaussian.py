"""A normal distribution for each channel."""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from antiphon.contracts.configuration import config
from antiphon.contracts.model import HeadPlugin
from antiphon.contracts.specs import Spec
from antiphon.heads.parameters import DistributionHead, positive, values_only

LARGEST_SCALE = 1e6


@config
class GaussianConfig:
    """Mean and standard deviation for each channel."""

    name: Literal["gaussian"] = "gaussian"
    """The name of this head."""
    min_scale: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    """The smallest standard deviation, in scaled units: without it, a series that repeats itself makes the density grow without bound."""


def normal(parameters: Tensor, min_scale: float) -> Normal:
    """The distribution for parameters (..., 2): mean, and softplus^-1 of the standard deviation, which stays within
    [min_scale, 1e6]."""
    location, scale = parameters.unbind(-1)
    return Normal(location, positive(scale, min_scale, LARGEST_SCALE), validate_args=False)


def build(settings: GaussianConfig, target: Spec, dim: int, tied: nn.Parameter | None) -> nn.Module:
    """Make the head. Raises ConfigError when the target is made of symbols."""

    def make(parameters: Tensor) -> Distribution:
        return normal(parameters, settings.min_scale)

    return DistributionHead(dim, values_only(target, tied, "gaussian").channels, 2, make)


plugin = HeadPlugin(
    name="gaussian", summary="A normal distribution for each channel.", Config=GaussianConfig, build=build, loss="negative_log_likelihood"
)
