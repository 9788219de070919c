"""Attention of a recurrent decoder to the source: one query per step, scored against every source state.

dot and general (Luong et al. 2015), additive (Bahdanau et al. 2015, with the current state as query), and multi-head (Vaswani et al.
2017). With coverage, scores also depend on how much a place was attended to so far (See et al. 2017, after Tu et al. 2016). Location-aware
scores (Chorowski et al. 2015) are additive ones that see, through a convolution, where the step before looked: in speech the next place
is near the last one.

As in `layers/attention.py`, the hypotheses of a source are a dimension of the query, so keys are never copied for beams.
"""

from typing import Literal, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from antiphon.layers.additive_scores import additive_scores
from antiphon.layers.attention import CrossAttention, KeysValues
from antiphon.layers.linear import Linear

Scoring = Literal["dot", "general", "additive", "location", "multi_head"]


@final
class Alignment(nn.Module):
    """Attention weights over the source and the resulting context vector; `project` is computed once per source."""

    def __init__(self, scoring: Scoring, dim: int, *, heads: int = 1, coverage: bool = False, filters: int = 10, kernel_size: int = 31):
        super().__init__()
        self.scoring = scoring
        self.dim = dim
        self.multi_head = CrossAttention(dim, dim, heads, heads, head_dim=dim // heads) if scoring == "multi_head" else None
        inside = scoring in ("additive", "location")  # scores come out of a tanh
        self.key = Linear(dim, dim, bias=False) if inside or scoring == "general" else None
        self.query = Linear(dim, dim) if inside else None
        self.energy = Linear(dim, 1, bias=False) if inside else None
        # Inside the tanh of additive scores a vector of weights, else one weight on the score itself.
        self.covered = nn.Parameter(torch.zeros(dim if scoring == "additive" else 1)) if coverage else None
        self.filters: nn.Conv1d | None = None
        self.located: nn.Linear | None = None
        if scoring == "location":
            self.filters = nn.Conv1d(1, filters, kernel_size, padding=kernel_size // 2, bias=False)
            self.located = Linear(filters, dim, bias=False)

    def project(self, states: Float[Tensor, "B S D"]) -> KeysValues:
        """Keys and values of the memory, as (B, 1, S, D), or per head."""
        if self.multi_head is not None:
            return self.multi_head.project(states)
        keys = states if self.key is None else self.key(states)
        return KeysValues(keys.unsqueeze(1), states.unsqueeze(1))

    def forward(
        self,
        queries: Float[Tensor, "N T D"],
        memory: KeysValues,
        mask: Bool[Tensor, "B S"],
        earlier: Float[Tensor, "N S"] | None = None,
    ) -> tuple[Float[Tensor, "N T D"], Float[Tensor, "N T S"]]:
        """Context vectors and weights; N is B, or R = B * W with T = 1.

        `earlier` are weights of a row from before this step, and need T = 1: the sum of all of them for coverage, the last ones for
        location-aware scores.
        """
        if self.multi_head is not None:
            context, weights = self.multi_head(queries, memory, mask, weights=True)
            return context, weights
        rows, steps = queries.shape[:2]
        keys, values = memory.keys.squeeze(1), memory.values.squeeze(1)
        per_source = queries.reshape(keys.shape[0], -1, self.dim)  # (B, W * T, D)
        seen = None if earlier is None else earlier.view(keys.shape[0], -1, keys.shape[1])
        if self.query is not None and self.energy is not None:
            scores = additive_scores(self.query(per_source), keys, self.energy.weight[0], *self._places(seen))
        else:
            scores = per_source @ keys.transpose(1, 2)
            scores = scores if seen is None or self.covered is None else scores + seen * self.covered
        weights = scores.masked_fill(~mask.unsqueeze(1), float("-inf")).softmax(dim=-1)
        return (weights @ values).view(rows, steps, -1), weights.view(rows, steps, -1)

    def _places(self, earlier: Float[Tensor, "B W S"] | None) -> tuple[Tensor | None, Tensor | None]:
        """The features of earlier attention weights at each source state for additive scores, (B, W, S, F), and the map from them to
        vectors, (D, F).

        With coverage that is what was attended to so far; with location-aware scores, a convolution over where the step before looked.
        Weights of padding are 0, as is what lies beyond the ends.
        """
        if earlier is None:
            return None, None
        if self.filters is not None and self.located is not None:
            around = self.filters(earlier.flatten(0, 1).unsqueeze(1)).transpose(1, 2)
            return around.unflatten(0, earlier.shape[:2]), self.located.weight
        return (None, None) if self.covered is None else (earlier.unsqueeze(-1), self.covered.unsqueeze(-1))
