"""The negative log-likelihood of the label under the distribution that the head gives; works for every torch Distribution."""

from functools import partial
from typing import Literal

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from antiphon.contracts.configuration import config
from antiphon.contracts.loss import Loss, LossPlugin, LossSum
from antiphon.contracts.sequences import Output, Padded
from antiphon.contracts.specs import Spec, ValueSpec
from antiphon.errors import DataError
from antiphon.heads.draws import sized
from antiphon.losses.observed import Observed, needs, observed, values_only
from antiphon.losses.summing import summed


@config
class NegativeLogLikelihoodConfig:
    """Negative log-likelihood."""

    name: Literal["negative_log_likelihood"] = "negative_log_likelihood"
    """The name of this loss."""


def build(settings: NegativeLogLikelihoodConfig, target: Spec) -> Loss:
    """Make the loss. Raises ConfigError when the target is made of symbols."""
    return partial(negative_log_likelihood, target=values_only(target, "negative_log_likelihood"))


def negative_log_likelihood(output: Output, labels: Padded, weights: Float[Tensor, " B"] | None = None, *, target: ValueSpec) -> LossSum:
    """-log p(label) in nats, the mean over a step's observed channels. For scaled counts it is that of the original count.

    Raises ConfigError when the head says no distribution, DataError when a label of a distribution of counts is no count.
    """
    distribution = sized(output.values, labels.values, target)
    if not isinstance(distribution, Distribution):
        raise needs("a distribution", "negative_log_likelihood", distribution)
    known = observed(labels, target.channels)
    if getattr(distribution.support, "is_discrete", False):
        _check_counts(distribution, known)
    return summed(known.mean(-distribution.log_prob(known.values)), weights)


def _check_counts(distribution: Distribution, known: Observed) -> None:
    fitting: Tensor = distribution.support.check(known.values)  # type: ignore[union-attr]
    if not bool(fitting.all()):
        wrong = float(known.values[~fitting][0])
        raise DataError(
            f"Labels must be counts (0, 1, 2, ...) for a head of {type(distribution).__name__}, but one is {wrong:g}."
            " Use a head of real values, such as `student_t`, or `task.counts`."
        )


plugin = LossPlugin(
    name="negative_log_likelihood",
    summary="Negative log-likelihood of a distribution.",
    Config=NegativeLogLikelihoodConfig,
    build=build,
    measure=build,
)
