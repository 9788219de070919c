"""Exact quantiles of negative binomial counts: the least count with at least the given cumulative probability.

Up to k lies I_p(r, k + 1) of it, the regularized incomplete beta function with r failures of probability p, which torch lacks. It is a
continued fraction (Numerical Recipes, 6.4; Lentz's method), and the count is found by bisection within bounds that always hold.
"""

import torch
from jaxtyping import Float
from torch import Tensor

_MOST_TERMS, _TINY, _CONVERGED = 500, 1e-300, 1e-9  # 110 terms suffice within the bounds of the head
_ROUNDING = 1e-10  # relative: a level that the probabilities reach exactly is reached


def quantile(mean: Float[Tensor, "*batch"], dispersion: Float[Tensor, "*batch"], level: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """The least count k with P(count <= k) >= level, for levels within (0, 1)."""
    mean, dispersion, level = torch.broadcast_tensors(mean.double(), dispersion.double(), level.double())
    spread = (mean + dispersion * mean**2).sqrt()
    # Markov's and Cantelli's inequalities; the least count lies above `low` and is at most `high`.
    high = torch.minimum(mean / (1 - level), mean + spread * (level / (1 - level)).sqrt()).ceil()
    low = (mean - spread * ((1 - level) / level).sqrt()).floor().clamp(min=0) - 1
    while bool((high - low > 1).any()):
        middle = ((low + high) / 2).floor()
        enough = below(mean, dispersion, middle) >= level * (1 - _ROUNDING)
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return high


def below(mean: Float[Tensor, "*batch"], dispersion: Float[Tensor, "*batch"], count: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """The cumulative probability P(counts <= count), in double precision; 0 for negative counts."""
    failures, more, odds = 1 / dispersion, count.clamp(min=0) + 1, dispersion * mean
    share = 1 / (1 + odds)
    log_front = failures * -odds.log1p() + more * (odds.log() - odds.log1p())
    log_front = log_front + (failures + more).lgamma() - failures.lgamma() - more.lgamma()
    # The fraction converges fast on one side of the mean of the beta distribution; the other side is its complement.
    swapped = share > (failures + 1) / (failures + more + 2)
    a, b = torch.where(swapped, more, failures), torch.where(swapped, failures, more)
    part = log_front.exp() * _fraction(a, b, torch.where(swapped, odds / (1 + odds), share)) / a
    return torch.where(count < 0, 0.0, torch.where(swapped, 1 - part, part))


def _fraction(a: Float[Tensor, "*batch"], b: Float[Tensor, "*batch"], x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """The continued fraction of the incomplete beta function."""
    c = torch.ones_like(x)
    d = 1 / _not_zero(1 - (a + b) * x / (a + 1))
    found = d
    for term in range(1, _MOST_TERMS):
        even = term * (b - term) * x / ((a + 2 * term - 1) * (a + 2 * term))
        d, c = 1 / _not_zero(1 + even * d), _not_zero(1 + even / c)
        found = found * d * c
        odd = -(a + term) * (a + b + term) * x / ((a + 2 * term) * (a + 2 * term + 1))
        d, c = 1 / _not_zero(1 + odd * d), _not_zero(1 + odd / c)
        found = found * d * c
        if term % 8 == 0 and bool(((d * c - 1).abs() < _CONVERGED).all()):
            break
    return found


def _not_zero(value: Tensor) -> Tensor:
    return torch.where(value.abs() < _TINY, _TINY, value)
