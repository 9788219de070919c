"""CTC and cross-entropy combined (Watanabe et al. 2017): CTC trains the encoder by itself, cross-entropy trains encoder and decoder.

ctc_weight * ctc + (1 - ctc_weight) * cross_entropy
"""

from dataclasses import dataclass
from typing import Annotated, Literal, final

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import Fraction, config
from antiphon.contracts.loss import Loss, LossPlugin, LossSum
from antiphon.contracts.sequences import Output, Padded
from antiphon.contracts.specs import Spec
from antiphon.losses.cross_entropy import CrossEntropy
from antiphon.losses.ctc import CTCLoss, symbols_only


@config
class JointCTCConfig:
    """The weights of CTC and cross-entropy."""

    name: Literal["joint_ctc"] = "joint_ctc"
    """The name of this loss."""
    ctc_weight: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Share of CTC."""
    label_smoothing: Fraction = 0.1
    """Share of the probability that cross-entropy spreads over the whole vocabulary (Szegedy et al. 2016)."""
    intermediate_weight: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Share of inner layers within CTC, where the model has `intermediate_ctc` (Lee and Watanabe 2021)."""


@final
@dataclass(frozen=True)
class JointLoss:
    """The combined loss, for outputs with frames."""

    ctc: CTCLoss
    spoken: Loss
    ctc_weight: float

    def __call__(self, output: Output, labels: Padded, weights: Float[Tensor, " B"] | None = None) -> LossSum:
        """The weighted sum of both losses."""
        return self.ctc_weight * self.ctc(output, labels, weights) + (1 - self.ctc_weight) * self.spoken(output, labels, weights)


def build(settings: JointCTCConfig, target: Spec) -> Loss:
    """Make the loss. Raises ConfigError when the target is real-valued."""
    ctc = CTCLoss(symbols_only(target, "joint_ctc"), settings.intermediate_weight)
    return JointLoss(ctc, CrossEntropy(settings.label_smoothing, target=ctc.target), settings.ctc_weight)


def measure(settings: JointCTCConfig, target: Spec) -> Loss:
    """The same loss without smoothing and without inner layers."""
    ctc = CTCLoss(symbols_only(target, "joint_ctc"))
    return JointLoss(ctc, CrossEntropy(target=ctc.target), settings.ctc_weight)


plugin = LossPlugin(
    name="joint_ctc",
    summary="CTC of the encoder and cross-entropy of the decoder, weighed.",
    Config=JointCTCConfig,
    build=build,
    measure=measure,
)
