"""CTC without a decoder: the best path (greedy), or the best sequences over all their alignments (prefix beam search, Hannun et al. 2014).

Unusual here: prefix beam search is vectorized over the batch. Two ways to one prefix meet by comparing prefixes as rows of a tensor, so no
table of strings is kept. A hypothesis's score is exact: the log-probability of the sequence over all alignments, not only of those that the
beam kept; what n-grams and hot words say is added, with their weights. Its steps are those of the chain rule: each symbol given those
before it, and the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, final

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import config
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.search import SearchPlugin
from antiphon.contracts.sequences import Hypothesis, Padded, Request
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError
from antiphon.search.ctc_alignment import with_spans
from antiphon.search.ctc_biases import Biases
from antiphon.search.ctc_prefix import FrameScores, chain, frame_scores
from antiphon.search.fusion import LanguageModel, LanguageModelConfig
from antiphon.search.hot_words import HotWordsConfig, HotWordsScorer, Phrases
from antiphon.search.hypotheses import hypothesis
from antiphon.search.joint import frames_of
from antiphon.search.ngram import NGrams
from antiphon.search.preparation import token_target


@config
class CTCSearchConfig:
    """What an encoder's frames say: fast, without a decoder."""

    name: Literal["ctc"] = "ctc"
    """The search."""
    beam_size: Annotated[int, Field(ge=1)] = 1
    """Prefixes kept at each frame; 1 takes the likeliest symbol of each frame."""
    n_best: Annotated[int, Field(ge=1)] = 1
    """Hypotheses given per source; at most `beam_size`."""
    language_model: LanguageModelConfig | None = None
    """N-grams that have a say in the ranking of prefixes: `{ngram: FILE, weight: 0.5}`; needs a beam."""
    hot_words: HotWordsConfig = HotWordsConfig()
    """Phrases to prefer: `{phrases: [Antiphon, New York], weight: 1.5}`; needs a beam. A record may have its own in a field `hot_words`."""
    spans: bool = False
    """Whether to give the frames that say each symbol (word timestamps)."""

    def __post_init__(self) -> None:
        if self.language_model is not None and self.language_model.run is not None:
            raise ConfigError("`language_model` of the search `ctc` must be an `ngram`, but is a `run`, which helps `search: beam`.")
        if self.language_model is not None and self.beam_size == 1:
            raise ConfigError("`beam_size` must be at least 2 with a `language_model`, but is 1.")
        if self.hot_words.phrases and self.beam_size == 1:
            raise ConfigError("`beam_size` must be at least 2 with `hot_words`, but is 1.")
        if self.n_best > self.beam_size:
            raise ConfigError(f"`n_best` must be at most `beam_size` ({self.beam_size}), but is {self.n_best}.")


@final
class CTCSearch:
    """`n_best` different hypotheses per source, the likeliest first."""

    def __init__(self, settings: CTCSearchConfig, ngrams: NGrams | None = None, hot_words: Phrases | None = None):
        self.settings, self._ngrams = settings, ngrams
        self._hot_words = HotWordsScorer(settings.hot_words, hot_words)

    def with_help(self, language_model: LanguageModel | None, hot_words: Phrases) -> "CTCSearch":
        """The same search with what its settings name."""
        assert language_model is None or isinstance(language_model, NGrams), "the settings name n-grams"
        return CTCSearch(self.settings, language_model, hot_words)

    @torch.inference_mode()
    def __call__(self, model: Seq2SeqModel, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        """Decode a batch. Raises ConfigError when the model says nothing of frames, or a request needs a search step by step."""
        spec, settings = token_target(model, "The search `ctc`"), self.settings
        asked = requests if requests is not None else (Request(),) * len(source.lengths)
        self._check(asked)
        frames = frames_of(model, model.encode(source), "The search `ctc`")
        scores = frame_scores(frames, spec.pad)
        choice = scores.possible.index_fill(2, torch.tensor([spec.start, spec.end], device=frames.mask.device), -float("inf"))
        biases = self._biases(asked, spec, choice)
        if settings.beam_size == 1:
            symbols, lengths = best_path(choice, spec.pad)
        else:
            symbols, lengths, biases = prefix_beam(choice, spec.pad, settings.beam_size, biases)
        found = _hypotheses(scores, symbols, lengths, settings.n_best, None if biases is None else biases.whole(spec.end))
        return with_spans(frames, spec.pad, found) if settings.spans else found

    def _check(self, requests: Sequence[Request]) -> None:
        """Raise ConfigError for what needs another search, or a beam."""
        if any(request.prefix or request.required or request.banned for request in requests):
            raise ConfigError("A forced opening, required or banned phrases need `search: {name: beam}`, but the search is `ctc`.")
        if self.settings.beam_size == 1 and any(request.hot for request in requests):
            raise ConfigError("`search.beam_size` must be at least 2 where records have `hot_words`, but is 1.")

    def _biases(self, requests: Sequence[Request], spec: TokenSpec, choice: Float[Tensor, "B S V"]) -> Biases | None:
        """What has a say beside the frames, before the first; None when nothing has."""
        width, weight, device = self.settings.beam_size, 0.0, choice.device
        if self.settings.language_model is not None:
            weight = self.settings.language_model.weight
            if self._ngrams is None:
                raise ConfigError("`search.language_model` needs `with_help` before the search is used.")
        hot = self._hot_words.begun(requests, width, device)
        if self._ngrams is None and hot is None:
            return None
        contexts = None
        if self._ngrams is not None:
            rows = len(choice) * width
            _, contexts = self._ngrams.step(torch.full((rows,), spec.start, device=device), self._ngrams.begin(rows, 0, device))
        nothing = choice.new_zeros(len(choice), width)
        return Biases.of(self._ngrams, weight, contexts, hot, self.settings.hot_words.weight, nothing, choice.shape[2])


def best_path(log_probs: Float[Tensor, "B S V"], blank: int) -> tuple[Int[Tensor, "B 1 S"], Int[Tensor, "B 1"]]:
    """The likeliest symbol of each frame, without repetitions and blanks: symbols and how many they are."""
    path = log_probs.argmax(-1)
    said = path != blank
    said[:, 1:] &= path[:, 1:] != path[:, :-1]
    order = (~said).to(torch.int8).argsort(dim=1, stable=True)
    return path.gather(1, order).unsqueeze(1), said.sum(1, keepdim=True)


@dataclass(frozen=True)
class _Beam:
    """W prefixes per source, with the log-probability of their alignments so far that end in blank, or in the last symbol."""

    symbols: Int[Tensor, "B W S"]
    lengths: Int[Tensor, "B W"]  # negative where there is none
    last: Int[Tensor, "B W"]
    blank_ending: Float[Tensor, "B W"]
    symbol_ending: Float[Tensor, "B W"]

    def children(self) -> Tensor:
        """(B, W, W): whether the second prefix is the first with one more symbol."""
        longest = max(int(self.lengths.max()), 1)
        place = torch.arange(longest, device=self.lengths.device)
        shown = self.symbols[..., :longest]
        own = shown.masked_fill(place >= self.lengths.unsqueeze(2), -1)
        parents = shown.masked_fill(place >= self.lengths.unsqueeze(2) - 1, -1)
        same = (own.unsqueeze(2) == parents.unsqueeze(1)).all(3)
        return same & (self.lengths.unsqueeze(2) + 1 == self.lengths.unsqueeze(1))


_FEW = 128  # symbols of which all are tried at each frame, where n-grams or hot words may prefer an unlikely one


def prefix_beam(
    log_probs: Float[Tensor, "B S V"], blank: int, width: int, biases: Biases | None = None
) -> tuple[Int[Tensor, "B W S"], Int[Tensor, "B W"], Biases | None]:
    """The `width` best prefixes after the last frame: symbols and how many they are; negative where fewer prefixes are possible."""
    B, S, _ = log_probs.shape
    never = log_probs.new_full((B, width), -float("inf"))
    lengths = torch.full((B, width), -9, dtype=torch.int64, device=log_probs.device)
    lengths[:, 0] = 0
    symbols = torch.zeros(B, width, S, dtype=torch.int64, device=log_probs.device)
    beam = _Beam(symbols, lengths, torch.full_like(lengths, -1), never.masked_fill(lengths == 0, 0.0), never)
    # Of the symbols that make new prefixes, the best 2 W + 1 are enough: at most W - 1 are in the beam, and one repeats the last.
    without_blank = log_probs.index_fill(2, torch.tensor([blank], device=log_probs.device), -float("inf"))
    enough = 2 * width + 1 if biases is None else max(2 * width + 1, _FEW)
    values, choices = without_blank.topk(min(enough, log_probs.shape[2] - 1))
    for frame in range(S):
        beam, biases = _next(beam, log_probs[:, frame], blank, values[:, frame], choices[:, frame], biases)
    return beam.symbols, beam.lengths, biases


def _next(
    beam: _Beam,
    log_probs: Float[Tensor, "B V"],
    blank: int,
    values: Float[Tensor, "B K"],
    choices: Int[Tensor, "B K"],
    biases: Biases | None,
) -> tuple[_Beam, Biases | None]:
    """The best prefixes after one more frame; new ones are made with `choices`, whose log-probabilities are `values`."""
    width, never = beam.last.shape[1], -float("inf")
    total = torch.logaddexp(beam.blank_ending, beam.symbol_ending)
    children = beam.children()
    said_last = log_probs.gather(1, beam.last.clamp(min=0)).masked_fill(beam.last < 0, never)
    # A prefix stays itself by a blank, by its last symbol once more, or because its parent in the beam says that symbol.
    grown = torch.where(beam.last.unsqueeze(2) == beam.last.unsqueeze(1), beam.blank_ending.unsqueeze(2), total.unsqueeze(2))
    from_parent = grown.masked_fill(~children, never).logsumexp(1)
    stay_blank = total + log_probs[:, blank : blank + 1]
    stay_symbol = torch.logaddexp(beam.symbol_ending, from_parent) + said_last
    known = (children.unsqueeze(3) & (beam.last[:, None, :, None] == choices[:, None, None, :])).any(2)
    repeats = choices.unsqueeze(1) == beam.last.unsqueeze(2)
    new = values.unsqueeze(1) + torch.where(repeats, beam.blank_ending.unsqueeze(2), total.unsqueeze(2))
    new = new.masked_fill(known, never)
    candidates = torch.cat([torch.logaddexp(stay_blank, stay_symbol), new.flatten(1)], dim=1)
    index = (candidates if biases is None else candidates + biases.candidates(choices)).topk(width).indices
    best = candidates.gather(1, index)
    is_new = index >= width
    count = choices.shape[1]
    parent = torch.where(is_new, (index - width) // count, index)
    symbol = choices.gather(1, (index - width).clamp(min=0) % count)
    lengths = beam.lengths.gather(1, parent)
    symbols = beam.symbols.gather(1, parent.unsqueeze(2).expand_as(beam.symbols))
    place = lengths.clamp(min=0, max=symbols.shape[2] - 1).unsqueeze(2)
    symbols = symbols.scatter(2, place, torch.where(is_new.unsqueeze(2), symbol.unsqueeze(2), symbols.gather(2, place)))
    following = None if biases is None else biases.after(parent, symbol, is_new)
    after = _Beam(
        symbols,
        torch.where(best == never, -9, lengths + is_new),
        torch.where(is_new, symbol, beam.last.gather(1, parent)),
        stay_blank.gather(1, parent).masked_fill(is_new, never),
        torch.where(is_new, best, stay_symbol.gather(1, parent)),
    )
    return after, following


def _hypotheses(
    scores: FrameScores, symbols: Int[Tensor, "B W S"], lengths: Int[Tensor, "B W"], n_best: int, language: Float[Tensor, "B W"] | None
) -> list[list[Hypothesis]]:
    """Hypotheses with exact scores, per source the best first; `language` is added to them."""
    B, W, _ = symbols.shape
    longest = max(int(lengths.max()), 0)
    said = symbols[..., :longest].flatten(0, 1)
    steps = chain(scores, said, lengths.clamp(min=0).flatten()).cpu().numpy()
    rows, counts = said.cpu().numpy(), lengths.flatten().tolist()
    added = [None] * len(counts) if language is None else language.flatten().tolist()
    made = [None if count < 0 else _made(rows[row, :count], steps[row, : count + 1], added[row]) for row, count in enumerate(counts)]
    found = []
    for first in range(0, B * W, W):
        own = [item for item in made[first : first + W] if item is not None]
        found.append(sorted(own, key=lambda item: -item.score)[:n_best])
    return found


def _made(elements: np.ndarray, steps: np.ndarray, added: float | None) -> Hypothesis:
    return hypothesis(elements, steps, None if added is None else float(steps.sum()) + added, "end")


plugin = SearchPlugin(
    name="ctc",
    summary="frames without a decoder: the best path, or prefix beam search; when each symbol is said",
    Config=CTCSearchConfig,
    build=CTCSearch,
    stepwise=False,
)
