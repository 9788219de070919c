"""A negative binomial distribution for each channel: counts whose variance exceeds their mean.

Unusual here: it is given by its mean m and dispersion a, with variance m + a m^2 (Hilbe 2011), so that the mean is learned whatever the
dispersion; torch's counts failures and has a mean that depends on both parameters. The target must be counts as they are: a scaled count
is none.
"""

from typing import Any, ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from antiphon.contracts.configuration import config
from antiphon.contracts.model import HeadPlugin
from antiphon.contracts.specs import Spec
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
    """Counts with `mean` m and variance m + `dispersion` m^2."""

    arg_constraints: ClassVar[dict[str, Any]] = {"mean": constraints.positive, "dispersion": constraints.positive}
    support = constraints.nonnegative_integer
    uniforms = 2 + 2 * _ATTEMPTS

    def __init__(self, mean: Float[Tensor, "*batch"], dispersion: Float[Tensor, "*batch"]):
        self._mean, self.dispersion = mean, dispersion
        super().__init__(mean.shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """(..., C)."""
        return self._mean

    @property
    def variance(self) -> Tensor:
        """(..., C)."""
        return self._mean + self.dispersion * self._mean**2

    def log_prob(self, value: Tensor) -> Tensor:
        """In nats; in double precision inside, since it is a small difference of large logarithms."""
        count, mean, dispersion = value.double(), self._mean.double(), self.dispersion.double()
        size, odds = 1 / dispersion, dispersion * mean
        ways = (count + size).lgamma() - size.lgamma() - (count + 1).lgamma()
        return (ways + count * (odds.log() - odds.log1p()) - size * odds.log1p()).to(self._mean.dtype)

    def draw(self, uniforms: Float[Tensor, "*batch U"]) -> Float[Tensor, "*batch"]:
        """A Poisson count whose rate is drawn from a gamma distribution."""
        numbers, size = uniforms.double(), 1 / self.dispersion.double()
        rate = _gamma(size, numbers[..., 1:]) * self.dispersion.double() * self._mean.double()
        return _poisson(rate, numbers[..., 0]).to(self._mean.dtype)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draws from torch's global stream."""
        with torch.no_grad():
            shape = torch.Size(sample_shape) + self._mean.shape
            numbers = torch.rand(*shape, self.uniforms, device=self._mean.device, dtype=torch.float64)
            tiny = torch.finfo(torch.float32).tiny
            return NegativeBinomial(self._mean.expand(shape), self.dispersion.expand(shape)).draw(numbers.clamp(min=tiny))


def _gamma(shape: Float[Tensor, "*batch"], uniforms: Float[Tensor, "*batch U"]) -> Float[Tensor, "*batch"]:
    """Gamma draws with unit scale (Marsaglia and Tsang 2000), from one number and a fixed number of attempts of two each."""
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
    """Poisson draws by inversion: a Cornish-Fisher guess, then bisection among the counts around it."""
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
    summary="A negative binomial distribution for each channel, for counts; needs a task that leaves them unscaled.",
    Config=NegativeBinomialConfig,
    build=build,
    loss="negative_log_likelihood",
)
