"""Makes hypotheses of rows of buffers; the only place where a search needs numbers on the host."""

import numpy as np
from jaxtyping import Float, Int

from antiphon.contracts.sequences import FinishReason, Hypothesis
from antiphon.errors import AntiphonError


def hypothesis(
    symbols: Int[np.ndarray, " T"], step_scores: Float[np.ndarray, " T1"], score: float | None, reason: FinishReason
) -> Hypothesis:
    """A hypothesis of T symbols, with T + 1 step scores: the last is that of the end symbol. Without a score it is the log-probability.

    Raises AntiphonError when the model's logits were not numbers: such an output must not pass for a result.
    """
    scores = tuple(step_scores.tolist())
    log_prob = sum(scores)
    if log_prob != log_prob:
        raise AntiphonError("The model's logits must be numbers, but are NaN. Has its training diverged, or is half precision too narrow?")
    # Copied: a view would keep the whole buffer of the batch alive.
    return Hypothesis(symbols.copy(), log_prob if score is None else score, log_prob, scores, finish_reason=reason)
