"""CTC search without a decoder: the best path (greedy), or the best sequences over all their alignments (prefix beam search, Hannun et al.
2014).

Unusual here: prefix beam search is vectorized over the batch. Two ways to one prefix meet by comparing prefixes as rows of a tensor, so no
table of strings is kept. A hypothesis's score is exact: the log-probability of the sequence over all alignments, not only of those that the
beam kept; what n-grams and hot words say is added, with their weights. Its steps are those of the chain rule: each symbol given those
before it, and the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, final

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import config
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.search import SearchPlugin
from antiphon.contracts.sequences import Frames, Hypothesis, Padded, Request
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError
from antiphon.search.ctc_alignment import with_spans
from antiphon.search.ctc_biases import Biases, check_settings
from antiphon.search.ctc_chain import chain, precise
from antiphon.search.fusion import LanguageModel, LanguageModelConfig
from antiphon.search.hot_words import HotWordsConfig, HotWordsScorer, Phrases
from antiphon.search.hypotheses import hypothesis
from antiphon.search.joint import frames_of
from antiphon.search.ngram import NGrams
from antiphon.search.prefix_names import named
from antiphon.search.preparation import token_target


@config
class CTCSearchConfig:
    """Search in an encoder's outputs for each frame: fast, without a decoder."""

    name: Literal["ctc"] = "ctc"
    """The search."""
    beam_size: Annotated[int, Field(ge=1)] = 1
    """Prefixes kept at each frame; 1 takes the most probable symbol of each frame."""
    n_best: Annotated[int, Field(ge=1)] = 1
    """Hypotheses returned per source; at most `beam_size`."""
    language_model: LanguageModelConfig | None = None
    """N-grams that are used in the ranking of prefixes: `{ngram: FILE, weight: 0.5}`; needs a beam."""
    hot_words: HotWordsConfig = HotWordsConfig()
    """Phrases to prefer: `{phrases: [Antiphon, New York], weight: 1.5}`; needs a beam. A record may have its own in a field `hot_words`."""
    spans: bool = False
    """Whether to return the frames of each symbol (word timestamps)."""

    def __post_init__(self) -> None:
        check_settings(self, "ctc")


@final
class CTCSearch:
    """`n_best` different hypotheses per source, most probable first."""

    def __init__(self, settings: CTCSearchConfig, ngrams: NGrams | None = None, hot_words: Phrases | None = None):
        self.settings, self._ngrams = settings, ngrams
        self._hot_words = HotWordsScorer(settings.hot_words, hot_words)

    def with_help(self, language_model: LanguageModel | None, hot_words: Phrases) -> "CTCSearch":
        """The same search, with the language model and hot words from its settings."""
        assert language_model is None or isinstance(language_model, NGrams), "the settings name n-grams"
        return CTCSearch(self.settings, language_model, hot_words)

    @torch.inference_mode()
    def __call__(self, model: Seq2SeqModel, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        """Decode a batch. Raises ConfigError when the model has no output for frames, or a request needs a stepwise search."""
        spec, settings = token_target(model, "The search `ctc`"), self.settings
        asked = requests if requests is not None else (Request(),) * len(source.lengths)
        self._check(asked)
        frames = frames_of(model, model.encode(source), "The search `ctc`")
        biases, never = self._biases(asked, spec, frames), (spec.start, spec.end)
        if settings.beam_size == 1:
            symbols, lengths = best_path(frames, spec.pad, never)
        else:
            symbols, lengths, biases = prefix_beam(_log_probs(frames, spec.pad, never), spec.pad, settings.beam_size, biases)
        added = None if biases is None else biases.whole(spec.end)
        found = _hypotheses(frames, spec.pad, symbols, lengths, settings.n_best, added)
        return with_spans(frames, spec.pad, found) if settings.spans else found

    def _check(self, requests: Sequence[Request]) -> None:
        """Raise ConfigError for requests that need another search, or a beam."""
        if any(request.prefix or request.required or request.banned for request in requests):
            raise ConfigError("A forced opening, required or banned phrases need `search: {name: beam}`, but the search is `ctc`.")
        if self.settings.beam_size == 1 and any(request.hot for request in requests):
            raise ConfigError("`search.beam_size` must be at least 2 where records have `hot_words`, but is 1.")

    def _biases(self, requests: Sequence[Request], spec: TokenSpec, frames: Frames) -> Biases | None:
        """The scores beside the frames, before the first frame; None when there are none."""
        width, weight, device = self.settings.beam_size, 0.0, frames.mask.device
        if self.settings.language_model is not None:
            weight = self.settings.language_model.weight
            if self._ngrams is None:
                raise ConfigError("`search.language_model` needs `with_help` before the search is used.")
        hot = self._hot_words.begun(requests, width, device)
        if self._ngrams is None and hot is None:
            return None
        contexts = None
        if self._ngrams is not None:
            rows = len(requests) * width
            _, contexts = self._ngrams.step(torch.full((rows,), spec.start, device=device), self._ngrams.begin(rows, 0, device))
        nothing = torch.zeros(len(requests), width, dtype=precise(device), device=device)
        return Biases.of(self._ngrams, weight, contexts, hot, self.settings.hot_words.weight, nothing, frames.logits.shape[2])


def best_path(frames: Frames, blank: int, never: Sequence[int]) -> tuple[Int[Tensor, "B 1 S"], Int[Tensor, "B 1"]]:
    """The most probable symbol of each frame, without repetitions and blanks: symbols and their number. Some symbols are forbidden."""
    path = frames.logits.argmax(-1)
    forbidden = torch.tensor(never, device=path.device)
    wrong = torch.isin(path, forbidden)
    if wrong.any():  # rare, so that nothing as large as the logits is made for it
        path[wrong] = frames.logits[wrong].index_fill(1, forbidden, -float("inf")).argmax(-1)
    path = torch.where(frames.mask, path, blank)
    said = path != blank
    said[:, 1:] &= path[:, 1:] != path[:, :-1]
    order = (~said).to(torch.int8).argsort(dim=1, stable=True)
    return path.gather(1, order).unsqueeze(1), said.sum(1, keepdim=True)


def _log_probs(frames: Frames, blank: int, never: Sequence[int]) -> Float[Tensor, "B S V"]:
    """Log-probabilities, minus infinity for forbidden symbols; after a source's end a blank is certain."""
    log_probs = frames.logits.float().log_softmax(-1)
    log_probs.masked_fill_(~frames.mask.unsqueeze(-1), -float("inf"))
    log_probs[..., blank].masked_fill_(~frames.mask, 0.0)
    return log_probs.index_fill_(2, torch.tensor(never, device=log_probs.device), -float("inf"))


@dataclass(frozen=True)
class _Beam:
    """W prefixes per source, with the log-probability of their alignments so far that end in blank, or in the last symbol."""

    names: Int[Tensor, "B W"]  # a number that stands for the whole prefix
    parents: Int[Tensor, "B W"]  # that of the prefix without its last symbol
    lengths: Int[Tensor, "B W"]  # negative where there is none
    last: Int[Tensor, "B W"]
    blank_ending: Float[Tensor, "B W"]
    symbol_ending: Float[Tensor, "B W"]

    def children(self) -> Tensor:
        """(B, W, W): whether the second prefix is the first with one more symbol."""
        same = self.names.unsqueeze(2) == self.parents.unsqueeze(1)
        return same & (self.lengths.unsqueeze(2) + 1 == self.lengths.unsqueeze(1))


_FEW = 128  # symbols of which all are tried at each frame, where n-grams or hot words may prefer an unlikely one


def prefix_beam(
    log_probs: Float[Tensor, "B S V"], blank: int, width: int, biases: Biases | None = None
) -> tuple[Int[Tensor, "B W S"], Int[Tensor, "B W"], Biases | None]:
    """The `width` best prefixes after the last frame: symbols and their number, which is negative where fewer prefixes are possible."""
    (B, S, _), device, dtype = log_probs.shape, log_probs.device, precise(log_probs.device)
    never = torch.full((B, width), -float("inf"), dtype=dtype, device=device)
    lengths = torch.full((B, width), -9, dtype=torch.int64, device=device)
    lengths[:, 0] = 0
    beam = _Beam(torch.zeros_like(lengths), torch.zeros_like(lengths), lengths, lengths.clamp(max=-1), never, never)
    beam = replace(beam, blank_ending=never.masked_fill(lengths == 0, 0.0))
    # Of the symbols that make new prefixes, the best 2 W + 1 are enough: at most W - 1 are in the beam, and one repeats the last.
    without_blank = log_probs.index_fill(2, torch.tensor([blank], device=device), -float("inf"))
    enough = 2 * width + 1 if biases is None else max(2 * width + 1, _FEW)
    values, choices = without_blank.topk(min(enough, log_probs.shape[2] - 1))
    steps: list[tuple[Tensor, Tensor]] = []
    for frame in range(S):
        step = _next(beam, log_probs[:, frame].to(dtype), blank, values[:, frame].to(dtype), choices[:, frame], biases)
        beam, biases = step.beam, step.biases
        steps.append((step.parent, step.said))
    return *_traced(steps, beam.lengths), biases


def _traced(steps: Sequence[tuple[Tensor, Tensor]], lengths: Int[Tensor, "B W"]) -> tuple[Int[Tensor, "B W S"], Int[Tensor, "B W"]]:
    """The symbols of the prefixes, traced back by each frame's parent and output symbol, -1 for none."""
    place = torch.arange(lengths.shape[1], device=lengths.device).expand_as(lengths)
    said = []
    for parent, symbol in reversed(steps):
        said.append(symbol.gather(1, place))
        place = parent.gather(1, place)
    symbols = torch.stack(said[::-1], dim=2)
    order = (symbols < 0).to(torch.int8).argsort(dim=2, stable=True)
    return symbols.gather(2, order).clamp(min=0), lengths


@dataclass(frozen=True)
class _Step:
    """The beam after a frame; the parent of each prefix before the frame, and the symbol it added, -1 for none."""

    beam: _Beam
    parent: Int[Tensor, "B W"]
    said: Int[Tensor, "B W"]
    biases: Biases | None


def _next(
    beam: _Beam,
    log_probs: Float[Tensor, "B V"],
    blank: int,
    values: Float[Tensor, "B K"],
    choices: Int[Tensor, "B K"],
    biases: Biases | None,
) -> _Step:
    """The best prefixes after one more frame; new ones are extended by `choices`, whose log-probabilities are `values`."""
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
    names = beam.names.gather(1, parent)
    after = _Beam(
        torch.where(is_new, named(names, symbol), names),
        torch.where(is_new, names, beam.parents.gather(1, parent)),
        torch.where(best == never, -9, beam.lengths.gather(1, parent) + is_new),
        torch.where(is_new, symbol, beam.last.gather(1, parent)),
        stay_blank.gather(1, parent).masked_fill(is_new, never),
        torch.where(is_new, best, stay_symbol.gather(1, parent)),
    )
    following = None if biases is None else biases.after(parent, symbol, is_new)
    return _Step(after, parent, torch.where(is_new, symbol, -1), following)


def _hypotheses(
    frames: Frames,
    blank: int,
    symbols: Int[Tensor, "B W S"],
    lengths: Int[Tensor, "B W"],
    n_best: int,
    biases: Float[Tensor, "B W"] | None,
) -> list[list[Hypothesis]]:
    """Hypotheses with exact scores, best first for each source; `biases` are added to them."""
    B, W, _ = symbols.shape
    longest = max(int(lengths.max()), 0)
    said = symbols[..., :longest].flatten(0, 1)
    steps = chain(frames, blank, said, lengths.clamp(min=0).flatten()).cpu().numpy()
    rows, counts = said.cpu().numpy(), lengths.flatten().tolist()
    added = [None] * len(counts) if biases is None else biases.flatten().tolist()
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
    summary="frames without a decoder: the best path, or prefix beam search; when each symbol is spoken",
    Config=CTCSearchConfig,
    build=CTCSearch,
    stepwise=False,
)
