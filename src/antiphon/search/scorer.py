"""Scorers, which take part in the ranking of hypotheses beside the model: a language model, CTC, hot words.

A search knows none of them by name. At each step it shows its scores to every scorer, which may add to what is ranked by; the model's own
log-probabilities stay as they are. What a scorer must remember of each hypothesis is its state, which the search reorders with the model's.
So greedy search, sampling and beams have the same scorers, and a new one is a file.

Unusual here: a scorer also says how much it may still add (`gain`), and so a beam search that stops at the exact moment stays exact.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from antiphon.contracts.limits import least
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import select_rows
from antiphon.search.preparation import Prepared
from antiphon.search.processors import StepScores


class Scorer(ABC):
    """A scorer. Its state is a tree of tensors with a row per hypothesis, R = B * width, or has a `select_rows` of its own.

    In each step, a search calls `may_end`, `score`, for hypotheses that end `finish`, and behind its choice of symbols `select_rows` of the
    state and `advance`.
    """

    needs_attention: bool = False
    """Whether `score` reads `scores.attention`."""

    @property
    def longest(self) -> int | None:
        """The greatest number of elements in a hypothesis that it can score, the end symbol included; None for no limit."""
        return None

    @abstractmethod
    def begin(self, model: StepwiseModel, prepared: Prepared, width: int) -> Any:
        """The state before the first symbol, `width` rows for each source; None when it has no effect on this batch.

        Raises ConfigError when the model lacks what is needed.
        """

    def score(self, scores: StepScores, last: Int[Tensor, " R"], state: Any) -> tuple[StepScores, Any]:
        """Add to the ranking scores after `last`, which is the start symbol at first. May write into `scores.ranking`, never into
        `scores.said`; scores of minus infinity must stay so."""
        return scores, state

    def advance(self, state: Any, symbols: Int[Tensor, " R"]) -> Any:
        """The state after one more symbol of each row."""
        return state

    def finish(self, state: Any, rows: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
        """A score to add to the hypotheses in some rows when they end, after all length penalties; at most 0."""
        return torch.zeros(len(rows), device=rows.device)

    def may_end(self, state: Any) -> Bool[Tensor, " R"] | None:
        """The rows that may end before the length limit; None for all."""
        return None

    def gain(self, state: Any, steps: int) -> float:
        """An upper bound for what a row's ranking score can still gain in this many steps, the end included. 0 if all that is added is at
        most 0, such as log-probabilities."""
        return 0.0


def longest_of(scorers: Sequence[Scorer]) -> int | None:
    """The greatest number of elements that all scorers can follow."""
    return least(*(scorer.longest for scorer in scorers))


@final
@dataclass(frozen=True)
class ActiveScorers:
    """The scorers that have an effect on a batch, each with its state."""

    scorers: tuple[Scorer, ...]
    states: tuple[Any, ...]

    @staticmethod
    def begin(scorers: Sequence[Scorer], model: StepwiseModel, prepared: Prepared, width: int) -> "ActiveScorers":
        """The scorers that have an effect, before the first symbol; they are applied in this order."""
        begun = [(scorer, scorer.begin(model, prepared, width)) for scorer in scorers]
        active = [(scorer, state) for scorer, state in begun if state is not None]
        return ActiveScorers(tuple(scorer for scorer, _ in active), tuple(state for _, state in active))

    @property
    def needs_attention(self) -> bool:
        """Whether one of them needs the attention weights."""
        return any(scorer.needs_attention for scorer in self.scorers)

    def select_rows(self, index: Int[Tensor, " N"]) -> "ActiveScorers":
        """As `sequences.select_rows`."""
        return replace(self, states=tuple(select_rows(state, index) for state in self.states))

    def score(self, scores: StepScores, last: Int[Tensor, " R"]) -> tuple[StepScores, "ActiveScorers"]:
        """The ranking scores after all scorers have been applied."""
        states = []
        for scorer, state in zip(self.scorers, self.states, strict=True):
            scores, after = scorer.score(scores, last, state)
            states.append(after)
        return scores, replace(self, states=tuple(states))

    def advance(self, symbols: Int[Tensor, " R"]) -> "ActiveScorers":
        """The states after each row has output one more symbol."""
        both = zip(self.scorers, self.states, strict=True)
        return replace(self, states=tuple(scorer.advance(state, symbols) for scorer, state in both))

    def finish(self, rows: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
        """The scores of all scorers for hypotheses that end, added up."""
        both = zip(self.scorers, self.states, strict=True)
        return sum((scorer.finish(state, rows) for scorer, state in both), torch.zeros(len(rows), device=rows.device))

    def may_end(self) -> Bool[Tensor, " R"] | None:
        """The rows that may end according to all scorers; None if all may."""
        found = None
        for scorer, state in zip(self.scorers, self.states, strict=True):
            own = scorer.may_end(state)
            if own is not None:
                found = own if found is None else found & own
        return found

    def gain(self, steps: int) -> float:
        """An upper bound for what all of them together can still add in this many steps."""
        return sum((scorer.gain(state, steps) for scorer, state in zip(self.scorers, self.states, strict=True)), 0.0)

    def state_of(self, kind: type[Scorer]) -> Any:
        """The state of the scorer of this kind; None when there is none."""
        return next((state for scorer, state in zip(self.scorers, self.states, strict=True) if isinstance(scorer, kind)), None)
