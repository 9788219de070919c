"""Minimum Bayes risk decoding: chooses the candidate most similar to all others, according to a utility (Eikema & Aziz 2020).

The candidates come from another search and stand for the model's distribution, so the expected utility of one is its mean utility
against all. Equal candidates are compared once and counted as often as they were drawn.

A utility compares sequences. The one built in compares symbols; `with_utility` takes any other, and `text_utility` makes one of a metric's
two functions, so that a recipe can decode with chrF or BLEU while the search still knows no text.
"""

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, final

import numpy as np
import torch
from jaxtyping import Float, Int
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
    """Minimum Bayes risk decoding: chooses the candidate most similar to all others."""

    name: Literal["mbr"] = "mbr"
    """The search."""
    candidates: plugin_field("search") = SamplingConfig(samples=32, epsilon=0.02)  # type: ignore[valid-type]
    """The search that finds the candidates, with its own limits and processors; beam search needs `n_best`."""
    metric: plugin_name("metrics") | None = None  # type: ignore[valid-type]
    """The metric to use as utility, such as `chrf`; symbols are compared when not given."""
    n_best: Annotated[int, Field(ge=1)] = 1
    """Hypotheses returned per source; fewer when there are fewer different candidates."""
    alignment: bool = False
    """Whether to return the attention over the source with each hypothesis."""

    def __post_init__(self) -> None:
        if self.candidates.name in ("mbr", "greedy"):
            raise ConfigError(f"`candidates` must be a search with several hypotheses per source, but is `{self.candidates.name}`.")


@final
class MinimumBayesRiskSearch:
    """The candidates with the highest expected utility, which becomes their score.

    `log_prob` stays the model's own.
    """

    def __init__(self, settings: MinimumBayesRiskConfig, utility: Utility | None = None):
        self.settings, self._copies = settings, False
        self._utility = utility
        self._candidates: Search = registry.find("search", settings.candidates.name).build(candidate_settings(settings))

    def with_utility(self, utility: Utility) -> "MinimumBayesRiskSearch":
        """The same search with another utility function."""
        other = copy.copy(self)
        other._utility = utility
        return other

    def with_candidates(self, candidates: Search) -> "MinimumBayesRiskSearch":
        """The same search with a search for candidates that the caller has prepared (language model, hot words)."""
        other = copy.copy(self)
        other._candidates = candidates
        return other

    def with_copies(self) -> "MinimumBayesRiskSearch":
        """The same search, which also reports which symbols the model has copied."""
        other = copy.copy(self)
        other._copies = True
        return other

    @torch.inference_mode()
    def __call__(self, model: StepwiseModel, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        """Decode a batch. Raises ConfigError when a metric is set but no utility was given, and the errors of the candidates' search."""
        utility = self._utility
        if utility is None:
            if self.settings.metric is not None:
                raise ConfigError(f"`search.metric` is `{self.settings.metric}`, so the search needs `with_utility` before it is used.")
            utility = symbol_utility
        found = [choose(own, utility)[: self.settings.n_best] for own in self._candidates(model, source, requests)]
        alignment = self.settings.alignment or getattr(self.settings.candidates, "alignment", False)
        if not alignment and not (self._copies and model.copies):
            return found
        return traced(model, model.encode(source), found, alignment=alignment, copies=self._copies)


def candidate_settings(settings: MinimumBayesRiskConfig) -> Any:
    """The settings of the search for candidates, without alignment: most candidates are thrown away, and only the chosen ones are
    aligned."""
    inner = settings.candidates
    return replace(inner, alignment=False) if getattr(inner, "alignment", False) else inner


def choose(candidates: Sequence[Hypothesis], utility: Utility) -> list[Hypothesis]:
    """Different candidates in descending order of expected utility; among equals the more probable one comes first."""
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
    sequences = [*candidates, *references]
    lengths = np.array([len(item) for item in sequences])
    owners, symbols = np.repeat(np.arange(len(sequences)), lengths), np.concatenate([*sequences, np.zeros(0, dtype=np.int64)])
    places = np.arange(len(symbols)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    known = names = np.unique(symbols, return_inverse=True)[1].astype(np.int64)
    rows = len(candidates)
    total, counted = np.zeros((rows, len(references))), np.zeros((rows, len(references)))
    for n in range(1, 5):
        if n > 1:  # an n-gram is the one before with one more symbol; what does not fit into its sequence is left out
            count = max(len(symbols) - n + 1, 0)
            fits = places[:count] <= np.repeat(lengths - n, lengths)[:count]
            names = np.where(fits, names[:count] * len(symbols) + known[n - 1 :][:count], -1)
            names = np.unique(names, return_inverse=True)[1] - int((~fits).any())
        shared = _shared(owners[: len(names)], names, len(sequences), rows)
        sizes = np.maximum(lengths - n + 1, 0)
        both = sizes[:rows, None] + sizes[None, rows:]
        total += np.where(both > 0, 2 * shared / np.maximum(both, 1), 0.0)
        counted += both > 0
    return np.where(counted > 0, total / np.maximum(counted, 1), 1.0)  # two empty sequences are equal


_COLUMNS = 4096  # n-grams that are compared at once


def _shared(owners: Int[np.ndarray, " N"], names: Int[np.ndarray, " N"], sequences: int, rows: int) -> Float[np.ndarray, "A B"]:
    """The number of n-grams that each of the first `rows` sequences shares with each of the others, as multisets; those numbered -1 do not
    count.

    The second time that a sequence has an n-gram is a column of its own, so that the smaller of two counts is a product of zeros and ones.
    """
    order = np.lexsort((names, owners))
    owners, names = owners[order], names[order]
    new = np.append(True, (owners[1:] != owners[:-1]) | (names[1:] != names[:-1]))[: len(names)]
    place = np.arange(len(names))
    times = place - np.maximum.accumulate(np.where(new, place, 0))
    real = names >= 0
    owners, keys = owners[real], names[real] * (len(place) + 1) + times[real]
    columns = np.unique(keys, return_inverse=True)[1]
    shared = np.zeros((rows, sequences - rows))
    for first in range(0, int(columns.max(initial=-1)) + 1, _COLUMNS):
        inside = (columns >= first) & (columns < first + _COLUMNS)
        table = np.zeros((sequences, _COLUMNS), dtype=np.float32)
        table[owners[inside], columns[inside] - first] = 1
        shared += table[:rows] @ table[rows:].T
    return shared


def text_utility(
    statistics: Callable[[Sequence[Any], Sequence[Sequence[Any]]], Float[np.ndarray, "N K"]],
    aggregate: Callable[[Float[np.ndarray, "... K"]], Float[np.ndarray, "..."]],
    decode: Callable[[np.ndarray], Any],
    *,
    higher_is_better: bool = True,
) -> Utility:
    """A utility function from a metric: `text_utility(metric.statistics, metric.aggregate, feature.decode)`.

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
    summary="the candidate that is most similar to all others (minimum Bayes risk)",
    Config=MinimumBayesRiskConfig,
    build=MinimumBayesRiskSearch,
)
