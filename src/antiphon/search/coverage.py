"""A penalty for source positions that a hypothesis did not attend to (Wu et al. 2016, section 7), added to the score of finished
hypotheses.

    coverage_penalty * sum over source steps of log(min(attention received, 1))

It is at most 0, which is what lets a beam search stop at the exact moment.
"""

from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from antiphon.contracts.model import StepwiseModel
from antiphon.errors import ConfigError
from antiphon.search.preparation import Prepared
from antiphon.search.processors import StepScores
from antiphon.search.scorer import Scorer

_LEAST_COVERAGE = 1e-10  # a source step that no attention reached would otherwise rule a hypothesis out for good


@dataclass(frozen=True)
class _Received:
    attention: Float[Tensor, "R S"]  # so far
    mask: Bool[Tensor, "R S"]


@final
class CoveragePenalty(Scorer):
    """`weight` is beta of Wu et al. (2016)."""

    needs_attention = True

    def __init__(self, weight: float):
        self.weight = weight

    def begin(self, model: StepwiseModel, prepared: Prepared, width: int) -> _Received:
        """The initial state, with no attention received. Raises ConfigError for a model without attention."""
        if not model.gives_attention:
            raise ConfigError("`search.coverage_penalty` needs a model with attention, but this model has none. Set it to 0.")
        mask = prepared.memory.mask.repeat_interleave(width, 0)
        return _Received(torch.zeros(mask.shape, device=mask.device), mask)

    def score(self, scores: StepScores, last: Int[Tensor, " R"], state: _Received) -> tuple[StepScores, _Received]:
        """Record the attention of this step."""
        assert scores.attention is not None, "the model gives it"
        return scores, replace(state, attention=state.attention + scores.attention.float())

    def finish(self, state: _Received, rows: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
        """The penalty of each finished hypothesis."""
        return self.weight * coverage(state.attention[rows], state.mask[rows])


def coverage(received: Float[Tensor, "N S"], mask: Bool[Tensor, "N S"]) -> Float[Tensor, " N"]:
    """The sum of log(min(attention received, 1)) over the real source steps; at most 0."""
    logs = received.clamp(min=_LEAST_COVERAGE, max=1).log()
    return logs.masked_fill(~mask, 0).sum(-1)
