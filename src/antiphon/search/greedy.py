"""Greedy search: takes the most probable symbol at each step, according to the model and the scorers (`scorer.py`)."""

import copy
from collections.abc import Sequence
from typing import Annotated, Literal, final

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import config
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.search import SearchPlugin
from antiphon.contracts.sequences import Hypothesis, Padded, Request
from antiphon.search.alignment import traced
from antiphon.search.fusion import LanguageModel, LanguageModelConfig
from antiphon.search.hot_words import HotWordsConfig, Phrases
from antiphon.search.likeliest import likeliest
from antiphon.search.limits import LimitsConfig
from antiphon.search.plain_path import follow_plainly, is_plain
from antiphon.search.preparation import prepare
from antiphon.search.processors import ProcessorsConfig
from antiphon.search.scorer import ActiveScorers, longest_of
from antiphon.search.scorers import scorers_of
from antiphon.search.single_path import follow


@config
class GreedyConfig:
    """Greedy search: fast, one hypothesis."""

    name: Literal["greedy"] = "greedy"
    """The search."""
    ctc_weight: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Weight of the CTC score in the choice (Watanabe et al. 2017); needs a model trained with CTC."""
    language_model: LanguageModelConfig | None = None
    """A language model that is used in the choice (shallow fusion, Gulcehre et al. 2015): `{run: PATH, weight: 0.3}`, or `{ngram: FILE,
    weight: 0.3}`."""
    length_reward: float = 0.0
    """A bonus for each symbol but the end, in log-probability: above 0, outputs become longer."""
    hot_words: HotWordsConfig = HotWordsConfig()
    """Phrases to prefer: `{phrases: [Antiphon, New York], weight: 1.5}`. A record may have its own in its field `hot_words`."""
    limits: LimitsConfig = LimitsConfig()
    """Limits on the length of hypotheses."""
    processors: ProcessorsConfig = ProcessorsConfig()
    """Rules about which symbol may follow."""
    alignment: bool = False
    """Whether to return the attention over the source with each hypothesis."""


@final
class GreedySearch:
    """One hypothesis per source; among equally probable symbols the first one is taken."""

    def __init__(self, settings: GreedyConfig, language_model: LanguageModel | None = None, hot_words: Phrases | None = None):
        self.settings, self._copies = settings, False
        self._scorers = scorers_of(settings, language_model, hot_words)

    def with_help(self, language_model: LanguageModel | None, hot_words: Phrases) -> "GreedySearch":
        """The same search, with the language model and hot words from its settings."""
        return GreedySearch(self.settings, language_model, hot_words)

    def with_copies(self) -> "GreedySearch":
        """The same search, which also reports which symbols the model has copied."""
        other = copy.copy(self)
        other._copies = True
        return other

    @torch.inference_mode()
    def __call__(self, model: StepwiseModel, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        """Decode a batch. Raises ConfigError or DataError when a greedy search cannot satisfy a request."""
        settings = self.settings
        prepared = prepare(
            model,
            source,
            requests,
            search="greedy",
            width=1,
            limits=settings.limits,
            processors=settings.processors,
            longest=longest_of(self._scorers),
        )
        scorers = ActiveScorers.begin(self._scorers, model, prepared, 1)
        plainly = not scorers.scorers and is_plain(prepared)
        found = follow_plainly(model, prepared) if plainly else follow(model, prepared, 1, _likeliest, scorers)
        return traced(model, prepared.encoded, found, alignment=settings.alignment, copies=self._copies)


def _likeliest(ranking: Float[Tensor, "R V"], step: int, rows: Int[Tensor, " R"]) -> Int[Tensor, " R"]:
    return likeliest(ranking)


plugin = SearchPlugin(name="greedy", summary="the most probable symbol at each step; fastest", Config=GreedyConfig, build=GreedySearch)
