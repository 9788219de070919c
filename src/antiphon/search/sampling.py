"""Sampling: symbols are sampled from the model's distribution, or from a truncation of it.

Unusual here: the random numbers belong to the source. They are seeded from the seed and the source's content, one uniform number per
sample and step, turned into a symbol by inverting the cumulative distribution. So a sentence gives the same samples alone, in any batch,
in any order, and whichever other rows are still running.
"""

import copy
from collections.abc import Sequence
from typing import Annotated, Literal, final

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import config
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.search import SearchPlugin
from antiphon.contracts.sequences import Hypothesis, Padded, Request
from antiphon.heads.draws import draw_symbols
from antiphon.search.alignment import traced
from antiphon.search.fusion import LanguageModel, LanguageModelConfig
from antiphon.search.hot_words import HotWordsConfig, Phrases
from antiphon.search.limits import Limits, LimitsConfig
from antiphon.search.preparation import prepare
from antiphon.search.processors import ProcessorsConfig
from antiphon.search.randomness import source_key
from antiphon.search.scorer import ActiveScorers, longest_of
from antiphon.search.scorers import scorers_of
from antiphon.search.single_path import follow


@config
class SamplingConfig:
    """Random hypotheses; truncations apply in the order of the fields."""

    name: Literal["sampling"] = "sampling"
    """The search."""
    samples: Annotated[int, Field(ge=1)] = 1
    """Hypotheses per source; some may be equal."""
    seed: Annotated[int, Field(ge=0)] = 0
    """The seed, which together with the source's content determines all samples."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Divide the logits by this: below 1 probable symbols become more probable."""
    top_k: Annotated[int, Field(ge=1)] | None = None
    """Sample only from the k most probable symbols (Fan et al. 2018)."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Sample only from the smallest set of most probable symbols that reaches this probability (nucleus sampling, Holtzman et al. 2020)."""
    min_p: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Leave out symbols less probable than this share of the most probable one's probability (Nguyen et al. 2024)."""
    epsilon: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Leave out symbols less probable than this (Hewitt et al. 2022); 0.02 suits minimum Bayes risk (Freitag et al. 2023)."""
    ctc_weight: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Weight of the CTC score in the distribution (Watanabe et al. 2017); needs a model trained with CTC."""
    language_model: LanguageModelConfig | None = None
    """A language model that is used in the distribution (shallow fusion, Gulcehre et al. 2015): `{run: PATH, weight: 0.3}`, or `{ngram:
    FILE, weight: 0.3}`."""
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
class SamplingSearch:
    """`samples` hypotheses per source, highest score first. Scores are the model's log-probabilities plus those of scorers, untruncated and
    at temperature 1."""

    def __init__(self, settings: SamplingConfig, language_model: LanguageModel | None = None, hot_words: Phrases | None = None):
        self.settings, self._copies = settings, False
        self._scorers = scorers_of(settings, language_model, hot_words)

    def with_help(self, language_model: LanguageModel | None, hot_words: Phrases) -> "SamplingSearch":
        """The same search, with the language model and hot words from its settings."""
        return SamplingSearch(self.settings, language_model, hot_words)

    def with_copies(self) -> "SamplingSearch":
        """The same search, which also reports which symbols the model has copied."""
        other = copy.copy(self)
        other._copies = True
        return other

    @torch.inference_mode()
    def __call__(self, model: StepwiseModel, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        """Decode a batch. Raises ConfigError or DataError when sampling cannot satisfy a request."""
        settings = self.settings
        prepared = prepare(
            model,
            source,
            requests,
            search="sampling",
            width=settings.samples,
            limits=settings.limits,
            processors=settings.processors,
            longest=longest_of(self._scorers),
        )
        scorers = ActiveScorers.begin(self._scorers, model, prepared, settings.samples)
        uniforms = _uniforms(source, prepared.limits, settings.seed, settings.samples).to(prepared.device)

        def choose(ranking: Float[Tensor, "R V"], step: int, rows: Int[Tensor, " R"]) -> Int[Tensor, " R"]:
            return draw(ranking, uniforms[rows, step], settings)

        drawn = follow(model, prepared, settings.samples, choose, scorers)
        found = [sorted(own, key=lambda item: -item.score) for own in drawn]
        return traced(model, prepared.encoded, found, alignment=settings.alignment, copies=self._copies)


def draw(logits: Float[Tensor, "R V"], uniforms: Float[Tensor, " R"], settings: SamplingConfig) -> Int[Tensor, " R"]:
    """Turn one uniform number from [0, 1) per row into a symbol of the truncated distribution."""
    probabilities, order = (logits / settings.temperature).softmax(-1), None
    if settings.top_k is not None:
        probabilities, order = probabilities.topk(min(settings.top_k, logits.shape[1]), dim=-1)
        probabilities = probabilities / probabilities.sum(-1, keepdim=True)
    elif settings.top_p < 1:
        probabilities, order = _likeliest(probabilities, settings.top_p)
    probabilities = _truncated(probabilities, settings)
    symbols = draw_symbols(probabilities, uniforms)
    return symbols if order is None else order.gather(1, symbols.unsqueeze(1)).squeeze(1)


_FEW = 512


def _likeliest(probabilities: Float[Tensor, "R V"], enough: float) -> tuple[Float[Tensor, "R K"], Int[Tensor, "R K"]]:
    """The most probable symbols of each row, sorted, enough to reach the sum `enough`: a few in most cases, all when a row needs more.

    Measured on CPU, 160 rows of 8,000 symbols: sorting all takes 72 ms, finding a few 1 ms.
    """
    if probabilities.shape[1] > _FEW:
        few = probabilities.topk(_FEW, dim=-1)
        if (few.values.sum(-1) > enough).all():
            return few.values, few.indices
    everything = probabilities.sort(dim=-1, descending=True, stable=True)
    return everything.values, everything.indices


def _truncated(probabilities: Float[Tensor, "R K"], settings: SamplingConfig) -> Float[Tensor, "R K"]:
    """Set what is left out to zero, except for the most probable symbol. With `top_p` the columns must be sorted in descending order."""
    if settings.top_p < 1:
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.masked_fill(before >= settings.top_p, 0)
    if settings.min_p > 0 or settings.epsilon > 0:
        likeliest = probabilities.amax(-1, keepdim=True)
        least = torch.minimum((settings.min_p * likeliest).clamp(min=settings.epsilon), likeliest)
        probabilities = probabilities.masked_fill(probabilities < least, 0)
    return probabilities


def _uniforms(source: Padded, limits: Limits, seed: int, samples: int) -> Float[Tensor, "R T"]:
    """A uniform number for each row and step, from a generator of its own for each source."""
    table = np.zeros((len(limits.maximum), samples, limits.steps), dtype=np.float32)
    values, lengths = source.values.cpu().numpy(), source.lengths.tolist()
    for row, length in enumerate(lengths):
        generator = np.random.Generator(np.random.Philox(key=source_key(seed, values[row, :length])))
        # Step by step, so that more steps for a longer neighbour shift no draw.
        table[row] = generator.random((limits.steps, samples), dtype=np.float32).T
    return torch.from_numpy(table.reshape(-1, limits.steps))


plugin = SearchPlugin(
    name="sampling", summary="random hypotheses; temperature, top-k, top-p, min-p, epsilon", Config=SamplingConfig, build=SamplingSearch
)
