"""Shallow fusion: the weighted log-probabilities of a language model are added to the scores of a search (Gulcehre et al. 2015).

Unusual here: a language model is a pair of functions on a state with a row per hypothesis, and its state is reordered with the beam by
`select_rows` like any other. So one of our own runs and an n-gram model from a file look alike to a search (`search/ngram.py`).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, final

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import Verdict, config, verdict
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Memory, Padded
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError
from antiphon.search.preparation import Prepared
from antiphon.search.processors import StepScores
from antiphon.search.scorer import Scorer


@config
class LanguageModelConfig:
    """A language model that helps a search: a `run` of ours, or an `ngram` file."""

    run: Path | None = None
    """A run of `task: {name: language_modeling}` with the same vocabulary."""
    ngram: Path | None = None
    """An n-gram model in the ARPA format (plain or .gz), as KenLM's lmplz and SRILM write them."""
    weight: Annotated[float, Field(gt=0)] = 0.3
    """The factor of its log-probability before it is added to the model's."""
    level: Literal["symbols", "words"] | None = None
    """For `ngram`: what an entry stands for. Left out: `words` if the vocabulary consists of subwords, otherwise `symbols`."""
    trust: Verdict = verdict()
    """Whether code from outside that the run names may be imported; no setting."""

    def __post_init__(self) -> None:
        if (self.run is None) == (self.ngram is None):
            raise ConfigError("`language_model` must have either a `run` or an `ngram`, and not both.")
        if self.level is not None and self.ngram is None:
            raise ConfigError(f"`level` has an effect only with an `ngram`, but is {self.level}.")


class LanguageModel(ABC):
    """Gives log-probabilities of the next symbol, given the symbols so far."""

    @property
    def longest(self) -> int | None:
        """The greatest number of symbols that it can score in a row; None for no limit."""
        return None

    @abstractmethod
    def begin(self, rows: int, steps: int, device: torch.device) -> Any:
        """The state before the first symbol, for R rows and at most `steps` steps; `select_rows` reorders it."""

    @abstractmethod
    def step(self, last: Int[Tensor, " R"], state: Any) -> tuple[Float[Tensor, "R V"], Any]:
        """Log-probabilities after `last`, which is the start symbol at first. The given state may be overwritten."""


@dataclass(frozen=True)
class _NeuralState:
    """The decoder's state, with a row per hypothesis in the memory as well, which is almost empty."""

    memory: Memory
    state: Any


@final
class NeuralLanguageModel(LanguageModel):
    """A model of ours whose sources are all the same: just the one symbol besides the special ones."""

    def __init__(self, model: StepwiseModel):
        assert isinstance(model.source, TokenSpec), "a language model has a source of symbols that say nothing"
        self.model, self.nothing = model.eval(), model.source.size - 1

    @property
    def longest(self) -> int | None:
        """The longest target of the model."""
        return self.model.longest_target

    def begin(self, rows: int, steps: int, device: torch.device) -> _NeuralState:
        """The state of the model, with a source for each row."""
        model = self.model.to(device)
        source = Padded(torch.full((rows, 1), self.nothing, device=device), torch.ones(rows, dtype=torch.int64, device=device))
        memory = model.project(model.encode(source))
        return _NeuralState(memory, model.init_state(memory, 1, steps))

    def step(self, last: Int[Tensor, " R"], state: _NeuralState) -> tuple[Float[Tensor, "R V"], _NeuralState]:
        """One step of the model."""
        output, after = self.model.step(last, state.memory, state.state)
        return output.values.float().log_softmax(-1), _NeuralState(state.memory, after)


@final
class LanguageModelScorer(Scorer):
    """Adds the log-probabilities of a language model to the ranking, times `weight`.

    Open words, which no language model knows, count as the unknown symbol.
    """

    def __init__(self, model: LanguageModel | None, weight: float):
        self.model, self.weight = model, weight

    @property
    def longest(self) -> int | None:
        """The limit of the language model."""
        return None if self.model is None else self.model.longest

    def begin(self, model: StepwiseModel, prepared: Prepared, width: int) -> "_Fused":
        """The language model's state. Raises ConfigError when the language model is not opened yet."""
        if self.model is None:
            raise ConfigError("`search.language_model` needs `with_help` before the search is used.")
        state = self.model.begin(prepared.sources * width, prepared.limits.steps, prepared.device)
        return _Fused(state, prepared.spec.unknown)

    def score(self, scores: StepScores, last: Int[Tensor, " R"], state: "_Fused") -> tuple[StepScores, "_Fused"]:
        """One step of the language model."""
        assert self.model is not None, "checked when it began"
        log_probs, after = self.model.step(last, state.inner)
        missing = scores.ranking.shape[1] - log_probs.shape[1]
        if missing > 0:
            log_probs = torch.cat([log_probs, log_probs[:, state.unknown : state.unknown + 1].expand(-1, missing)], dim=1)
        scores.ranking.add_(log_probs.to(scores.ranking.dtype), alpha=self.weight)
        return scores, replace(state, inner=after)


@dataclass(frozen=True)
class _Fused:
    inner: Any
    unknown: int


def check_same_symbols(helper: TokenSpec, helped: TokenSpec, place: str) -> None:
    """Raise ConfigError unless a language model has the same symbols as the model that it is used with."""
    if replace(helper, open_words=0) != replace(helped, open_words=0):
        raise ConfigError(
            f"`search.language_model.run` must have the vocabulary of the model that it helps, but {place} has another one. Train it with"
            " `task.vocabulary: {run: PATH}` of that model."
        )
