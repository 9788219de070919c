"""A Student-t distribution for each channel: like a normal distribution, but outliers are less improbable.

Unusual here: torch's distribution lacks the distribution function, its inverse, and draws from given random numbers; all three are here.
"""

import math
from typing import Annotated, Literal, final

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.distributions import StudentT as TorchStudentT

from antiphon.contracts.configuration import config
from antiphon.contracts.model import HeadPlugin
from antiphon.contracts.specs import Spec
from antiphon.heads.parameters import DistributionHead, positive, values_only

LARGEST_SCALE = 1e6
FEWEST_DEGREES, MOST_DEGREES = 2.01, 200.0  # a finite variance; beyond 200 it is a normal distribution for all that data can tell
_NODES = 48
_MOST_STEPS = 50
_TOLERANCE = 1e-9


@config
class StudentTConfig:
    """Location, scale and degrees of freedom for each channel."""

    name: Literal["student_t"] = "student_t"
    """The name of this head."""
    min_scale: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    """The smallest scale, in scaled units."""


@final
class StudentT(TorchStudentT):
    """Location-scale Student-t with more than 2 degrees of freedom."""

    uniforms = 2

    def draw(self, uniforms: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch"]:
        """The polar method (Bailey 1994): exact, and without rejection."""
        radius = (self.df * torch.expm1(-2 / self.df * uniforms[..., 0].log())).sqrt()
        return self.loc + self.scale * radius * torch.cos(2 * math.pi * uniforms[..., 1])

    def cdf(self, value: Tensor) -> Tensor:
        """The distribution function, by 48-point Gauss-Legendre quadrature over the angle arctan(z / sqrt(df)); good to 1e-9."""
        standardized = ((value - self.loc) / self.scale).double()
        degrees = self.df.double()
        angle = torch.atan(standardized.abs() / degrees.sqrt())
        upper = 0.5 + (_density_factor(degrees) * _cosine_integral(angle, degrees)).clamp(max=0.5)
        return torch.where(standardized < 0, 1 - upper, upper).to(self.loc.dtype)

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile function, by Newton's method on the angle. The distribution function is concave above the median, so iterates
        that start there rise to the root and never pass it."""
        level, degrees = value.double(), self.df.double().expand(torch.broadcast_shapes(value.shape, self.df.shape))
        wanted, factor = (level - 0.5).abs(), _density_factor(degrees)
        angle = torch.zeros_like(degrees)
        for _ in range(_MOST_STEPS):
            missing = wanted - factor * _cosine_integral(angle, degrees)
            if bool((missing < _TOLERANCE).all()):
                break
            angle = angle + missing / (factor * angle.cos() ** (degrees - 1))
        standardized = degrees.sqrt() * angle.tan() * torch.where(level < 0.5, -1.0, 1.0)
        return (self.loc + self.scale * standardized).to(self.loc.dtype)


def _density_factor(degrees: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    return ((degrees + 1) / 2).lgamma().sub((degrees / 2).lgamma()).exp() / math.sqrt(math.pi)


def _cosine_integral(angle: Float[Tensor, "*batch"], degrees: Float[Tensor, "*#batch"]) -> Float[Tensor, "*batch"]:
    """The integral of cos(x)^(degrees - 1) from 0 to `angle`."""
    nodes, weights = (torch.from_numpy(part).to(angle.device) for part in np.polynomial.legendre.leggauss(_NODES))
    logarithms = torch.cos(angle.unsqueeze(-1) * ((nodes + 1) / 2)).log() * (degrees.unsqueeze(-1) - 1)
    return logarithms.exp() @ weights * angle / 2


def student_t(parameters: Tensor, min_scale: float) -> StudentT:
    """The distribution for parameters (..., 3): location, softplus^-1 of the scale (within [min_scale, 1e6]), softplus^-1 of the degrees
    of freedom (within [2.01, 200])."""
    location, scale, degrees = parameters.unbind(-1)
    spread = positive(scale, min_scale, LARGEST_SCALE)
    return StudentT(positive(degrees, FEWEST_DEGREES, MOST_DEGREES), location, spread, validate_args=False)


def build(settings: StudentTConfig, target: Spec, dim: int, tied: nn.Parameter | None) -> nn.Module:
    """Make the head. Raises ConfigError when the target is made of symbols."""

    def make(parameters: Tensor) -> Distribution:
        return student_t(parameters, settings.min_scale)

    return DistributionHead(dim, values_only(target, tied, "student_t").channels, 3, make)


plugin = HeadPlugin(
    name="student_t",
    summary="A Student-t distribution for each channel: like gaussian, robust to outliers.",
    Config=StudentTConfig,
    build=build,
    loss="negative_log_likelihood",
)
