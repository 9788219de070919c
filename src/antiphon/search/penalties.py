"""Length penalties: divisors for the log-probabilities of finished hypotheses, which make lengths comparable (Wu et al. 2016, section 7).

Lengths here count the end symbol. The penalty only grows with length, which is what lets a beam search stop at the exact moment.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

LengthPenalty = Literal["none", "average", "gnmt", "power"]
WITH_ALPHA = ("gnmt", "power")
"""Those that `alpha` is for."""


def length_penalty(kind: LengthPenalty, alpha: float, lengths: Int[Tensor, "*N"]) -> Float[Tensor, "*N"]:
    """The divisor of a log-probability: 1, the length, ((5 + length) / 6) ** alpha, or the length ** alpha."""
    if kind == "none":
        return torch.ones_like(lengths, dtype=torch.float32)
    if kind == "average":
        return lengths.float()
    return lengths.float() ** alpha if kind == "power" else ((5 + lengths.float()) / 6) ** alpha
