"""A negative binomial distribution for each channel: counts whose variance exceeds their mean.

Unusual here: it is given by its mean m and dispersion a, with variance m + a m^2 (Hilbe 2011), so that the mean is learned whatever the
dispersion; torch's counts failures and has a mean that depends on both parameters.

Series of very different sizes learn together as in DeepAR (Salinas et al. 2020): where the task divides counts by the size nu of their
series and says so, the head's mean m and dispersion a are in units of it, and stand for counts of mean nu m and dispersion a / sqrt(nu).
The distribution is then one over counts / nu: its draws and quantiles are, and a label is, a count divided by nu. Without sizes the target
must be counts as they are.
"""

from typing import Any, ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from antiphon.contracts.configuration import config
from antiphon.contracts.model import HeadPlugin
from antiphon.contracts.specs import Spec
from antiphon.heads.negative_binomial_quantiles import quantile
from antiphon.heads.parameters import DistributionHead, positive, values_only

LEAST_MEAN, LARGEST_MEAN = 1e-6, 1e7  # single precision holds no odd count above 1.6e7
LEAST_DISPERSION, LARGEST_DISPERSION = 1e-4, 1e4  # at 1e-4, nearly Poisson
_ATTEMPTS = 6  # each is accepted with at least 95 %, so all are refused once in 6e7 draws; the last is then taken
_REACH = 8.0


@config
class NegativeBinomialConfig:
    """Mean and dispersion of the counts of each channel."""

    name: Literal["negative_binomial"] = "negative_binomial"
    """The name of this head."""


@final
class NegativeBinomial(Distribution):
    """Counts with `mean` m and variance m + `dispersion` m^2; with `sizes`, counts divided by them."""

    arg_constraints: ClassVar[dict[str, Any]] = {"mean": constraints.positive, "dispersion": constraints.positive}
    uniforms = 2 + 2 * _ATTEMPTS

    def __init__(self, mean: Float[Tensor, "*batch"], dispersion: Float[Tensor, "*batch"], sizes: Float[Tensor, "*batch"] | None = None):
        self._mean, self.dispersion, self.sizes = mean, dispersion, sizes
        super().__init__(mean.shape, validate_args=False)

    def of_sizes(self, sizes: Float[Tensor, "*batch"]) -> "NegativeBinomial":
        """The same distribution for series that were divided by these scales."""
        return NegativeBinomial(self._mean, self.dispersion, sizes)

    @property
    def support(self) -> Any:
        """Counts, or counts divided by their scales."""
        return constraints.nonnegative_integer if self.sizes is None else _DividedCounts(self.sizes)

    @property
    def mean(self) -> Tensor:
        """The mean (..., C)."""
        return self._mean

    @property
    def variance(self) -> Tensor:
        """The variance (..., C)."""
        mean, dispersion = self._of_counts()
        variance: Tensor = (mean + dispersion * mean**2) / (1 if self.sizes is None else self.sizes**2)
        return variance.to(self._mean.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of the count, in nats; computed in double precision, since it is a small difference of large logarithms."""
        mean, dispersion = self._of_counts()
        count = value.double() if self.sizes is None else (value.double() * self.sizes).round()
        failures, odds = 1 / dispersion, dispersion * mean
        ways = (count + failures).lgamma() - failures.lgamma() - (count + 1).lgamma()
        return (ways + count * (odds.log() - odds.log1p()) - failures * odds.log1p()).to(self._mean.dtype)

    def draw(self, uniforms: Float[Tensor, "*batch U"]) -> Float[Tensor, "*batch"]:
        """A sample: a Poisson count whose rate is sampled from a gamma distribution."""
        (mean, dispersion), numbers = self._of_counts(), uniforms.double()
        rate = _gamma(1 / dispersion, numbers[..., 1:]) * dispersion * mean
        return self._divided(_poisson(rate, numbers[..., 0]))

    def icdf(self, value: Tensor) -> Tensor:
        """The least count with at least this much cumulative probability."""
        return self._divided(quantile(*self._of_counts(), value))

    def _of_counts(self) -> tuple[Tensor, Tensor]:
        """Mean and dispersion of the unscaled counts."""
        mean, dispersion = self._mean.double(), self.dispersion.double()
        if self.sizes is None:
            return mean, dispersion
        return (mean * self.sizes).clamp(max=LARGEST_MEAN), (dispersion / self.sizes.sqrt()).clamp(min=LEAST_DISPERSION)

    def _divided(self, counts: Tensor) -> Tensor:
        return (counts if self.sizes is None else counts / self.sizes).to(self._mean.dtype)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Samples that use torch's global random stream."""
        with torch.no_grad():
            shape = torch.Size(sample_shape) + self._mean.shape
            numbers = torch.rand(*shape, self.uniforms, device=self._mean.device, dtype=torch.float64)
            tiny = torch.finfo(torch.float32).tiny
            sizes = None if self.sizes is None else self.sizes.expand(shape)
            many = NegativeBinomial(self._mean.expand(shape), self.dispersion.expand(shape), sizes)
            return many.draw(numbers.clamp(min=tiny))


@final
class _DividedCounts(constraints.Constraint):
    """The constraint for counts divided by scales, in single precision."""

    is_discrete = True

    def __init__(self, sizes: Float[Tensor, "*batch"]):
        self.sizes = sizes

    def check(self, value: Tensor) -> Tensor:
        """Which values may be such counts; above about 100,000 rounding makes them impossible to tell apart."""
        counts = value.double() * self.sizes
        return (counts >= 0) & ((counts - counts.round()).abs() <= 1e-3 + 1e-6 * counts)


def _gamma(shape: Float[Tensor, "*batch"], uniforms: Float[Tensor, "*batch U"]) -> Float[Tensor, "*batch"]:
    """Gamma samples with unit scale (Marsaglia and Tsang 2000), from one number and a fixed number of attempts of two numbers each."""
    third = shape + 1 - 1 / 3  # for shape + 1, where acceptance is likely; the first number then leads down to `shape`
    spread = 1 / (9 * third).sqrt()
    drawn = torch.zeros_like(third)
    accepted = torch.zeros_like(third, dtype=torch.bool)
    for attempt in range(_ATTEMPTS):
        normal = torch.special.ndtri(uniforms[..., 1 + 2 * attempt])
        cube = (1 + spread * normal) ** 3
        usable = cube.clamp(min=1e-30)
        good = (cube > 0) & (uniforms[..., 2 + 2 * attempt].log() < normal**2 / 2 + third * (1 - usable + usable.log()))
        drawn = torch.where(accepted, drawn, third * usable)
        accepted = accepted | good
    lowered: Tensor = drawn * (uniforms[..., 0].log() / shape).exp()
    return lowered


def _poisson(rate: Float[Tensor, "*batch"], uniform: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Poisson samples by inversion: a Cornish-Fisher guess, then bisection among the counts around it."""
    deviation = torch.special.ndtri(uniform)
    guess = (rate + rate.sqrt() * deviation + (deviation**2 - 1) / 6).round()
    low: Tensor = (guess - _REACH).clamp(min=-1)
    high: Tensor = (guess + _REACH).clamp(min=0)
    for _ in range(5):  # from 17 counts to one
        middle = ((low + high) / 2).floor()
        # P(count <= k) is the upper regularized incomplete gamma function of k + 1.
        enough = (torch.special.gammaincc((middle + 1).clamp(min=1), rate) >= uniform) & (middle >= 0)
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return high


def build(settings: NegativeBinomialConfig, target: Spec, dim: int, tied: nn.Parameter | None) -> nn.Module:
    """Make the head: mean within [1e-6, 1e7], dispersion within [1e-4, 1e4]. Raises ConfigError when the target is made of symbols."""

    def make(parameters: Tensor) -> Distribution:
        mean, dispersion = parameters.unbind(-1)
        return NegativeBinomial(positive(mean, LEAST_MEAN, LARGEST_MEAN), positive(dispersion, LEAST_DISPERSION, LARGEST_DISPERSION))

    return DistributionHead(dim, values_only(target, tied, "negative_binomial").channels, 2, make)


plugin = HeadPlugin(
    name="negative_binomial",
    summary="A negative binomial distribution for each channel, for counts (`task.counts`).",
    Config=NegativeBinomialConfig,
    build=build,
    loss="negative_log_likelihood",
)
