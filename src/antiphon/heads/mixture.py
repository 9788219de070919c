"""A mixture of normal or Student-t distributions for each channel (Bishop 1994): several modes, skew, heavy tails."""

from typing import Annotated, Literal, final

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, MixtureSameFamily, Normal

from antiphon.contracts.configuration import config
from antiphon.contracts.model import HeadPlugin
from antiphon.contracts.specs import Spec
from antiphon.heads.draws import draw, uniforms_per_draw
from antiphon.heads.gaussian import normal
from antiphon.heads.parameters import DistributionHead, values_only
from antiphon.heads.student_t import student_t

_MOST_STEPS = 60
_TOLERANCE = 1e-6


@config
class MixtureConfig:
    """Several distributions of one kind for each channel, with learned weights."""

    name: Literal["mixture"] = "mixture"
    """The name of this head."""
    of: Literal["gaussian", "student_t"] = "gaussian"
    """The kind of distribution that is mixed."""
    components: Annotated[int, Field(ge=2)] = 3
    """The number of components."""
    min_scale: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    """The smallest scale of a component, in scaled units."""


@final
class Mixture(MixtureSameFamily):
    """A mixture distribution over the last axis of its component's batch shape (..., C, K)."""

    @property
    def uniforms(self) -> int:
        """The numbers for one sample of a component, and one more to choose the component."""
        return 1 + uniforms_per_draw(self.component_distribution)

    def draw(self, uniforms: Float[Tensor, "*batch U"]) -> Float[Tensor, "*batch"]:
        """Choose a component, then sample from it."""
        cumulative = self.mixture_distribution.probs.cumsum(-1)
        # Of a sum that rounding left below 1, the last component takes the rest.
        chosen = (cumulative[..., :-1] <= uniforms[..., :1]).sum(-1, keepdim=True)
        each = uniforms[..., None, 1:].expand(*cumulative.shape, -1)
        return draw(self.component_distribution, each).gather(-1, chosen).squeeze(-1)

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile function by Newton's method, kept by bisection between the lowest and the highest of the components' quantiles."""
        edges = self.component_distribution.icdf(value.unsqueeze(-1))
        low, high = edges.amin(-1), edges.amax(-1)
        found = low + (high - low) / 2
        for _ in range(_MOST_STEPS):
            missing = value - self.cdf(found)  # type: ignore[no-untyped-call]
            if bool((missing.abs() < _TOLERANCE).all()):
                break
            low, high = torch.where(missing > 0, found, low), torch.where(missing > 0, high, found)
            step = found + missing / self.log_prob(found).exp()  # type: ignore[no-untyped-call]
            found = torch.where((step > low) & (step < high), step, low + (high - low) / 2)
        return found


def build(settings: MixtureConfig, target: Spec, dim: int, tied: nn.Parameter | None) -> nn.Module:
    """Make the head. Raises ConfigError when the target is made of symbols."""
    family, numbers = (normal, 2) if settings.of == "gaussian" else (student_t, 3)

    def make(parameters: Tensor) -> Distribution:
        logits, *rest = parameters.unflatten(-1, (1 + numbers, settings.components)).unbind(-2)
        component = family(torch.stack(rest, dim=-1), settings.min_scale)
        return Mixture(Categorical(logits=logits, validate_args=False), component, validate_args=False)

    head = DistributionHead(dim, values_only(target, tied, "mixture").channels, (1 + numbers) * settings.components, make)
    head.parameters_of.start_at(_spread_out(settings.components, numbers))
    return head


def _spread_out(components: int, numbers: int) -> Tensor:
    """Locations at the quantiles of a standard normal distribution: components that start equal would stay equal for long."""
    start = torch.zeros(1 + numbers, components)
    start[1] = Normal(0.0, 1.0).icdf((torch.arange(components) + 0.5) / components)
    return start.flatten()


plugin = HeadPlugin(
    name="mixture",
    summary="A mixture of normal or Student-t distributions for each channel.",
    Config=MixtureConfig,
    build=build,
    loss="negative_log_likelihood",
)
