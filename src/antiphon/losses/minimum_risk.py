"""Minimum risk training: minimizes the expected cost of the model's own outputs under a metric (Shen et al. 2016).

The risk of a source is the mean cost of outputs that are drawn from the model, each with its probability among those drawn, sharpened:
Q(y) = p(y)^alpha / sum of p(y')^alpha. Beside it stands cross-entropy with the reference, weighed (Edunov et al. 2018).

Unusual here: the gradient of the risk is divided by alpha. It is alpha * Q(y) * (cost(y) - risk) for the log-probability of each output,
so a small alpha would make it vanish beside that of cross-entropy, and large in every other respect it would be the same.
"""

from typing import Annotated, Literal

from pydantic import Field

from antiphon.contracts.configuration import Fraction, config, plugin_name
from antiphon.contracts.loss import Loss, LossOfBatch, LossPlugin
from antiphon.contracts.specs import Spec
from antiphon.losses import cross_entropy
from antiphon.losses.cross_entropy import CrossEntropyConfig


@config
class MinimumRiskConfig:
    """How the model's own outputs are sampled, scored and weighted. For a model that has been trained on its task already
    (`training.init_from`)."""

    name: Literal["minimum_risk"] = "minimum_risk"
    """The name of this loss."""
    metric: plugin_name("metrics") = "chrf"  # type: ignore[valid-type]
    """The metric for single outputs that defines the cost, such as chrf, bleu or word_error_rate."""
    samples: Annotated[int, Field(ge=2)] = 8
    """Outputs sampled for each source; equal ones count once."""
    alpha: Annotated[float, Field(gt=0)] = 0.2
    """Sharpness of the distribution over the sampled outputs: 0.005 makes it nearly uniform (Shen et al. 2016), 1 leaves it unchanged."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Outputs are sampled at this temperature; at higher ones they differ more."""
    references: bool = False
    """Whether the reference is added to the outputs of each source, as in Shen et al."""
    cross_entropy_weight: Fraction = 0.3
    """Share of cross-entropy in the loss."""
    label_smoothing: Fraction = 0.1
    """Share of the probability that cross-entropy spreads over the whole vocabulary (Szegedy et al. 2016)."""


def build(settings: MinimumRiskConfig, target: Spec) -> Loss | LossOfBatch:
    """The cross-entropy part; the risk needs the model and the metric. Raises ConfigError when the target is real-valued."""
    return cross_entropy.build(CrossEntropyConfig(label_smoothing=settings.label_smoothing), target)


def measure(settings: MinimumRiskConfig, target: Spec) -> Loss:
    """Cross-entropy without smoothing; the metric is reported separately on validation records."""
    return cross_entropy.measure(CrossEntropyConfig(), target)


plugin = LossPlugin(
    name="minimum_risk",
    summary="The expected cost of the model's own outputs by a metric, and cross-entropy: to fine-tune with chrF, BLEU or WER.",
    Config=MinimumRiskConfig,
    build=build,
    measure=measure,
)
