"""The scorers that the settings of a search name, in the order in which they are applied.

What frames say comes first, since it takes a share of what the decoder says; the others are added.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from antiphon.search.fusion import LanguageModel, LanguageModelConfig, LanguageModelScorer
from antiphon.search.hot_words import HotWordsConfig, HotWordsScorer, Phrases
from antiphon.search.joint import CTCPrefixScorer
from antiphon.search.length_reward import LengthReward
from antiphon.search.scorer import Scorer


@runtime_checkable
class NamesScorers(Protocol):
    """Settings of a stepwise search that name scorers."""

    @property
    def ctc_weight(self) -> float: ...

    @property
    def language_model(self) -> LanguageModelConfig | None: ...

    @property
    def length_reward(self) -> float: ...

    @property
    def hot_words(self) -> HotWordsConfig: ...


@runtime_checkable
class TakesHelp(Protocol):
    """A search whose settings name things that only its caller can open, or turn into symbols."""

    settings: Any

    def with_help(self, language_model: LanguageModel | None, hot_words: Phrases) -> Any:
        """The same search with the opened language model, and the phrases of `hot_words` as symbols."""
        ...


def scorers_of(settings: NamesScorers, language_model: LanguageModel | None, hot_words: Phrases | None) -> Sequence[Scorer]:
    """The scorers, made with the arguments of `TakesHelp.with_help`."""
    scorers: list[Scorer] = []
    if settings.ctc_weight > 0:
        scorers.append(CTCPrefixScorer(settings.ctc_weight))
    if settings.language_model is not None:
        scorers.append(LanguageModelScorer(language_model, settings.language_model.weight))
    if settings.length_reward != 0:
        scorers.append(LengthReward(settings.length_reward))
    return (*scorers, HotWordsScorer(settings.hot_words, hot_words))
