"""A reward for each symbol, since sums of log-probabilities favour short outputs (He et al. 2016; `penalty` of ESPnet).

It makes the score of a hypothesis rise with its length, so a beam search may stop only when what is left of the limit cannot make up for
what it lacks.
"""

from typing import final

from jaxtyping import Int
from torch import Tensor

from antiphon.contracts.model import StepwiseModel
from antiphon.search.preparation import Prepared
from antiphon.search.processors import StepScores
from antiphon.search.scorer import Scorer


@final
class LengthReward(Scorer):
    """Adds `reward` for each symbol but the end."""

    def __init__(self, reward: float):
        self.reward = reward

    def begin(self, model: StepwiseModel, prepared: Prepared, width: int) -> int:
        """The state, which is just the end symbol."""
        return prepared.spec.end

    def score(self, scores: StepScores, last: Int[Tensor, " R"], state: int) -> tuple[StepScores, int]:
        """Add the reward to all symbols but the end."""
        scores.ranking.add_(self.reward)
        scores.ranking[:, state] -= self.reward
        return scores, state

    def gain(self, state: int, steps: int) -> float:
        """The reward of all steps but the last, which is the end."""
        return max(self.reward, 0.0) * max(steps - 1, 0)
