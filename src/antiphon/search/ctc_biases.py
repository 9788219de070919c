"""Scores of n-gram models and hot words for prefixes in a search over frames, where a prefix does not grow at every frame."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from antiphon.errors import ConfigError
from antiphon.search.fusion import LanguageModelConfig
from antiphon.search.hot_words import HotWords, HotWordsConfig
from antiphon.search.ngram import Contexts, NGrams, Row


@runtime_checkable
class BiasedSettings(Protocol):
    """The common settings of searches over frames."""

    @property
    def beam_size(self) -> int: ...
    @property
    def n_best(self) -> int: ...
    @property
    def language_model(self) -> LanguageModelConfig | None: ...
    @property
    def hot_words(self) -> HotWordsConfig: ...


def check_settings(settings: BiasedSettings, search: str) -> None:
    """Raise ConfigError for settings that contradict each other; for `__post_init__` of a config."""
    if settings.language_model is not None and settings.language_model.run is not None:
        raise ConfigError(
            f"`language_model` of the search `{search}` must be an `ngram`, but is a `run`, which helps searches step by step."
        )
    if settings.language_model is not None and settings.beam_size == 1:
        raise ConfigError("`beam_size` must be at least 2 with a `language_model`, but is 1.")
    if settings.hot_words.phrases and settings.beam_size == 1:
        raise ConfigError("`beam_size` must be at least 2 with `hot_words`, but is 1.")
    if settings.n_best > settings.beam_size:
        raise ConfigError(f"`n_best` must be at most `beam_size` ({settings.beam_size}), but is {settings.n_best}.")


@dataclass(frozen=True)
class Biases:
    """Weighted scores by n-grams and hot words for W prefixes per source: of each prefix so far, and of each symbol that may follow."""

    ngrams: NGrams | None
    weight: float
    contexts: Contexts | None
    hot: HotWords | None
    hot_weight: float
    said: Float[Tensor, "B W"]
    following: Float[Tensor, "B W V"]

    @staticmethod
    def of(
        ngrams: NGrams | None,
        weight: float,
        contexts: Contexts | None,
        hot: HotWords | None,
        hot_weight: float,
        said: Float[Tensor, "B W"],
        symbols: int,
    ) -> "Biases":
        """The biases for prefixes with the given states of both."""
        following = said.new_zeros(said.numel(), symbols)
        if ngrams is not None and contexts is not None:
            following += ngrams.log_probs(contexts, said.device).to(said.dtype) * weight
        if hot is not None:
            hot.add_to(following, hot_weight)
        return Biases(ngrams, weight, contexts, hot, hot_weight, said, following.view(*said.shape, symbols))

    def candidates(self, choices: Int[Tensor, "B K"]) -> Float[Tensor, "B N"]:
        """The scores of prefixes that stay unchanged, followed by those of prefixes extended by one of the choices."""
        gained = self.following.gather(2, choices.unsqueeze(1).expand(-1, self.said.shape[1], -1))
        return torch.cat([self.said, (self.said.unsqueeze(2) + gained).flatten(1)], dim=1)

    def after(self, parent: Int[Tensor, "B W"], symbol: Int[Tensor, "B W"], grows: Bool[Tensor, "B W"]) -> "Biases":
        """The biases of the parents where they stay unchanged, or with one more symbol."""
        B, W = parent.shape
        gained = self.following.gather(1, parent.unsqueeze(2).expand_as(self.following)).gather(2, symbol.unsqueeze(2)).squeeze(2)
        said = self.said.gather(1, parent) + torch.where(grows, gained, 0.0)
        rows = (parent + torch.arange(0, B * W, W, device=parent.device).unsqueeze(1)).flatten()
        contexts, hot = self.contexts, self.hot
        if self.ngrams is not None and contexts is not None:
            described = zip(contexts.select_rows(rows).rows, symbol.flatten().tolist(), grows.flatten().tolist(), strict=True)
            contexts = Contexts(tuple(self.ngrams.after(row, one) if grown else row for row, one, grown in described))
        if hot is not None:
            stayed = hot.select_rows(rows)
            hot = stayed.advance(symbol.flatten()).where(grows.flatten(), stayed)
        return Biases.of(self.ngrams, self.weight, contexts, hot, self.hot_weight, said, self.following.shape[2])

    def select(self, index: Int[Tensor, "B N"]) -> "Biases":
        """The biases of N selected prefixes."""
        B, W = self.said.shape
        rows = (index + torch.arange(0, B * W, W, device=index.device).unsqueeze(1)).flatten()
        return replace(
            self,
            contexts=None if self.contexts is None else self.contexts.select_rows(rows),
            hot=None if self.hot is None else self.hot.select_rows(rows),
            said=self.said.gather(1, index),
            following=self.following.flatten(0, 1)[rows].unflatten(0, index.shape),
        )

    def grown(self, symbols: Int[Tensor, "B W"]) -> "Biases":
        """The biases of all prefixes, extended by one symbol."""
        said = self.said + self.following.gather(2, symbols.unsqueeze(2)).squeeze(2)
        contexts, hot = self.contexts, None if self.hot is None else self.hot.advance(symbols.flatten())
        if self.ngrams is not None and contexts is not None:
            both = zip(contexts.rows, symbols.flatten().tolist(), strict=True)
            contexts = Contexts(tuple(self.ngrams.after(row, symbol) for row, symbol in both))
        return Biases.of(self.ngrams, self.weight, contexts, hot, self.hot_weight, said, self.following.shape[2])

    @staticmethod
    def beside(parts: Sequence["Biases"]) -> "Biases":
        """The biases of the prefixes of all parts, concatenated for each source."""
        sources = len(parts[0].said)
        every = [part.contexts.rows for part in parts if part.contexts is not None]
        contexts = Contexts(tuple(row for source in range(sources) for rows in every for row in _of_source(rows, source, sources)))
        nodes = [part.hot.node.unflatten(0, (sources, -1)) for part in parts if part.hot is not None]
        hot = parts[0].hot
        return replace(
            parts[0],
            contexts=contexts if every else None,
            hot=None if hot is None else replace(hot, node=torch.cat(nodes, dim=1).flatten()),
            said=torch.cat([part.said for part in parts], dim=1),
            following=torch.cat([part.following for part in parts], dim=1),
        )

    def whole(self, end: int) -> Float[Tensor, "B W"]:
        """The scores of the prefixes as complete texts."""
        return self.said + self.following[..., end]


def _of_source(rows: Sequence[Row], source: int, sources: int) -> Sequence[Row]:
    width = len(rows) // sources
    return rows[source * width : (source + 1) * width]
