"""What turns the log-probability of a finished hypothesis into its score: length and coverage (Wu et al. 2016, section 7).

    score = log_prob / length_penalty(length) + coverage_penalty * sum over source steps of log(min(attention received, 1))

Lengths here count the end symbol. Both terms are bounded for a hypothesis that is still growing, which is what lets a beam search stop at
the exact moment: log-probabilities only fall, the penalty only grows with length, and the coverage term is at most 0.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

LengthPenalty = Literal["none", "average", "gnmt", "power"]
WITH_ALPHA = ("gnmt", "power")
"""Those that `alpha` is for."""

_LEAST_COVERAGE = 1e-10  # a source step that no attention reached would otherwise rule a hypothesis out for good


def length_penalty(kind: LengthPenalty, alpha: float, lengths: Int[Tensor, "*N"]) -> Float[Tensor, "*N"]:
    """What to divide a log-probability by: 1, the length, ((5 + length) / 6) ** alpha, or the length ** alpha."""
    if kind == "none":
        return torch.ones_like(lengths, dtype=torch.float32)
    if kind == "average":
        return lengths.float()
    return lengths.float() ** alpha if kind == "power" else ((5 + lengths.float()) / 6) ** alpha


def coverage(received: Float[Tensor, "N S"], mask: Bool[Tensor, "N S"]) -> Float[Tensor, " N"]:
    """The sum of log(min(attention received, 1)) over the real source steps; at most 0."""
    logs = received.clamp(min=_LEAST_COVERAGE, max=1).log()
    return logs.masked_fill(~mask, 0).sum(-1)
