"""CTranslate2's own searches, where they find the same hypotheses as ours.

Proved equal are the greedy search, and beams whose hypotheses are ranked by their log-probability over a power of their length. What
differs is looked after here:

* Without a length penalty CTranslate2 stops a beam when the best candidate of a step ends, not when W have ended.
* It has one limit of length for a batch, we have one for each source, and end at it with the end symbol. What became longer than its own
  limit is cut and scored (greedy). Beams that are alike up to the limit can differ in what the limit ends. That a symbol more costs at
  least nothing and at most all bounds it: where the best `n_best` ended before the limit, and nothing that was going on one symbol behind
  it scores better, then no end at the limit does. A beam that met the limit of another source is searched again, among those of its own
  limit; what is still not sure by ours.
* What may not be said (padding and start) is dropped from its probabilities before they are normalized, not after. So nothing is forbidden
  at first. Where greedy search says it, the search is repeated with that forbidden, and scored by the model. To a beam it is another end,
  which goes on with the same hypotheses as ours, but stops too early by so many ends: such a beam is searched again with as much more
  patience, and if all that it tells then are true ends, it stopped where ours does.
* Behind a beginning that is forced its beam never ends at once. So the next symbol is looked at first: where the end is among the best, and
  where part of the beginning is no part of the length, ours searches. All that ask for more are ours, too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final, overload

import numpy as np
import torch
from torch import Tensor

from antiphon.contracts.search import Search
from antiphon.contracts.sequences import FinishReason, Hypothesis, Padded, Request, select_rows
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import AntiphonError
from antiphon.search.alignment import traced
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.penalties import length_penalty
from antiphon.search.preparation import Prepared, prepare

_ENDS = 4  # CTranslate2 compares so many times the beam of candidates: one for each of three ends, and one
_NO_PENALTY = 1e-9  # an exponent that changes no score; with 0 it would stop when the best candidate of a step ends


def own_search(settings: Any, target: TokenSpec) -> Search | None:
    """CTranslate2's search for these settings; None where it is not known to find the same hypotheses."""
    if isinstance(settings, GreedyConfig):
        return CTranslate2Search(settings, 1, GreedySearch(settings)) if _plain(settings, target) else None
    if not isinstance(settings, BeamConfig) or not _plain(settings, target):
        return None
    same = (
        settings.length_penalty != "gnmt"
        and settings.patience == 1
        and settings.groups == 1
        and settings.coverage_penalty == 0
        and not settings.spans
        and settings.processors.allow_unknown
        and not settings.processors.forbidden
        and (settings.processors.allow_suppressed or not target.suppressed)
        and target.size > _ENDS * settings.beam_size
    )
    return CTranslate2Search(settings, settings.beam_size, BeamSearch(settings)) if same else None


def _plain(settings: Any, target: TokenSpec) -> bool:
    """Whether the output depends only on the model, its vocabulary and a length limit, from the first symbol on."""
    rules = settings.processors
    return has_only_limits(settings) and not rules.forbidden_first and (rules.allow_suppressed or not target.suppressed_first)


def has_only_limits(settings: Any) -> bool:
    """Whether the output depends only on the model, a length limit, and symbols that are forbidden everywhere or at the beginning."""
    rules, limits = settings.processors, settings.limits
    return bool(
        settings.ctc_weight == 0
        and settings.language_model is None
        and settings.length_reward == 0
        and not settings.hot_words.phrases
        and limits.unit == "symbols"
        and limits.min_length == 0
        and limits.min_ratio == 0
        and rules.no_repeat_ngram_size == 0
        and rules.repetition_penalty == 1
    )


@final
class LaterScores(Sequence[float]):
    """Step scores that are computed when they are read: CTranslate2 returns only their sum, and computing them takes a pass of its own."""

    def __init__(self, batch: Callable[[], Sequence[tuple[float, ...]]], place: int):
        self._batch, self._place = batch, place

    def __len__(self) -> int:
        return len(self._scores())

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[float, ...]: ...

    def __getitem__(self, index: int | slice) -> float | tuple[float, ...]:
        return self._scores()[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._scores() == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._scores())

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (self._scores(),)

    def _scores(self) -> tuple[float, ...]:
        return self._batch()[self._place]


@dataclass(frozen=True)
class _Found:
    """The output for row `row`: its symbols, the sum that it was ranked by, and whether the length limit stopped it.

    `total` is None where CTranslate2 cannot have told it.
    """

    row: int
    symbols: list[int]
    total: float | None
    cut: bool = False


@dataclass(frozen=True)
class _Again:
    """How a beam search is repeated: with patience for `stumbled` hypotheses that end in forbidden symbols, and for rows of one `limit`, if
    any."""

    stumbled: int
    limit: int | None


@final
class CTranslate2Search:
    """Greedy search for a width of 1, otherwise beam search. `ours` is used for inputs where CTranslate2 would not find the same
    hypotheses."""

    def __init__(self, settings: GreedyConfig | BeamConfig, width: int, ours: Search):
        self.settings, self.width, self.ours = settings, width, ours

    @torch.inference_mode()
    def __call__(self, model: Any, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        """Decode a batch. Raises the errors of our search of the same name."""
        beam = isinstance(self.settings, BeamConfig)
        prepared = prepare(
            model,
            source,
            requests,
            search=self.settings.name,
            width=1,
            limits=self.settings.limits,
            processors=self.settings.processors,
            can_require=beam,
        )
        names = model.sources_of(prepared.encoded)
        rows = [row for row, request in enumerate(prepared.requests) if self._can(request)]
        if beam:
            rows = self._going_on(model, names, prepared, rows)
        found = self._greedy(model, names, prepared, rows) if self.width == 1 else self._beam(model, names, prepared, rows)
        hypotheses = self._hypotheses(model, names, prepared, found)
        left = [row for row, own in enumerate(hypotheses) if not own]
        own = [[] if row in left else one for row, one in enumerate(hypotheses)]
        own = traced(model, prepared.encoded, own, alignment=self.settings.alignment)
        if left:
            others = self.ours(model, select_rows(source, torch.tensor(left)), [prepared.requests[row] for row in left])
            for row, one in zip(left, others, strict=True):
                own[row] = one
        return own

    def _can(self, request: Request) -> bool:
        return not (request.required or request.banned or request.hot or (request.given and self.width > 1))

    def _going_on(self, model: Any, names: list[list[str]], prepared: Prepared, rows: Sequence[int]) -> list[int]:
        """The rows without those in which the end symbol ranks among the best after the forced beginning: CTranslate2 would not end
        there."""
        spec, kept = prepared.spec, [row for row in rows if not prepared.requests[row].prefix]
        for length in sorted({len(prepared.requests[row].prefix) for row in rows} - {0}):
            own = [row for row in rows if len(prepared.requests[row].prefix) == length]
            said = torch.tensor([[spec.start, *prepared.requests[row].prefix] for row in own])
            logits = model.next_symbol([names[row] for row in own], said)
            better = (logits > logits[:, spec.end].unsqueeze(1)).sum(1) >= self.width + len(prepared.processors.forbidden)
            kept += [row for row, goes_on in zip(own, better.tolist(), strict=True) if goes_on]
        return sorted(kept)

    def _greedy(self, model: Any, names: list[list[str]], prepared: Prepared, rows: Sequence[int]) -> list[_Found]:
        forbidden = prepared.processors.forbidden.tolist()
        found, again = self._ended(self._translated(model, names, prepared, rows), prepared, forbidden)
        if again:
            more = self._translated(model, names, prepared, again, {"suppress_sequences": [model.named([one]) for one in forbidden]})
            found += [_Found(one.row, one.symbols, None, one.cut) for one in self._ended(more, prepared, [])[0]]
        return found

    def _ended(self, told: Sequence[tuple[int, Any]], prepared: Prepared, forbidden: Sequence[int]) -> tuple[list[_Found], list[int]]:
        """Hypotheses within their limits, and the rows whose output contains forbidden symbols."""
        found, again = [], []
        for row, one in told:
            symbols, limit = [int(name) for name in one.hypotheses[0]], int(prepared.limits.maximum[row])
            symbols, ended = (symbols[:-1], True) if symbols and symbols[-1] == prepared.spec.end else (symbols, False)
            cut = not ended or len(symbols) > limit
            symbols = symbols[:limit]
            if _says(symbols, prepared.requests[row], forbidden):
                again.append(row)
            else:
                found.append(_Found(row, symbols, None if cut else one.scores[0], cut))
        return found, again

    def _beam(self, model: Any, names: list[list[str]], prepared: Prepared, rows: Sequence[int]) -> list[_Found]:
        assert isinstance(self.settings, BeamConfig)
        found, again = list[_Found](), {_Again(0, None): list(rows)}
        while again:
            why = next(iter(again))
            more, reasons = self._sure(model, names, prepared, again.pop(why), why)
            found += more
            for row, reason in reasons.items():
                again.setdefault(reason, []).append(row)
        return found

    def _sure(
        self, model: Any, names: list[list[str]], prepared: Prepared, rows: Sequence[int], why: "_Again"
    ) -> tuple[list[_Found], dict[int, "_Again"]]:
        """The hypotheses that our search would find, too, and the rows that may be settled by another search."""
        assert isinstance(self.settings, BeamConfig)
        end, forbidden, limits = prepared.spec.end, prepared.processors.forbidden.tolist(), prepared.limits.maximum
        found, again, longest = list[_Found](), dict[int, _Again](), int(limits[list(rows)].max(initial=0))
        ending = {end, *forbidden}
        ends = model.named([end, *forbidden])  # so what may not be said is seen where it takes a place of the beam
        more = {"num_hypotheses": self.width, "end_token": ends, "patience": (self.width + why.stumbled) / self.width}
        for row, one in self._translated(model, names, prepared, rows, more):
            every = [[int(name) for name in names] for names in one.hypotheses]
            if len(every) < self.width or not all(ending.isdisjoint(symbols[:-1]) for symbols in every):
                continue
            stumbled = sum(symbol in forbidden for symbols in every for symbol in symbols[-1:])
            best = self.settings.n_best if limits[row] == longest else self.width
            if stumbled > why.stumbled:
                again[row] = _Again(stumbled, why.limit)
            elif not stumbled and all(_ended(symbols, prepared, row) for symbols in every[:best]):
                ranked = zip(every, one.scores, strict=True)
                found += [_Found(row, symbols[:-1], score) for symbols, score in list(ranked)[: self.settings.n_best]]
            elif not stumbled and limits[row] < longest:
                again[row] = _Again(why.stumbled, int(limits[row]))
        return found, again

    def _translated(
        self, model: Any, names: list[list[str]], prepared: Prepared, rows: Sequence[int], more: Mapping[str, Any] | None = None
    ) -> list[tuple[int, Any]]:
        if not rows:
            return []
        prefixes = [model.named(prepared.requests[row].prefix) for row in rows]
        found = model.translator.translate_batch(
            [names[row] for row in rows],
            target_prefix=prefixes if any(prefixes) else None,
            beam_size=self.width,
            length_penalty=self._exponent() if self.width > 1 else 0.0,
            max_decoding_length=int(prepared.limits.maximum[list(rows)].max()) + 1,
            min_decoding_length=0,
            max_input_length=0,
            return_scores=True,
            return_end_token=True,
            **(more or {}),
        )
        return list(zip(rows, found, strict=True))

    def _exponent(self) -> float:
        """The exponent of the length by which log-probabilities are divided."""
        settings = self.settings
        if not isinstance(settings, BeamConfig) or settings.length_penalty == "none":
            return _NO_PENALTY
        return 1.0 if settings.length_penalty == "average" else 0.6 if settings.alpha is None else max(settings.alpha, _NO_PENALTY)

    def _hypotheses(self, model: Any, names: list[list[str]], prepared: Prepared, found: Sequence[_Found]) -> list[list[Hypothesis]]:
        """The hypotheses for each row, best first."""
        hypotheses: list[list[Hypothesis]] = [[] for _ in prepared.requests]
        now = [one for one in found if one.total is None or prepared.requests[one.row].prefix]
        later = [one for one in found if not (one.total is None or prepared.requests[one.row].prefix)]
        scored = dict(zip(map(id, now), _scores(model, names, now), strict=True))
        known: list[tuple[float, ...]] = []

        def scores() -> Sequence[tuple[float, ...]]:
            if not known:
                known.extend(_scores(model, names, later))
            return known

        places = {id(one): place for place, one in enumerate(later)}
        for one in found:
            steps = scored.get(id(one)) or LaterScores(scores, places[id(one)])
            hypotheses[one.row].append(self._hypothesis(one, steps, prepared.requests[one.row]))
        return hypotheses

    def _hypothesis(self, one: _Found, steps: Sequence[float], request: Request) -> Hypothesis:
        """A hypothesis with the score that our search would give it."""
        divisor = self._divisor(max(len(one.symbols) + 1 - request.given, 1))
        if isinstance(steps, LaterScores):
            assert one.total is not None
            log_prob = ranked = one.total * (divisor if self.width > 1 else 1.0)
        else:
            log_prob, ranked = sum(steps), sum(steps[len(request.prefix) :])
        if log_prob != log_prob:
            raise AntiphonError("The model's logits must be numbers, but are NaN. Has its training diverged?")
        score = ranked / divisor if isinstance(self.settings, BeamConfig) else log_prob
        reason: FinishReason = "length" if one.cut else "end"
        return Hypothesis(np.array(one.symbols, dtype=np.int64), score, log_prob, steps, finish_reason=reason)

    def _divisor(self, length: int) -> float:
        settings = self.settings
        if not isinstance(settings, BeamConfig):
            return 1.0
        alpha = 0.6 if settings.alpha is None else settings.alpha
        penalty: Tensor = length_penalty(settings.length_penalty, alpha, torch.tensor([length]))
        return float(penalty)


def _ended(symbols: Sequence[int], prepared: Prepared, row: int) -> bool:
    """Whether a hypothesis ended by itself, before its limit."""
    return bool(symbols and symbols[-1] == prepared.spec.end and len(symbols) <= prepared.limits.maximum[row])


def _says(symbols: Sequence[int], request: Request, forbidden: Sequence[int]) -> bool:
    """Whether the output after the forced beginning contains one of these symbols."""
    return any(symbol in forbidden for symbol in symbols[len(request.prefix) :])


def _scores(model: Any, names: list[list[str]], found: Sequence[_Found]) -> list[tuple[float, ...]]:
    """The model's log-probability of each symbol and of the end."""
    if not found:
        return []
    targets = [model.named(one.symbols) for one in found]
    scored = model.translator.score_batch([names[one.row] for one in found], targets, max_input_length=0)
    return [tuple(one.log_probs) for one in scored]
