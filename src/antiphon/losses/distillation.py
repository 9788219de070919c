"""The divergence of a student's distribution over symbols from its teacher's, at every target step (Hinton et al. 2015; Kim and Rush 2016).

Unusual here: as with cross-entropy, no tensor of all logits exists. A chunk of real target steps at a time, the teacher's and the
student's logits become losses and, in the same pass, the student's gradients; cross-entropy with the label takes the same logits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from antiphon.contracts.loss import Loss, LossSum
from antiphon.contracts.sequences import Output, Padded
from antiphon.errors import ConfigError
from antiphon.heads.pointer import Mixture
from antiphon.losses.chunked import chunked
from antiphon.losses.cross_entropy import CrossEntropy


@final
@dataclass(frozen=True)
class TaughtLoss:
    """weight * KL(teacher || student) + (1 - weight) * loss, given a teacher's output for the same batch.

    Both distributions are flattened by the temperature, and the divergence is multiplied by its square, which keeps gradients as large as
    those of cross-entropy (Hinton et al. 2015). The gradient reaches the student only.
    """

    teacher: Output
    temperature: float = 1.0
    weight: float = 1.0
    loss: Loss | None = None

    def __call__(self, output: Output, labels: Padded, weights: Float[Tensor, " B"] | None = None) -> LossSum:
        """The loss of a batch in nats. Raises ConfigError when the two have different numbers of symbols, or the student copies from the
        source."""
        if isinstance(output.head, Mixture):  # what it cannot say has probability 0 exactly, at which a divergence has no gradient
            raise ConfigError(
                "`distillation.level` must be `sequence` with `model.head: pointer`, whose words differ from source to source."
            )
        rest = 1 - self.weight
        taught = _logits_of(self.teacher, labels)
        beside = self.loss if isinstance(self.loss, CrossEntropy) and rest and not self.loss.coverage else None
        real = None if beside is None else beside.known(labels)

        def losses_of(part: slice, features: Tensor) -> Tensor:
            logits: Tensor = output.head(features)
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
            with torch.no_grad():
                goal = _checked(taught(part), logits)
            if beside is None or real is None:
                return self.weight * _distance(logits, goal, self.temperature)
            distance = _distance(logits.clone(), goal, self.temperature)
            return self.weight * distance + rest * beside.of_logits(logits, real[part])

        found = chunked(losses_of, [labels.real(output.features)], output.head, labels, weights)
        return found if self.loss is None or beside is not None or not rest else found + rest * self.loss(output, labels, weights)


def _logits_of(teacher: Output, labels: Padded) -> Callable[[slice], Tensor]:
    """The teacher's logits for some of the real steps: computed by its head on demand, where the head takes any vectors."""
    if isinstance(teacher.head, nn.Module):
        features = labels.real(teacher.features)
        return lambda part: teacher.head(features[part])
    values = labels.real(teacher.values)
    return lambda part: values[part]


def _distance(logits: Float[Tensor, "N V"], taught: Float[Tensor, "N V"], temperature: float) -> Float[Tensor, " N"]:
    found: Tensor = _Divergence.apply(logits, taught, temperature)  # type: ignore[no-untyped-call]
    return found


class _Divergence(torch.autograd.Function):
    """A student's logits (N, V), which are overwritten by their own gradients, and a teacher's -> losses (N,)."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
        own = logits.div_(temperature)
        own -= own.logsumexp(dim=-1, keepdim=True)
        goal = (taught.to(logits.dtype) / temperature).log_softmax(dim=-1)
        likely = goal.exp()
        # What the teacher excludes has probability 0 and log-probability -inf: 0 * inf would be no number.
        losses = torch.where(likely > 0, likely * (goal - own), 0.0).sum(dim=-1) * temperature**2
        ctx.gradient = own.exp_().sub_(likely).mul_(temperature)
        return losses

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.gradient.mul_(upstream.unsqueeze(1)), None, None


def _checked(taught: Tensor, logits: Tensor) -> Tensor:
    if taught.shape[-1] != logits.shape[-1]:
        raise ConfigError(
            f"`distillation.level` must be `sequence`, since the teacher chooses from {taught.shape[-1]:,} symbols at a step and the"
            f" student from {logits.shape[-1]:,}."
        )
    return taught
