"""Beam search, vectorized over the batch: keep the W best unfinished hypotheses of each source at every step.

What is unusual:

* A source leaves the batch at the exact moment: when W hypotheses have finished (times `patience`), or earlier, when no unfinished one
  can still beat the worst finished one that is kept, whatever it says until its length limit. So nothing is computed that cannot
  change the result, and one step's reordering of the state drops the rows. With several `groups`, each counts for itself.
* A hypothesis that ends takes no place from the unfinished ones, and counts only when it is among the W best of its step; a beam of 1
  is therefore the greedy search.
* What else has a say is a scorer (`scorer.py`): every continuation is ranked by it, not only the best few of the model.
* Finished hypotheses compete by their score; unfinished ones, of equal length, by their sum of rankings.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, final

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import config
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.search import SearchPlugin
from antiphon.contracts.sequences import FinishReason, Hypothesis, Memory, Padded, Request, reorder, select_rows
from antiphon.errors import ConfigError
from antiphon.search.alignment import traced
from antiphon.search.candidates import Candidates, constrained, diverse, plain
from antiphon.search.constraints import RequiredPhrases, RequiredPhrasesScorer
from antiphon.search.coverage import CoveragePenalty
from antiphon.search.ctc_alignment import with_spans
from antiphon.search.finished import FinishedHypotheses
from antiphon.search.fusion import LanguageModel, LanguageModelConfig
from antiphon.search.hot_words import HotWordsConfig, Phrases
from antiphon.search.hypotheses import hypothesis
from antiphon.search.joint import frames_of
from antiphon.search.limits import LimitsConfig
from antiphon.search.penalties import WITH_ALPHA, LengthPenalty, length_penalty
from antiphon.search.preparation import Prepared, prepare
from antiphon.search.processors import ProcessorsConfig, StepScores
from antiphon.search.scorer import ActiveScorers, longest_of
from antiphon.search.scorers import scorers_of


@config
class BeamConfig:
    """Beam search: finds better hypotheses by keeping several at each step."""

    name: Literal["beam"] = "beam"
    """The search."""
    beam_size: Annotated[int, Field(ge=1)] = 5
    """Unfinished hypotheses kept per source; 1 is greedy search."""
    n_best: Annotated[int, Field(ge=1)] = 1
    """Hypotheses returned per source; at most `beam_size`."""
    length_penalty: LengthPenalty = "average"
    """The divisor of log-probabilities, by which hypotheses of different length are compared: 1 (`none`), their length with the end symbol
    (`average`), ((5 + length) / 6) ** alpha (`gnmt`, Wu et al. 2016), or length ** alpha (`power`, as in transformers)."""
    alpha: Annotated[float, Field(ge=0)] | None = None
    """For `gnmt` and `power` only: 0 is no penalty; 0.6 when not given."""
    coverage_penalty: Annotated[float, Field(ge=0)] = 0.0
    """How much to favour hypotheses that attend to the whole source (beta in Wu et al. 2016); needs a model with attention."""
    groups: Annotated[int, Field(ge=1)] = 1
    """Divide the beam into this many groups that shun each other's symbols (Vijayakumar et al. 2018)."""
    diversity: Annotated[float, Field(ge=0)] | None = None
    """For several groups only: the penalty of a symbol for each time an earlier group chose it in this step; 0.5 when not given."""
    ctc_weight: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Weight of the CTC score in the ranking (Watanabe et al. 2017); needs a model trained with CTC. Often 0.3."""
    language_model: LanguageModelConfig | None = None
    """A language model that is used in the ranking (shallow fusion, Gulcehre et al. 2015): `{run: PATH, weight: 0.3}`, or `{ngram: FILE,
    weight: 0.3}`."""
    length_reward: float = 0.0
    """What each symbol but the end adds to the log-probability (the word reward of He et al. 2016). The `length_penalty` divides the sum,
    so it needs `none`, `gnmt` or `power`."""
    hot_words: HotWordsConfig = HotWordsConfig()
    """Phrases to prefer: `{phrases: [Antiphon, New York], weight: 1.5}`. A record may have its own in its field `hot_words`."""
    patience: Annotated[float, Field(gt=0)] = 1.0
    """Stop when `patience * beam_size` hypotheses have finished (Kasai et al. 2022); more finds better scores and takes longer."""
    limits: LimitsConfig = LimitsConfig()
    """Limits on the length of hypotheses."""
    processors: ProcessorsConfig = ProcessorsConfig()
    """Rules about which symbol may follow."""
    alignment: bool = False
    """Whether to return the attention over the source with each hypothesis."""
    spans: bool = False
    """Whether to return the frames of each symbol (word timestamps); needs a model trained with CTC."""

    def __post_init__(self) -> None:
        if self.n_best > self.beam_size:
            raise ConfigError(f"`n_best` must be at most `beam_size` ({self.beam_size}), but is {self.n_best}.")
        if self.beam_size % self.groups:
            raise ConfigError(f"`groups` must divide `beam_size` ({self.beam_size}), but is {self.groups}.")
        if self.alpha is not None and self.length_penalty not in WITH_ALPHA:
            raise ConfigError(f"`alpha` has an effect only with `length_penalty: gnmt` or `power`, but that is `{self.length_penalty}`.")
        if self.diversity is not None and self.groups == 1:
            raise ConfigError("`diversity` has an effect only with several `groups`, but there is 1.")
        if self.length_reward != 0 and self.length_penalty == "average":
            raise ConfigError(
                "`length_reward` needs `length_penalty: none`, `gnmt` or `power`, since an average does not grow with length."
            )


@dataclass(frozen=True)
class _Rows:
    """The data of each unfinished hypothesis besides the model's state; `select_rows` reorders them with the state."""

    history: Tensor  # (R, T) symbols
    step_scores: Tensor  # (R, T) the model's log-probabilities
    scorers: ActiveScorers


@dataclass(frozen=True)
class _Sources:
    """The data of each source that is not finished. `ceiling` is the length penalty at its limit, the largest possible; the `given` first
    symbols do not count in lengths."""

    numbers: Tensor  # (B,) in the whole batch
    ceiling: Tensor  # (B,)
    longest: Tensor  # (B,) steps, the end among them
    given: Tensor  # (B,)
    memory: Memory


@final
class BeamSearch:
    """`n_best` different hypotheses per source, best first; with several groups the best of each group, group by group.

    The score is the log-probability under the processors, normalized by the penalties. With `ctc_weight`, it is the weighted sum of the
    decoder's and of that which the frames give to the whole; what a language model, a length reward or hot words say is added. Step scores
    remain the decoder's. With required phrases, hypotheses that say them all come before those that do not, which have the finish reason
    "constraint". Fewer than `n_best` are given when the search found fewer different ones.
    """

    def __init__(self, settings: BeamConfig, language_model: LanguageModel | None = None, hot_words: Phrases | None = None):
        self.settings, self._copies = settings, False
        self._scorers = [*scorers_of(settings, language_model, hot_words), RequiredPhrasesScorer()]
        if settings.coverage_penalty > 0:
            self._scorers.append(CoveragePenalty(settings.coverage_penalty))

    def with_help(self, language_model: LanguageModel | None, hot_words: Phrases) -> "BeamSearch":
        """The same search, with the language model and hot words from its settings."""
        return BeamSearch(self.settings, language_model, hot_words)

    def with_copies(self) -> "BeamSearch":
        """The same search, which also reports which symbols the model has copied."""
        other = copy.copy(self)
        other._copies = True
        return other

    @torch.inference_mode()
    def __call__(self, model: StepwiseModel, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        """Decode a batch.

        Raises ConfigError when `coverage_penalty` or `alignment` meets a model without attention, `ctc_weight` or `spans` one that says
        nothing of frames, or required phrases meet groups; DataError when a request cannot be met.
        """
        settings = self.settings
        prepared = prepare(
            model,
            source,
            requests,
            search="beam",
            width=settings.beam_size,
            limits=settings.limits,
            processors=settings.processors,
            can_require=True,
            longest=longest_of(self._scorers),
        )
        if settings.groups > 1 and any(request.required for request in prepared.requests):
            raise ConfigError(f"`search.groups` must be 1 where phrases are required, but is {settings.groups}.")
        frames = frames_of(model, prepared.encoded, "`search.spans`") if settings.spans else None
        found = self._search(model, prepared)
        if frames is not None:
            found = with_spans(frames, prepared.spec.pad, found)
        return traced(model, prepared.encoded, found, alignment=settings.alignment, copies=self._copies)

    def _search(self, model: StepwiseModel, prepared: Prepared) -> list[list[Hypothesis]]:
        settings, steps, end = self.settings, prepared.limits.steps, prepared.spec.end
        finished = FinishedHypotheses(prepared.sources, settings.groups, settings.n_best)
        sources, rows, totals = self._begin(model, prepared)
        gains = torch.tensor([rows.scorers.gain(left) for left in range(steps + 1)], device=prepared.device)
        processors = prepared.processors
        state = model.init_state(sources.memory, settings.beam_size, steps)
        last = prepared.starts(totals.numel())
        for step in range(steps):
            output, state = model.step(last, sources.memory, state, attention=rows.scorers.needs_attention)
            scores = processors(output.values, rows.history[:, :step], rows.scorers.may_end(), apart=bool(rows.scorers.scorers))
            if rows.scorers.scorers:
                scores, scorers = rows.scorers.score(replace(scores, attention=output.attention), last)
                rows = replace(rows, scorers=scorers)
            options = self._options(scores, totals, rows.scorers.state_of(RequiredPhrasesScorer), end)
            ended = (options.symbols == end) & (options.totals > -float("inf"))
            self._finish(finished, options, ended, scores, sources, rows, step)
            places, totals = _go_on(options, ended, settings.beam_size)
            chosen, last = places
            keep = self._unfinished(finished, sources, totals, gains, step)
            if keep is not None:
                if len(keep) == 0:
                    break
                sources, totals, chosen, last = select_rows((sources, totals, chosen, last), keep)
                processors = processors.keep(chosen.flatten())
            last, parents = last.flatten(), chosen.flatten()
            step_scores = scores.log_probs(parents, last)
            if settings.beam_size > 1 or keep is not None:  # a single row per source stays where it is
                state = reorder(state, chosen) if keep is None else select_rows(state, parents)
                rows = select_rows(rows, parents)
            rows.history[:, step] = last
            rows.step_scores[:, step] = step_scores
            rows = replace(rows, scorers=rows.scorers.advance(last))
        return finished.lists()

    def _begin(self, model: StepwiseModel, prepared: Prepared) -> tuple[_Sources, _Rows, Tensor]:
        settings, device = self.settings, prepared.device
        B, W, steps = prepared.sources, settings.beam_size, prepared.limits.steps
        longest = torch.from_numpy(prepared.limits.maximum + 1).to(device)
        given = torch.tensor([request.given for request in prepared.requests], device=device)
        ceiling = self._length_penalty((longest - given).clamp(min=1))
        sources = _Sources(torch.arange(B, device=device), ceiling, longest, given, prepared.memory)
        rows = _Rows(
            history=prepared.symbols(B * W, steps),
            step_scores=torch.zeros(B * W, steps, device=device),
            scorers=ActiveScorers.begin(self._scorers, model, prepared, W),
        )
        totals = torch.full((B, W), -float("inf"), device=device)
        totals[:, :: W // settings.groups] = 0  # all rows of a group begin alike: only the first may speak
        return sources, rows, totals

    def _options(self, scores: StepScores, totals: Tensor, required: RequiredPhrases | None, end: int) -> Candidates:
        if required is not None:
            return constrained(scores, totals, required)
        if self.settings.groups > 1:
            diversity = 0.5 if self.settings.diversity is None else self.settings.diversity
            return diverse(scores, totals, self.settings.groups, diversity, end)
        return plain(scores, totals)

    def _length_penalty(self, lengths: Int[Tensor, "*N"]) -> Float[Tensor, "*N"]:
        alpha = 0.6 if self.settings.alpha is None else self.settings.alpha
        return length_penalty(self.settings.length_penalty, alpha, lengths)

    def _finish(
        self,
        finished: FinishedHypotheses,
        options: Candidates,
        ended: Bool[Tensor, "B G K"],
        scores: StepScores,
        sources: _Sources,
        rows: _Rows,
        step: int,
    ) -> None:
        """Move the candidates that end, and are among the best, to the finished hypotheses."""
        source, group, place = ended[..., : self.settings.beam_size // self.settings.groups].nonzero(as_tuple=True)
        if len(source) == 0:
            return
        parents, symbols = options.rows[source, group, place], options.symbols[source, group, place]
        ranked = options.totals[source, group, place] / self._length_penalty((step + 1 - sources.given[source]).clamp(min=1))
        ranked = ranked + rows.scorers.finish(parents)
        history = rows.history[parents, :step].cpu().numpy()
        step_scores = torch.cat((rows.step_scores[parents, :step], scores.log_probs(parents, symbols).unsqueeze(1)), 1).cpu().numpy()
        cut = [False] * len(source) if scores.cut is None else scores.cut[parents].tolist()
        may_end = rows.scorers.may_end()
        lacking = [False] * len(source) if may_end is None else (~may_end[parents]).tolist()
        described = zip(sources.numbers[source].tolist(), group.tolist(), ranked.tolist(), cut, lacking, strict=True)
        for index, (number, own, score, is_cut, is_lacking) in enumerate(described):
            reason: FinishReason = "constraint" if is_lacking else "length" if is_cut else "end"
            finished.add(number, own, hypothesis(history[index], step_scores[index], score, reason))

    def _unfinished(
        self, finished: FinishedHypotheses, sources: _Sources, totals: Float[Tensor, "B W"], gains: Float[Tensor, " T"], step: int
    ) -> Tensor | None:
        """The unfinished sources, as rows of this step's batch; None if all are unfinished."""
        if not finished.counts.any():
            return None
        settings, numbers = self.settings, sources.numbers.cpu().numpy()
        worst = torch.from_numpy(finished.worst[numbers]).to(totals)
        enough = torch.from_numpy(finished.counts[numbers] >= settings.patience * settings.beam_size / settings.groups).to(totals.device)
        # The most that an unfinished hypothesis can reach: it gains all that it can, at its limit if less than nothing is left, or else at
        # once; what is added at its end is at most 0.
        most = totals.view(len(numbers), settings.groups, -1).amax(2) + gains[(sources.longest - step - 1).clamp(min=0)].unsqueeze(1)
        soonest = self._length_penalty((step + 2 - sources.given).clamp(min=1))
        reach = most / torch.where(most < 0, sources.ceiling.unsqueeze(1), soonest.unsqueeze(1))
        finished.closed[numbers] |= (enough | (reach <= worst)).cpu().numpy()
        done = torch.from_numpy(finished.closed[numbers].all(1)).to(totals.device)
        return (~done).nonzero().squeeze(1) if done.any() else None


def _go_on(options: Candidates, ended: Bool[Tensor, "B G K"], beam_size: int) -> tuple[tuple[Tensor, Tensor], Float[Tensor, "B W"]]:
    """The best candidates that do not end: (their rows and symbols, each (B, W)), and their totals."""
    B, G, _ = ended.shape
    pick = ended.to(torch.int8).argsort(dim=2, stable=True)[..., : beam_size // G]
    totals = options.totals.masked_fill(ended, -float("inf")).gather(2, pick)
    rows, symbols = options.rows.gather(2, pick), options.symbols.gather(2, pick)
    return (rows.view(B, beam_size), symbols.view(B, beam_size)), totals.view(B, beam_size)


plugin = SearchPlugin(
    name="beam",
    summary="the best hypotheses found by keeping several at each step; required phrases, n-best, penalties",
    Config=BeamConfig,
    build=BeamSearch,
)
