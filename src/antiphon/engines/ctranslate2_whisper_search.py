"""CTranslate2's own greedy search over recordings, where it finds the same hypotheses as ours.

What differs is looked after here:

* What may not be said is dropped from CTranslate2's probabilities before they are normalized, not after. So nothing is forbidden at first.
  Where that is said, the search is repeated with it forbidden, and scored by the model. What may only not be said first cannot be forbidden
  there alone, and is searched by ours.
* It says nothing of how likely the symbols are that an output begins with, but of a single one (as if that meant silence).
* It has one limit of length for a batch, we have one for each recording, and end at it with the end symbol.

Its beams are not ours: it ranks by the length without the end symbol.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any, final

import numpy as np
import torch

from antiphon.contracts.search import Search
from antiphon.contracts.sequences import FinishReason, Hypothesis, Padded, Request, select_rows
from antiphon.engines.ctranslate2_search import LaterScores, has_only_limits
from antiphon.errors import AntiphonError
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.preparation import Prepared, prepare


def own_search(settings: Any, opening: tuple[int, ...]) -> Search | None:
    """CTranslate2's search for these settings; None where it is not known to find the same hypotheses."""
    alike = isinstance(settings, GreedyConfig) and has_only_limits(settings) and not settings.alignment and bool(opening)
    return CTranslate2WhisperSearch(settings, opening) if alike else None


@dataclass(frozen=True)
class _Found:
    """The symbols for row `row`, with the beginning; `total` is the sum of all their scores, None where CTranslate2 cannot return it."""

    row: int
    symbols: list[int]
    total: float | None
    cut: bool


@final
class CTranslate2WhisperSearch:
    """Greedy search; inputs for which CTranslate2 would find something else are searched by ours."""

    def __init__(self, settings: GreedyConfig, opening: tuple[int, ...]):
        self.settings, self.opening, self.ours = settings, opening, GreedySearch(settings)

    @torch.inference_mode()
    def __call__(self, model: Any, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        """Decode a batch. Raises what our greedy search raises."""
        limits, processors = self.settings.limits, self.settings.processors
        prepared = prepare(model, source, requests, search="greedy", width=1, limits=limits, processors=processors)
        rows = [row for row, request in enumerate(prepared.requests) if self._can(request)]
        found = _hypotheses(model, prepared, self._searched(model, prepared, rows))
        left = [row for row in range(prepared.sources) if row not in found]
        if left:
            others = self.ours(model, select_rows(source, torch.tensor(left)), [prepared.requests[row] for row in left])
            found |= {row: own[0] for row, own in zip(left, others, strict=True)}
        return [[found[row]] for row in range(prepared.sources)]

    def _can(self, request: Request) -> bool:
        """Whether a request begins in the usual way and has no other requirements."""
        return request.prefix[: len(self.opening)] == self.opening and not (request.required or request.banned or request.hot)

    def _searched(self, model: Any, prepared: Prepared, rows: Sequence[int]) -> list[_Found]:
        """The allowed outputs, for the rows where CTranslate2 finds them."""
        rules = prepared.processors
        forbidden, first = set(rules.forbidden.tolist()), set(rules.forbidden_first.tolist())
        found, again = list[_Found](), list[_Found]()
        for one in self._told(model, prepared, rows, ()):
            said = [*one.symbols[len(prepared.requests[one.row].prefix) :], prepared.spec.end]
            if said[0] not in first:
                (again if forbidden.intersection(said) else found).append(one)
        for one in self._told(model, prepared, [one.row for one in again], sorted(forbidden)):
            said = [*one.symbols[len(prepared.requests[one.row].prefix) :], prepared.spec.end]
            if said[0] not in first:
                found.append(_Found(one.row, one.symbols, None, one.cut))
        return found

    def _told(self, model: Any, prepared: Prepared, rows: Sequence[int], forbidden: Sequence[int]) -> list[_Found]:
        """CTranslate2's outputs, each cut at its own length limit."""
        if not rows:
            return []
        count, limits = len(self.opening), prepared.limits.maximum
        prefixes = [prepared.requests[row].prefix[count:] for row in rows]
        states, longest = prepared.encoded.states[list(rows)], int(limits[list(rows)].max()) + 1 - count
        found = []
        for row, prefix, one in zip(rows, prefixes, model.searched(states, prefixes, longest, forbidden), strict=True):
            symbols, limit = [*self.opening, *model.ours(one.sequences_ids[0])], int(limits[row])
            cut = len(symbols) > limit
            tells = not cut and count == 1 and not prefix and one.no_speech_prob > 0
            total = log(one.no_speech_prob) + one.scores[0] if tells else None
            found.append(_Found(row, symbols[:limit], total, cut))
        return found


def _hypotheses(model: Any, prepared: Prepared, found: Sequence[_Found]) -> dict[int, Hypothesis]:
    """A hypothesis for each row. Step scores whose sum is known are computed for all rows together when they are first read."""
    now, later = ([one for one in found if (one.total is None) == unknown] for unknown in (True, False))
    known: list[tuple[float, ...]] = []

    def scores() -> Sequence[tuple[float, ...]]:
        if not known:
            known.extend(_scores(model, prepared, later))
        return known

    hypotheses = {one.row: _hypothesis(one, LaterScores(scores, place)) for place, one in enumerate(later)}
    return hypotheses | {one.row: _hypothesis(one, steps) for one, steps in zip(now, _scores(model, prepared, now), strict=True)}


def _hypothesis(one: _Found, steps: Sequence[float]) -> Hypothesis:
    total = sum(steps) if one.total is None else one.total
    if total != total:
        raise AntiphonError("The model's logits must be numbers, but are NaN. Has its training diverged?")
    reason: FinishReason = "length" if one.cut else "end"
    return Hypothesis(np.array(one.symbols, dtype=np.int64), total, total, steps, finish_reason=reason)


def _scores(model: Any, prepared: Prepared, found: Sequence[_Found]) -> list[tuple[float, ...]]:
    """The model's log-probability of each symbol and of the end."""
    spec, rows = prepared.spec, [one.row for one in found]
    logits = model.logits_of(prepared.encoded.states[rows], [[spec.start, *one.symbols] for one in found])
    scores = []
    for one, own in zip(found, logits, strict=True):
        said = torch.from_numpy(own).log_softmax(-1).gather(1, torch.tensor([*one.symbols, spec.end]).unsqueeze(1))
        scores.append(tuple(said.squeeze(1).tolist()))
    return scores
