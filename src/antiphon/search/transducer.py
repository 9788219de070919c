"""Search for transducers: the most probable path (greedy), or the best sequences over their alignments (beam search).

Scores are log-probabilities: of the path that was taken, or of all ways to a sequence that the beam has kept, of which there are more.
The step score of a symbol is what the score loses by it and by the blanks before it, the last that of the blanks behind all symbols.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal, final

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import config
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.search import SearchPlugin
from antiphon.contracts.sequences import Hypothesis, Padded, Request
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError
from antiphon.search.ctc_biases import Biases, check_settings
from antiphon.search.fusion import LanguageModel, LanguageModelConfig
from antiphon.search.hot_words import HotWordsConfig, HotWordsScorer, Phrases
from antiphon.search.hypotheses import hypothesis
from antiphon.search.ngram import NGrams
from antiphon.search.transducer_beam import TransducerBeam
from antiphon.search.transducer_path import MAX_SYMBOLS, LikeliestPath, Said, parts_of


@config
class TransducerSearchConfig:
    """Search in the outputs of a transducer."""

    name: Literal["transducer"] = "transducer"
    """The search."""
    beam_size: Annotated[int, Field(ge=1)] = 1
    """Sequences kept at each state; 1 takes the most probable symbol at once."""
    n_best: Annotated[int, Field(ge=1)] = 1
    """Hypotheses returned per source; at most `beam_size`."""
    max_symbols: Annotated[int, Field(ge=1)] = MAX_SYMBOLS
    """Symbols that may be output at one state of the encoder."""
    language_model: LanguageModelConfig | None = None
    """N-grams that are used in the ranking (shallow fusion): `{ngram: FILE, weight: 0.3}`; needs a beam."""
    hot_words: HotWordsConfig = HotWordsConfig()
    """Phrases to prefer: `{phrases: [Antiphon, New York], weight: 1.5}`; needs a beam. A record may have its own in a field `hot_words`."""
    spans: bool = False
    """Whether to return the state at which each symbol is output (word timestamps)."""

    def __post_init__(self) -> None:
        check_settings(self, "transducer")


@final
class TransducerSearch:
    """`n_best` different hypotheses per source, most probable first."""

    def __init__(self, settings: TransducerSearchConfig, ngrams: NGrams | None = None, hot_words: Phrases | None = None):
        self.settings, self._ngrams = settings, ngrams
        self._hot_words = HotWordsScorer(settings.hot_words, hot_words)

    def with_help(self, language_model: LanguageModel | None, hot_words: Phrases) -> "TransducerSearch":
        """The same search, with the language model and hot words from its settings."""
        assert language_model is None or isinstance(language_model, NGrams), "the settings name n-grams"
        return TransducerSearch(self.settings, language_model, hot_words)

    @torch.inference_mode()
    def __call__(self, model: Seq2SeqModel, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        """Decode a batch. Raises ConfigError when the model is not a transducer, or a request needs a stepwise search."""
        settings, parts = self.settings, parts_of(model, "The search `transducer`")
        asked = requests if requests is not None else (Request(),) * len(source.lengths)
        self._check(asked)
        memory = model.encode(source)
        heard, frames = parts.model.heard(memory), memory.mask.sum(1)
        if settings.beam_size == 1:
            path = LikeliestPath(parts, len(frames), settings.max_symbols)
            path.extend(heard, frames)
            found = [[_of_path(said)] for said in path.rows]
        else:
            biases = self._biases(asked, parts.target, heard)
            beam = TransducerBeam(parts, len(frames), settings.beam_size, settings.max_symbols, biases)
            beam.extend(heard, frames)
            found = beam.hypotheses(settings.n_best)
        return found if settings.spans else [[replace(item, spans=None) for item in own] for own in found]

    def _check(self, requests: Sequence[Request]) -> None:
        """Raise ConfigError for requests that need another search, a beam, or a `with_help` that is missing."""
        if self.settings.language_model is not None and self._ngrams is None:
            raise ConfigError("`search.language_model` needs `with_help` before the search is used.")
        if any(request.prefix or request.required or request.banned for request in requests):
            raise ConfigError(
                "A forced opening, required or banned phrases need a model with a decoder and `search: beam`, but this is a transducer."
                " `search.hot_words` prefer phrases."
            )
        if self.settings.beam_size == 1 and any(request.hot for request in requests):
            raise ConfigError("`search.beam_size` must be at least 2 where records have `hot_words`, but is 1.")

    def _biases(self, requests: Sequence[Request], target: TokenSpec, heard: Float[Tensor, "B S J"]) -> Biases | None:
        """The scores beside the model, before the first symbol; None when there are none."""
        hot, contexts = self._hot_words.begun(requests, 1, heard.device), None
        if self._ngrams is None and hot is None:
            return None
        if self._ngrams is not None:
            starts = torch.full((len(heard),), target.start, device=heard.device)
            _, contexts = self._ngrams.step(starts, self._ngrams.begin(len(heard), 0, heard.device))
        weight = 0.0 if self.settings.language_model is None else self.settings.language_model.weight
        nothing = heard.new_zeros(len(heard), 1, dtype=torch.promote_types(heard.dtype, torch.float32))
        return Biases.of(self._ngrams, weight, contexts, hot, self.settings.hot_words.weight, nothing, target.size)


def _of_path(said: Said) -> Hypothesis:
    """A path as a hypothesis with spans."""
    states = np.array(said.states, dtype=np.int64)
    scores = np.array([*said.scores, said.waiting])
    made = hypothesis(np.array(said.symbols, dtype=np.int64), scores, None, "end")
    return replace(made, spans=np.stack([states, states + 1], axis=1))


plugin = SearchPlugin(
    name="transducer",
    summary="transducers: the most probable path, or beam search over states; when each symbol is spoken",
    Config=TransducerSearchConfig,
    build=TransducerSearch,
    stepwise=False,
)
