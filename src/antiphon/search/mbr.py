"""Minimum Bayes risk: of several candidates the one most similar to all others, by a utility (Eikema & Aziz 2020).

The candidates come from another search and stand for the model's distribution, so the expected utility of one is its mean utility
against all. Equal candidates are compared once and counted as often as they were drawn.

A utility compares sequences. The one built in compares symbols; `with_utility` takes any other, and `text_utility` makes one of a metric's
two functions, so that a recipe can decode with chrF or BLEU while the search still knows no text.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, final

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field

from antiphon.contracts import registry
from antiphon.contracts.configuration import config, plugin_field, plugin_name
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.search import Search, SearchPlugin
from antiphon.contracts.sequences import Hypothesis, Padded, Request
from antiphon.errors import ConfigError
from antiphon.search.alignment import traced
from antiphon.search.sampling import SamplingConfig

Utility = Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], Float[np.ndarray, "N M"]]
"""(N candidates, M references), each (T,) symbols -> how good each candidate is if each reference is right; higher is better."""


@config
class MinimumBayesRiskConfig:
    """Choose the candidate most similar to all others."""

    name: Literal["mbr"] = "mbr"
    """The search."""
    candidates: plugin_field("search") = SamplingConfig(samples=32, epsilon=0.02)  # type: ignore[valid-type]
    """The search that finds the candidates, with its own limits and processors; beam search needs `n_best`."""
    metric: plugin_name("metrics") | None = None  # type: ignore[valid-type]
    """The metric to use as utility, such as `chrf`; symbols are compared when not given."""
    n_best: Annotated[int, Field(ge=1)] = 1
    """Hypotheses given per source; fewer when there are fewer different candidates."""
    alignment: bool = False
    """Whether to give the attention over the source with each hypothesis."""

    def __post_init__(self) -> None:
        if self.candidates.name in ("mbr", "greedy"):
            raise ConfigError(f"`candidates` must be a search with several hypotheses per source, but is `{self.candidates.name}`.")


@final
class MinimumBayesRiskSearch:
    """The candidates with the highest expected utility, which is their score.

    `log_prob` stays the model's own.
    """

    def __init__(self, settings: MinimumBayesRiskConfig, utility: Utility | None = None, candidates: Search | None = None):
        self.settings = settings
        self._utility = utility
        self._candidates: Search = candidates or registry.find("search", settings.candidates.name).build(settings.candidates)

    def with_utility(self, utility: Utility) -> "MinimumBayesRiskSearch":
        """The same search with another utility."""
        return MinimumBayesRiskSearch(self.settings, utility, self._candidates)

    def with_candidates(self, candidates: Search) -> "MinimumBayesRiskSearch":
        """The same search with the search that its settings name, made ready by the caller (language model, hot words)."""
        return MinimumBayesRiskSearch(self.settings, self._utility, candidates)

    @torch.inference_mode()
    def __call__(self, model: StepwiseModel, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        """Decode a batch. Raises ConfigError when a metric was asked for but no utility given, and what the candidates' search raises."""
        utility = self._utility
        if utility is None:
            if self.settings.metric is not None:
                raise ConfigError(f"`search.metric` is `{self.settings.metric}`, so the search needs `with_utility` before it is used.")
            utility = symbol_utility
        found = [choose(own, utility)[: self.settings.n_best] for own in self._candidates(model, source, requests)]
        return traced(model, model.encode(source), found, alignment=self.settings.alignment)


def choose(candidates: Sequence[Hypothesis], utility: Utility) -> list[Hypothesis]:
    """Different candidates by falling expected utility; of equally useful ones the likelier comes first."""
    counts = Counter(item.elements.tobytes() for item in candidates)
    unique = list({item.elements.tobytes(): item for item in reversed(candidates)}.values())  # of equals the first, the best, is kept
    weights = np.array([counts[item.elements.tobytes()] for item in unique], dtype=np.float64)
    sequences = [item.elements for item in unique]
    matrix = np.asarray(utility(sequences, sequences), dtype=np.float64)
    assert matrix.shape == (len(unique), len(unique)), f"a utility of {len(unique)} sequences must be square, but is {matrix.shape}"
    expected = matrix @ (weights / weights.sum())
    rated = [replace(item, score=float(value)) for item, value in zip(unique, expected, strict=True)]
    return sorted(rated, key=lambda item: (-item.score, -item.log_prob))


def symbol_utility(candidates: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> Float[np.ndarray, "N M"]:
    """The mean over n = 1 to 4 of the F1 score of the symbol n-grams; 1 for equal sequences, 0 for nothing in common.

    An n for which neither sequence is long enough does not enter the mean.
    """
    own, other = [_ngrams(item) for item in candidates], [_ngrams(item) for item in references]
    return np.array([[_f1(left, right) for right in other] for left in own])


def _ngrams(symbols: np.ndarray) -> list[Counter[tuple[int, ...]]]:
    listed = symbols.tolist()
    return [Counter(zip(*(listed[first:] for first in range(n)), strict=False)) for n in range(1, 5)]


def _f1(left: list[Counter[tuple[int, ...]]], right: list[Counter[tuple[int, ...]]]) -> float:
    scores = [2 * (one & two).total() / (one.total() + two.total()) for one, two in zip(left, right, strict=True) if one or two]
    return sum(scores) / len(scores) if scores else 1.0  # two empty sequences are equal


def text_utility(
    statistics: Callable[[Sequence[Any], Sequence[Sequence[Any]]], Float[np.ndarray, "N K"]],
    aggregate: Callable[[Float[np.ndarray, "... K"]], Float[np.ndarray, "..."]],
    decode: Callable[[np.ndarray], Any],
    *,
    higher_is_better: bool = True,
) -> Utility:
    """A utility from a metric: `text_utility(metric.statistics, metric.aggregate, feature.decode)`.

    Each pair of candidate and reference is scored like a corpus of one; `decode` turns symbols into what the metric compares.
    """
    sign = 1 if higher_is_better else -1

    def utility(candidates: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> Float[np.ndarray, "N M"]:
        texts, others = [decode(item) for item in candidates], [decode(item) for item in references]
        pairs = statistics([text for text in texts for _ in others], [[other] for _ in texts for other in others])
        return sign * np.asarray(aggregate(pairs), dtype=np.float64).reshape(len(texts), len(others))

    return utility


plugin = SearchPlugin(
    name="mbr",
    summary="of many candidates the one most similar to all others",
    Config=MinimumBayesRiskConfig,
    build=MinimumBayesRiskSearch,
)
