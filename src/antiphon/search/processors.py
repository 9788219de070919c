"""Logits processors: rules between a model's logits and the choice of a symbol, which decide what may come next.

Two kinds of rules. A rule that *forbids* sets a logit to minus infinity and leaves the other log-probabilities alone, so what a search
ranks by stays the model's own log-probability. The repetition penalty is the only rule that *changes* logits; with it a search ranks by
the log-softmax of the changed logits. The scores that a hypothesis reports are the model's own in either case. A prefix that is asked
for is given, not chosen, so it has no part in the ranking.

Rules that look back see the history of a row only, and each is a handful of tensor operations over all rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from antiphon.contracts.configuration import config
from antiphon.contracts.sequences import Request, select_rows, to_device
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError
from antiphon.search.likeliest import likeliest
from antiphon.search.limits import Limits
from antiphon.search.log_probabilities import LogProbabilities

_INFINITY = float("inf")


@config
class ProcessorsConfig:
    """Rules about which symbol may follow."""

    no_repeat_ngram_size: Annotated[int, Field(ge=0)] = 0
    """No sequence of this many symbols appears twice in a hypothesis; 0 allows repetition."""
    repetition_penalty: Annotated[float, Field(gt=0)] = 1.0
    """Divide the positive logits of symbols that occurred before by this, multiply the negative ones (Keskar et al. 2019); 1 changes
    nothing."""
    allow_unknown: bool = True
    """Whether the unknown symbol may be output."""
    allow_suppressed: bool = False
    """Whether to allow symbols that a published model is not meant to output (Whisper's `suppress_tokens`: brackets, quotation marks,
    music)."""
    forbidden: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Numbers of symbols that are never output, such as those that a published model is known to misuse."""
    forbidden_first: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Numbers of symbols that are not output first: at the beginning, or right after a forced prefix. The end symbol may be one of them."""


@dataclass(frozen=True)
class StepScores:
    """The scores of one step, R rows.

    ranking    log-probabilities, or penalized logits, after the rules; minus infinity where a symbol may not follow. What to rank by is
               `ranking - ranking_norm`
    said       the model's own log-probabilities
    cut        True for rows that the length limit ended though they would have gone on; None when no row is at its limit
    attention  the weights over the memory's states, where they were asked for
    """

    ranking: Float[Tensor, "R V"]
    ranking_norm: Float[Tensor, "R 1"]
    said: Float[Tensor, "R V"]
    cut: Bool[Tensor, " R"] | None = None
    attention: Float[Tensor, "R S"] | None = None

    def log_probs(self, rows: Int[Tensor, "*N"], symbols: Int[Tensor, "*N"]) -> Float[Tensor, "*N"]:
        """The model's own log-probability of `symbols` in `rows`."""
        return self.said[rows, symbols]


@dataclass(frozen=True)
class _Rules:
    """The rules of each row. A tensor is None where no row has such a rule."""

    minimum: Int[Tensor, " R"]
    maximum: Int[Tensor, " R"]
    prefix: Int[Tensor, "R P"] | None
    prefix_lengths: Int[Tensor, " R"] | None
    banned_openings: Int[Tensor, "R N K"] | None  # what stands before a banned phrase's last symbol, right-aligned
    banned_ends: Int[Tensor, "R N"] | None
    fewest_words: Int[Tensor, " R"] | None = None
    most_words: Int[Tensor, " R"] | None = None


@final
@dataclass(frozen=True)
class LogitsProcessors:
    """All rules, for the rows of one search."""

    settings: ProcessorsConfig
    end: int
    forbidden: Int[Tensor, " F"]
    forbidden_first: Int[Tensor, " F1"]
    rules: _Rules
    longest_minimum: int  # the numbers on the host spare every step a question to the device
    shortest_maximum: int
    longest_prefix: int
    word_starts: Bool[Tensor, " V"] | None = None  # where words are limited
    normalize: LogProbabilities = field(default_factory=LogProbabilities)

    @property
    def plain(self) -> bool:
        """Whether only limits on the number of symbols, and forbidden symbols, have an effect."""
        own, rules = self.settings, self.rules
        changes = own.repetition_penalty != 1 or own.no_repeat_ngram_size or self.longest_prefix or len(self.forbidden_first)
        return not changes and rules.banned_openings is None and self.word_starts is None

    def keep(self, rows: Int[Tensor, " N"]) -> "LogitsProcessors":
        """The rules of these rows only."""
        return replace(self, rules=select_rows(self.rules, rows))

    def __call__(
        self, logits: Float[Tensor, "R V"], history: Int[Tensor, "R T"], may_end: Bool[Tensor, " R"] | None = None, *, apart: bool = True
    ) -> StepScores:
        """Apply the rules to the logits of step T, given the T symbols so far; `may_end` forbids the end symbol where False.

        Where nobody else writes into `ranking`, it need not be kept `apart` from `said`: rules only forbid what is then not said.
        """
        step = history.shape[1]
        said = self.normalize(logits)
        penalized = self.settings.repetition_penalty != 1 and step > 0
        allowed, ranking_norm = said, said.new_zeros(len(said), 1)
        if apart or penalized or step < self.longest_prefix:
            allowed = (logits.float() if penalized else said).clone()
        if penalized:
            _penalize(allowed, history, self.settings.repetition_penalty)
            ranking_norm = allowed.logsumexp(-1, keepdim=True)
        end_logits = allowed[:, self.end].clone()
        allowed.index_fill_(1, self.forbidden, -_INFINITY)
        if self.settings.no_repeat_ngram_size:
            _forbid_repeated_ngrams(allowed, history, self.settings.no_repeat_ngram_size)
            allowed[:, self.end] = end_logits  # a row that has ended and waits for its neighbours repeats the end symbol
        if self.rules.banned_openings is not None and self.rules.banned_ends is not None:
            _forbid_phrases(allowed, history, self.rules.banned_openings, self.rules.banned_ends)
        enough = None
        if self.word_starts is not None:
            may_end, enough = self._limit_words(allowed, history, may_end)
        if step < self.longest_minimum or may_end is not None:
            self._forbid_end(allowed, end_logits, may_end, step)
        if len(self.forbidden_first) and step <= self.longest_prefix:
            self._forbid_first(allowed, step)
        if step < self.longest_prefix:
            self._force_prefix(allowed, ranking_norm, step)
        cut = self._force_end(allowed, end_logits, step) if step >= self.shortest_maximum else None
        if enough is not None:
            cut = enough if cut is None else cut | enough
        return StepScores(allowed, ranking_norm, said, cut)

    def _limit_words(
        self, allowed: Float[Tensor, "R V"], history: Int[Tensor, "R T"], may_end: Bool[Tensor, " R"] | None
    ) -> tuple[Bool[Tensor, " R"], Bool[Tensor, " R"]]:
        """Forbid a new word where the limit is reached: (rows that may end, rows that would have begun another word)."""
        assert self.word_starts is not None
        assert self.rules.fewest_words is not None
        assert self.rules.most_words is not None
        said = self.word_starts[history].sum(1)
        full = said >= self.rules.most_words
        starts = self.word_starts[: allowed.shape[1]]
        enough = full & starts[likeliest(allowed)]
        allowed.masked_fill_(full.unsqueeze(1) & starts, -_INFINITY)
        long_enough = said >= self.rules.fewest_words
        return long_enough if may_end is None else long_enough & may_end, enough

    def _forbid_first(self, allowed: Float[Tensor, "R V"], step: int) -> None:
        """Forbid these symbols in rows whose prefix ends here."""
        chosen = allowed[:, self.forbidden_first]
        begins = None if self.rules.prefix_lengths is None else (self.rules.prefix_lengths == step).unsqueeze(1)
        allowed[:, self.forbidden_first] = chosen.fill_(-_INFINITY) if begins is None else chosen.masked_fill(begins, -_INFINITY)

    def _force_prefix(self, allowed: Float[Tensor, "R V"], certain: Float[Tensor, "R 1"], step: int) -> None:
        """Make the next symbol of the prefix certain, whatever the other rules are."""
        assert self.rules.prefix is not None
        assert self.rules.prefix_lengths is not None
        symbols = self.rules.prefix[:, step : step + 1]
        inside = (self.rules.prefix_lengths > step).unsqueeze(1)
        forced = torch.where(inside, certain, allowed.gather(1, symbols))
        allowed.masked_fill_(inside, -_INFINITY).scatter_(1, symbols, forced)

    def _forbid_end(
        self, allowed: Float[Tensor, "R V"], end_logits: Float[Tensor, " R"], may_end: Bool[Tensor, " R"] | None, step: int
    ) -> None:
        too_early = self.rules.minimum > step
        if may_end is not None:
            too_early = too_early | ~may_end
        allowed[:, self.end].masked_fill_(too_early, -_INFINITY)
        stuck = allowed.amax(-1) == -_INFINITY  # the rules leave nothing to say: ending early is all that remains
        allowed[:, self.end] = torch.where(stuck, end_logits, allowed[:, self.end])

    def _force_end(self, allowed: Float[Tensor, "R V"], end_logits: Float[Tensor, " R"], step: int) -> Bool[Tensor, " R"]:
        at_limit = self.rules.maximum <= step
        cut = at_limit & (likeliest(allowed) != self.end)
        allowed.masked_fill_(at_limit.unsqueeze(1), -_INFINITY)
        allowed[:, self.end] = torch.where(at_limit, end_logits, allowed[:, self.end])
        return cut


def processors_for(
    settings: ProcessorsConfig, spec: TokenSpec, limits: Limits, requests: Sequence[Request], width: int, device: torch.device
) -> LogitsProcessors:
    """The rules for `width` rows per source. The requests must have been checked before."""
    # A symbol may have two offices: some vocabularies start or pad with the end symbol, which must stay possible.
    never = {spec.pad, spec.start, *settings.forbidden} | (set() if settings.allow_unknown else {spec.unknown})
    for name in ("forbidden", "forbidden_first"):
        wrong = [symbol for symbol in getattr(settings, name) if symbol >= spec.size]
        if wrong:
            raise ConfigError(f"`search.processors.{name}` must hold symbols below {spec.size}, but holds {wrong[0]}.")
    never |= set() if settings.allow_suppressed else set(spec.suppressed)
    first = {*settings.forbidden_first, *(() if settings.allow_suppressed else spec.suppressed_first)}
    prefix, prefix_lengths = _prefixes(requests)
    openings, ends = _banned_phrases(requests)
    words = () if limits.words is None else (torch.from_numpy(limits.words.minimum), torch.from_numpy(limits.words.maximum))
    rules = _Rules(torch.from_numpy(limits.minimum), torch.from_numpy(limits.maximum), prefix, prefix_lengths, openings, ends, *words)
    rules = to_device(select_rows(rules, torch.arange(len(requests)).repeat_interleave(width)), device)
    return LogitsProcessors(
        settings=settings,
        end=spec.end,
        forbidden=torch.tensor(sorted(never - {spec.end}), dtype=torch.int64, device=device),
        forbidden_first=torch.tensor(sorted(first), dtype=torch.int64, device=device),
        rules=rules,
        longest_minimum=int(limits.minimum.max()),
        shortest_maximum=int(limits.maximum.min()),
        longest_prefix=max(len(request.prefix) for request in requests),
        word_starts=None if limits.words is None else word_starts(spec, device),
    )


def word_starts(spec: TokenSpec, device: torch.device) -> Bool[Tensor, " V"]:
    """Which symbols begin a word: those of the vocabulary, and every open word after it."""
    assert spec.word_starts is not None, "these symbols do not say where words begin"
    return torch.from_numpy(np.pad(spec.word_starts, (0, spec.open_words), constant_values=True)).to(device)


def _prefixes(requests: Sequence[Request]) -> tuple[Tensor | None, Tensor | None]:
    longest = max(len(request.prefix) for request in requests)
    if longest == 0:
        return None, None
    rows = [[*request.prefix, *[0] * (longest - len(request.prefix))] for request in requests]
    return torch.tensor(rows), torch.tensor([len(request.prefix) for request in requests])


_ANYTHING, _NOTHING = -1, -2  # in an opening: matches every symbol; in the history before its begin: matches no symbol


def _banned_phrases(requests: Sequence[Request]) -> tuple[Tensor | None, Tensor | None]:
    most = max(len(request.banned) for request in requests)
    if most == 0:
        return None, None
    longest = max(len(phrase) for request in requests for phrase in request.banned) - 1
    openings = torch.full((len(requests), most, longest), _ANYTHING)
    ends = torch.full((len(requests), most), _NOTHING)
    for row, request in enumerate(requests):
        for column, phrase in enumerate(request.banned):
            openings[row, column, longest - len(phrase) + 1 :] = torch.tensor(phrase[:-1], dtype=torch.int64)
            ends[row, column] = phrase[-1]
    return openings, ends


def _penalize(logits: Float[Tensor, "R V"], history: Int[Tensor, "R T"], penalty: float) -> None:
    said = logits.gather(1, history)
    logits.scatter_(1, history, torch.where(said > 0, said / penalty, said * penalty))


def _forbid_repeated_ngrams(logits: Float[Tensor, "R V"], history: Int[Tensor, "R T"], size: int) -> None:
    if history.shape[1] < size:
        return
    ngrams = history.unfold(1, size, 1)  # (R, T - size + 1, size)
    recent = history[:, history.shape[1] - size + 1 :].unsqueeze(1)
    _forbid(logits, ngrams[..., -1], (ngrams[..., :-1] == recent).all(-1))


def _forbid_phrases(
    logits: Float[Tensor, "R V"], history: Int[Tensor, "R T"], openings: Int[Tensor, "R N K"], ends: Int[Tensor, "R N"]
) -> None:
    longest, step = openings.shape[2], history.shape[1]
    recent = torch.nn.functional.pad(history, (max(longest - step, 0), 0), value=_NOTHING)
    recent = recent[:, recent.shape[1] - longest :].unsqueeze(1)
    matched = ((openings == recent) | (openings == _ANYTHING)).all(-1) & (ends != _NOTHING)
    _forbid(logits, ends.clamp(min=0), matched)


def _forbid(logits: Float[Tensor, "R V"], symbols: Int[Tensor, "R N"], where: Bool[Tensor, "R N"]) -> None:
    """Forbid `symbols` where `where`; one reduction, since an index of data-dependent size would make the device wait for the host."""
    bounds = torch.zeros_like(symbols, dtype=logits.dtype).masked_fill_(where, -_INFINITY).masked_fill_(~where, _INFINITY)
    logits.scatter_reduce_(1, symbols, bounds, "amin")
