"""The preparation of every search: encodes the source, checks the requests, sets up the rules.

`prepare` is where requests are refused, so that no search has to ask again: symbols outside the vocabulary, or that stand for what it does
not know, empty phrases, an opening or a required phrase longer than the limit, and required phrases in a search that cannot promise them.
All sources of the batch whose request cannot be are told at once, so that the caller may decode the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from antiphon.contracts.limits import least
from antiphon.contracts.model import Seq2SeqModel, StepwiseModel
from antiphon.contracts.search import RequestError
from antiphon.contracts.sequences import Memory, Padded, Request
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.search.limits import Limits, LimitsConfig, limits_of
from antiphon.search.processors import LogitsProcessors, ProcessorsConfig, processors_for, word_starts


@dataclass(frozen=True)
class Prepared:
    """A search before its first step. `encoded` is the encoder's memory, `memory` has the decoder's projections as well."""

    spec: TokenSpec
    encoded: Memory
    memory: Memory
    limits: Limits
    processors: LogitsProcessors
    requests: tuple[Request, ...]

    @property
    def sources(self) -> int:
        """The number of sources B."""
        return len(self.requests)

    @property
    def device(self) -> torch.device:
        """The device of the memory, on which a search allocates its tensors."""
        return self.memory.states.device

    def symbols(self, *shape: int) -> Tensor:
        """A buffer for symbols, filled with padding."""
        return torch.full(shape, self.spec.pad, dtype=torch.int64, device=self.device)

    def starts(self, rows: int) -> Tensor:
        """(R,) start symbols."""
        return torch.full((rows,), self.spec.start, dtype=torch.int64, device=self.device)


def token_target(model: Seq2SeqModel, reader: str) -> TokenSpec:
    """The model's target spec. Raises ConfigError when the model does not write symbols; `reader` is named in the error."""
    if not isinstance(model.target, TokenSpec):
        raise ConfigError(
            f"{reader} needs a model that writes symbols, but this one writes {type(model.target).__name__}."
            " Real values are found by `search: rollout` (step by step) or `search: direct` (all at once)."
        )
    return model.target


def value_target(model: Seq2SeqModel, reader: str) -> ValueSpec:
    """The model's target spec. Raises ConfigError when the model does not write real values; `reader` is named in the error."""
    if not isinstance(model.target, ValueSpec):
        raise ConfigError(
            f"{reader} needs a model that writes real values, but this one writes {type(model.target).__name__}."
            " Symbols are found by `search: beam`, `greedy`, `sampling` or `mbr`."
        )
    return model.target


def prepare(
    model: StepwiseModel,
    source: Padded,
    requests: Sequence[Request] | None,
    *,
    search: str,
    width: int,
    limits: LimitsConfig,
    processors: ProcessorsConfig,
    can_require: bool = False,
    longest: int | None = None,
) -> Prepared:
    """Encode the source and set up the rules for `width` rows per source; `longest` is the limit of its scorers, where they are not part of
    the model.

    Raises ConfigError when the model writes no symbols or the search cannot promise required phrases, RequestError when some requests
    cannot be.
    """
    spec = token_target(model, f"The search `{search}`")
    asked = tuple(requests) if requests is not None else (Request(),) * len(source.lengths)
    assert len(asked) == len(source.lengths), f"{len(source.lengths)} sources need as many requests, not {len(asked)}"
    if any(request.required for request in asked) and not can_require:
        raise ConfigError(f"Required phrases need `search: {{name: beam}}`, but the search is `{search}`.")
    longest = least(model.longest_target, longest)
    bounds = limits_of(limits, source.lengths if limits.unit == "symbols" else _words(model, source), longest)
    encoded = model.encode(source)
    if spec.open_words and not model.copies:
        asked = tuple(_without_open_words(request, spec) for request in asked)
    reasons = {row: _refusal(request, spec, int(bounds.maximum[row]), longest) for row, request in enumerate(asked)}
    refused = {row: reason for row, reason in reasons.items() if reason is not None}
    if refused:
        raise RequestError(refused)
    memory = model.project(encoded)
    rules = processors_for(processors, spec, bounds, asked, width, memory.states.device)
    return Prepared(spec, encoded, memory, bounds, rules, asked)


def _without_open_words(request: Request, spec: TokenSpec) -> Request:
    """The requests for a model that does not copy, in which open words are unknown symbols."""

    def known(phrase: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(symbol if symbol < spec.size else spec.unknown for symbol in phrase)

    banned = tuple(phrase for phrase in map(known, request.banned) if spec.unknown not in phrase)  # what it cannot say need not be banned
    required, hot = tuple(map(known, request.required)), tuple(map(known, request.hot))
    return replace(request, prefix=known(request.prefix), required=required, banned=banned, hot=hot)


def _words(model: StepwiseModel, source: Padded) -> Tensor:
    """The number of words of each source (B,). Raises ConfigError when the symbols of source or target do not show word boundaries."""
    for side in (model.source, model.target):
        if not isinstance(side, TokenSpec) or side.word_starts is None:
            raise ConfigError(
                "`search.limits.unit` must be `symbols` unless source and target have vocabularies of words or subwords, but is `words`."
            )
    assert isinstance(model.source, TokenSpec)
    starts = word_starts(model.source, source.values.device)
    return (starts[source.values] & source.mask).sum(1)


def _refusal(request: Request, spec: TokenSpec, longest: int, sayable: int | None) -> str | None:
    """What is wrong with a request, as a sentence about its source; None if it is valid. `sayable` is the model's `longest_target`."""
    asked = {"prefix": (request.prefix,), "required phrase": request.required, "banned phrase": request.banned, "hot phrase": request.hot}
    for kind, phrases in asked.items():
        for phrase in phrases:
            if not phrase and kind != "prefix":
                return f"a {kind} must have at least one symbol, but is empty."
            for symbol in phrase:
                size = spec.size + spec.open_words
                if not 0 <= symbol < size or symbol in (spec.pad, spec.start, spec.end):
                    return f"the {kind} must hold symbols below {size} other than pad, start and end, but holds {symbol}."
            if kind == "banned phrase":
                continue
            if spec.unknown in phrase:
                return f"the {kind} must be what the model can write, but holds symbol {spec.unknown}, which stands for the unknown."
            if kind == "hot phrase":
                continue
            if sayable is not None and len(phrase) >= sayable:
                return f"the {kind} must have at most {sayable - 1} symbols, which is all that the model can write, but has {len(phrase)}."
            if len(phrase) > longest:
                return (
                    f"the {kind} must have at most {longest} symbols, the limit for the source's length, but has {len(phrase)}."
                    " Raise `limits.max_offset`, `limits.max_ratio` or `limits.max_length` of the search."
                )
    return None
