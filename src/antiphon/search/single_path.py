"""The loop of searches in which a row never changes its parent: greedy search and sampling, which differ only in how they choose a symbol.

A source leaves the batch, with its rows of the memory and the state, as soon as all of its rows have ended. Scorers may change what is
chosen from, and then a hypothesis is worth the sum of what it was ranked by.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Hypothesis, select_rows
from antiphon.search.hypotheses import hypothesis
from antiphon.search.preparation import Prepared
from antiphon.search.processors import StepScores
from antiphon.search.scorer import ActiveScorers

Choose = Callable[[Float[Tensor, "R V"], int, Int[Tensor, " R"]], Int[Tensor, " R"]]
"""(logits after rules and scorers, step, number of each row in the whole batch) -> a symbol for each row."""


@dataclass(frozen=True)
class _Paths:
    """The data of each unfinished row. `rows` are their numbers in the whole batch."""

    rows: Tensor  # (R,)
    history: Tensor  # (R, T) symbols
    scores: Tensor  # (R, T) log-probabilities
    lengths: Tensor  # (R,) the step at which the end symbol came, -1 before it does
    cut: Tensor  # (R,) True where the limit ended the row
    totals: Tensor  # (R,) what was ranked by, summed up
    scorers: ActiveScorers


def follow(model: StepwiseModel, prepared: Prepared, width: int, choose: Choose, scorers: ActiveScorers) -> list[list[Hypothesis]]:
    """Follow `width` paths from each source to their ends; returns the hypotheses of each source in the order of the rows."""
    end, steps, device = prepared.spec.end, prepared.limits.steps, prepared.device
    memory, processors = prepared.memory, prepared.processors
    rows = torch.arange(prepared.sources * width, device=device)
    paths = _Paths(
        rows=rows,
        history=prepared.symbols(len(rows), steps),
        scores=torch.zeros(len(rows), steps, device=device),
        lengths=torch.full_like(rows, -1),
        cut=torch.zeros_like(rows, dtype=torch.bool),
        totals=torch.zeros(len(rows), device=device),
        scorers=scorers,
    )
    last = prepared.starts(len(rows))
    state = model.init_state(memory, width, steps)
    found: list[Hypothesis | None] = [None] * len(rows)
    for step in range(steps):
        output, state = model.step(last, memory, state, attention=paths.scorers.needs_attention)
        scores = processors(output.values, paths.history[:, :step], paths.scorers.may_end(), apart=bool(paths.scorers.scorers))
        if paths.scorers.scorers:
            scores, active = paths.scorers.score(replace(scores, attention=output.attention), last)
            paths = replace(paths, scorers=active)
        last = choose(scores.ranking, step, paths.rows)
        ended = (paths.lengths >= 0).view(-1, width).all(1) if _record(paths, scores, last, step, end) else None
        if ended is None or not ended.any():
            paths = _advanced(paths, last)
            continue
        _collect(paths, ended.repeat_interleave(width), found)
        keep = (~ended).nonzero().squeeze(1)
        if len(keep) == 0:
            break
        stay = (~ended).repeat_interleave(width).nonzero().squeeze(1)
        memory, state, paths, last = select_rows(memory, keep), select_rows(state, stay), select_rows(paths, stay), last[stay]
        processors = processors.keep(stay)
        paths = _advanced(paths, last)
    complete = [item for item in found if item is not None]
    assert len(complete) == len(found), "the length limit ends every row"
    return [complete[first : first + width] for first in range(0, len(complete), width)]


def _advanced(paths: _Paths, last: Tensor) -> _Paths:
    return replace(paths, scorers=paths.scorers.advance(last)) if paths.scorers.scorers else paths


def _record(paths: _Paths, scores: StepScores, symbols: Tensor, step: int, end: int) -> bool:
    """Record the chosen symbols, and whether a row may have ended with them."""
    paths.history[:, step] = symbols
    paths.scores[:, step : step + 1] = scores.said.gather(1, symbols.unsqueeze(1))
    ending = symbols == end
    some = bool(ending.any())
    if not some and not paths.scorers.scorers:
        return False
    running = paths.lengths < 0
    ends_now = ending & running
    if paths.scorers.scorers:
        gained = (scores.ranking.gather(1, symbols.unsqueeze(1)) - scores.ranking_norm).squeeze(1)
        finish = paths.scorers.finish(torch.arange(len(symbols), device=symbols.device))
        paths.totals.add_(torch.where(running, gained, 0.0)).add_(torch.where(ends_now, finish, 0.0))
    paths.lengths.masked_fill_(ends_now, step)
    if scores.cut is not None:
        paths.cut.logical_or_(scores.cut & ends_now)
    return some


def _collect(paths: _Paths, ended: Tensor, found: list[Hypothesis | None]) -> None:
    done = select_rows(paths, ended.nonzero().squeeze(1))
    history, scores = done.history.cpu().numpy(), done.scores.cpu().numpy()
    totals = done.totals.tolist() if done.scorers.scorers else [None] * len(history)
    described = zip(done.rows.tolist(), done.lengths.tolist(), done.cut.tolist(), totals, strict=True)
    for index, (row, length, cut, total) in enumerate(described):
        found[row] = hypothesis(history[index, :length], scores[index, : length + 1], total, "length" if cut else "end")
