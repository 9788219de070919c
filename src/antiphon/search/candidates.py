"""One step of a beam: finds the best continuations of each source from the scores of W rows and V symbols.

Three ways, one result. `plain` takes the best of each source. `diverse` divides the beam into groups that shun each other's symbols
(Vijayakumar et al. 2018). `constrained` deals the beam out by progress on required phrases. Each gives, per source and group, twice as
many candidates as places in order of preference: at most one per row ends, so enough remain that go on.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.search.constraints import RequiredPhrases, allocate
from antiphon.search.likeliest import best
from antiphon.search.processors import StepScores


@dataclass(frozen=True)
class Candidates:
    """Continuations, best first: G groups, K candidates each. `rows` are rows of the current step."""

    totals: Float[Tensor, "B G K"]
    rows: Int[Tensor, "B G K"]
    symbols: Int[Tensor, "B G K"]


def plain(scores: StepScores, totals: Float[Tensor, "B W"]) -> Candidates:
    """The best continuations of each source."""
    B, W = totals.shape
    # The best W + 1 of a row are enough: one of them may end, and a row cannot fill more than W places.
    values, symbols = best(scores.ranking, min(W + 1, scores.ranking.shape[1]))
    k = symbols.shape[1]
    joined = (values + (totals.reshape(-1, 1) - scores.ranking_norm)).view(B, W * k)
    ranked, index = joined.topk(min(2 * W, W * k), dim=-1)
    rows = index // k + _first_rows(B, W, index.device)
    return Candidates(ranked.unsqueeze(1), rows.unsqueeze(1), symbols.view(B, W * k).gather(1, index).unsqueeze(1))


def diverse(scores: StepScores, totals: Float[Tensor, "B W"], groups: int, diversity: float, end: int) -> Candidates:
    """The best continuations of each group, after subtracting `diversity` for each time an earlier group chose the symbol in this step.

    What is taken off decides who gets a place, and does not enter the totals.
    """
    B, W = totals.shape
    width, V = W // groups, scores.ranking.shape[1]
    ranked = (scores.ranking - scores.ranking_norm).view(B, W, V)
    counts = torch.zeros(B, V, device=totals.device)
    chosen: list[tuple[Tensor, Tensor, Tensor]] = []
    for first in range(0, W, width):
        joined = totals[:, first : first + width, None] + ranked[:, first : first + width]  # (B, W / G, V)
        index = (joined - diversity * counts.unsqueeze(1)).flatten(1).topk(min(2 * width, width * V), dim=-1).indices
        symbols = index % V
        chosen.append((joined.flatten(1).gather(1, index), index // V + first + _first_rows(B, W, index.device), symbols))
        going_on = (symbols != end).to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :width]
        counts.scatter_add_(1, symbols.gather(1, going_on), torch.ones_like(going_on, dtype=counts.dtype))
    stacked = [torch.stack(parts, dim=1) for parts in zip(*chosen, strict=True)]
    return Candidates(stacked[0], stacked[1], stacked[2])


def constrained(scores: StepScores, totals: Float[Tensor, "B W"], required: RequiredPhrases) -> Candidates:
    """The best continuations of each row and those that extend a required phrase, allocated by progress."""
    B, W = totals.shape
    values, symbols = best(scores.ranking, min(W + 1, scores.ranking.shape[1]))
    wanted = required.next_symbols()
    extra = scores.ranking.gather(1, wanted.clamp(min=0))
    earlier = (wanted.unsqueeze(2) == wanted.unsqueeze(1)).tril(-1).any(2)  # two phrases may want the same symbol
    known = (wanted.unsqueeze(2) == symbols.unsqueeze(1)).any(2)
    extra = extra.masked_fill((wanted < 0) | earlier | known, -float("inf"))
    values, symbols = torch.cat((values, extra), 1), torch.cat((symbols, wanted.clamp(min=0)), 1)
    k = symbols.shape[1]
    joined = (values + (totals.reshape(-1, 1) - scores.ranking_norm)).view(B, W * k)
    index = allocate(joined, required.banks(symbols).view(B, W * k), min(2 * W, W * k))
    rows = index // k + _first_rows(B, W, index.device)
    return Candidates(joined.gather(1, index).unsqueeze(1), rows.unsqueeze(1), symbols.view(B, W * k).gather(1, index).unsqueeze(1))


def _first_rows(B: int, W: int, device: torch.device) -> Int[Tensor, "B 1"]:
    return torch.arange(0, B * W, W, device=device).unsqueeze(1)
