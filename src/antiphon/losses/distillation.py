"""How far a student's distribution over symbols is from its teacher's, at every target step (Hinton et al. 2015; Kim and Rush 2016).

Unusual here: as with cross-entropy, no tensor of all logits exists. A chunk of real target steps at a time, the teacher's and the
student's logits become losses and, in the same pass, the student's gradients.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from antiphon.contracts.sequences import Output, Padded
from antiphon.errors import ConfigError
from antiphon.heads.categorical import Categorical
from antiphon.heads.pointer import Mixture
from antiphon.losses.cross_entropy import FusedProjection


def divergence(student: Output, teacher: Output, labels: Padded, temperature: float = 1.0) -> Float[Tensor, "B T"]:
    """KL(teacher || student) in nats at each real label, 0 on padding.

    Both distributions are flattened by the temperature, and the result is multiplied by its square, which keeps gradients as large as
    those of cross-entropy (Hinton et al. 2015). The gradient reaches the student only.

    Raises ConfigError when one of them says more symbols than the other, or the student copies from the source.
    """
    if isinstance(student.head, Mixture):  # what it cannot say has probability 0 exactly, at which a divergence has no gradient
        raise ConfigError("`distillation.level` must be `sequence` with `model.head: pointer`, whose words differ from source to source.")
    mask = labels.mask
    head = student.head
    if isinstance(head, Categorical) and "values" not in student.__dict__ and torch.is_grad_enabled():
        taught = _logits_of(teacher, mask)

        def losses_of(logits: Tensor, rows: slice) -> tuple[Tensor, Tensor]:
            return _loss_and_gradient(logits, _checked(taught(rows), logits), temperature)

        losses = FusedProjection.apply(student.features[mask], head.weight, head.bias, losses_of)  # type: ignore[no-untyped-call]
    else:
        logits = student.values[mask].float()
        taught_all = _checked(_logits_of(teacher, mask)(slice(None)), logits).detach()
        losses, _ = _distance((logits / temperature).log_softmax(dim=-1), taught_all, temperature)
    return torch.zeros(mask.shape, device=mask.device).masked_scatter(mask, losses)


def _logits_of(teacher: Output, mask: Tensor) -> Callable[[slice], Tensor]:
    """The teacher's logits for some of the real steps: by its head when they are asked for, where the head takes any vectors."""
    if isinstance(teacher.head, Categorical) and "values" not in teacher.__dict__:
        features = teacher.features[mask]
        return lambda rows: teacher.head(features[rows])
    values = teacher.values[mask]
    return lambda rows: values[rows]


@torch.no_grad()
def _loss_and_gradient(logits: Float[Tensor, "N V"], taught: Float[Tensor, "N V"], temperature: float) -> tuple[Tensor, Tensor]:
    """Losses, and their gradients with respect to the student's logits, which are used up."""
    own = logits.div_(temperature)
    own -= own.logsumexp(dim=-1, keepdim=True)
    losses, likely = _distance(own, taught, temperature)
    return losses, own.exp_().sub_(likely).mul_(temperature)


def _distance(own: Float[Tensor, "N V"], taught: Float[Tensor, "N V"], temperature: float) -> tuple[Tensor, Tensor]:
    """Losses for the student's log-probabilities, and the teacher's probabilities."""
    goal = (taught.float() / temperature).log_softmax(dim=-1)
    likely = goal.exp()
    # What the teacher excludes has probability 0 and log-probability -inf: 0 * inf would be no number.
    return torch.where(likely > 0, likely * (goal - own), 0.0).sum(dim=-1) * temperature**2, likely


def _checked(taught: Tensor, logits: Tensor) -> Tensor:
    if taught.shape[-1] != logits.shape[-1]:
        raise ConfigError(
            f"`distillation.level` must be `sequence`, since the teacher chooses from {taught.shape[-1]:,} symbols at a step and the"
            f" student from {logits.shape[-1]:,}."
        )
    return taught
