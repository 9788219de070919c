"""What a search needs from a distribution beyond torch's methods: samples from given random numbers, quantiles, and values that depend on
the scale that their series was divided by.

Unusual here: a draw is a function of the distribution and of uniform numbers that the caller brings. torch draws from one global stream,
so that what a series gets would depend on its neighbours in the batch.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.distributions import Distribution

from antiphon.contracts.specs import ValueSpec
from antiphon.errors import ConfigError


@runtime_checkable
class Drawable(Protocol):
    """A distribution that turns `uniforms` numbers from (0, 1) into one exact sample."""

    uniforms: int

    def draw(self, uniforms: Float[Tensor, "*batch U"]) -> Float[Tensor, "*batch"]:
        """One sample for each element of the batch shape."""
        ...


@runtime_checkable
class Sized(Protocol):
    """A distribution that must know the scale its values were divided by: a scaled count is no whole number."""

    def of_sizes(self, sizes: Float[Tensor, "*batch"]) -> Distribution:
        """The distribution for values divided by these scales."""
        ...


def sized(said: Any, elements: Float[Tensor, "*batch width"], spec: ValueSpec) -> Any:
    """The output of a head for some steps; where it depends on the scales, they are read from the elements of these steps (inputs or
    labels)."""
    sizes = spec.sizes_of(elements) if isinstance(said, Sized) else None
    return said if sizes is None else said.of_sizes(sizes)


def uniforms_per_draw(distribution: Distribution) -> int:
    """The number of uniform numbers for one sample; 1 where the distribution function is inverted."""
    return distribution.uniforms if isinstance(distribution, Drawable) else 1


def draw(distribution: Distribution, uniforms: Float[Tensor, "*batch U"]) -> Float[Tensor, "*batch"]:
    """One sample for each element. Raises ConfigError when the distribution can neither sample from uniform numbers nor be inverted."""
    if isinstance(distribution, Drawable):
        return distribution.draw(uniforms)
    try:
        inverted: Tensor = distribution.icdf(uniforms[..., 0])
    except NotImplementedError as error:
        raise ConfigError(
            f"{type(distribution).__name__} cannot give sample paths: a head's distribution needs `icdf`, or `uniforms` and `draw`."
        ) from error
    return inverted


def draw_symbols(probabilities: Float[Tensor, "N V"], uniforms: Float[Tensor, " N"]) -> Int[Tensor, " N"]:
    """Sample one symbol for each row by inverting the distribution function; probabilities need not sum to 1."""
    cumulative = probabilities.cumsum(-1)
    total = cumulative[:, -1:]
    # Strictly below the total, also after rounding: else the search would run past the last symbol that may be drawn.
    target = torch.minimum(uniforms.unsqueeze(1) * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cumulative, target, right=True).squeeze(1)


def quantiles_of(distribution: Distribution, levels: Sequence[float]) -> Float[Tensor, "*batch Q"] | None:
    """Exact quantiles at `levels`; None when the distribution function cannot be inverted."""
    like = distribution.mean
    try:
        return torch.stack([distribution.icdf(torch.full_like(like, level)) for level in levels], dim=-1)
    except NotImplementedError:
        return None
