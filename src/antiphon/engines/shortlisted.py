"""A model with a shortlist: greedy and beam search use only the symbols on it; everything else uses the whole vocabulary.

What is asked of an output (its beginning, phrases that it must or should have) is added to the list of its source. Probabilities are those
among what may be said.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor

from antiphon.contracts.engine import Exported
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.search import Search
from antiphon.contracts.sequences import Frames, Hypothesis, Memory, Output, Padded, Request
from antiphon.contracts.specs import TokenSpec
from antiphon.engines.facts import ModelOfFacts
from antiphon.engines.narrowed import Narrowed, hidden_of
from antiphon.engines.output_layer import OutputLayer
from antiphon.engines.shortlist import Shortlist
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.greedy import GreedyConfig, GreedySearch


@final
class Shortlisted(ModelOfFacts, StepwiseModel):
    """A model of graphs whose output layer is a graph of its own."""

    def __init__(self, model: StepwiseModel, exported: Exported, shortlist: Shortlist, layer: OutputLayer):
        super().__init__(exported)
        self.model, self.shortlist, self.layer = model, shortlist, layer

    def own_search(self, settings: Any) -> Search | None:
        """A search that uses the shortlist, if no other setting depends on the size of the whole vocabulary."""
        if not isinstance(settings, GreedyConfig | BeamConfig):
            return None
        plain = settings.ctc_weight == 0 and settings.language_model is None and not settings.hot_words.phrases
        if not plain or (isinstance(settings, BeamConfig) and settings.spans):
            return None
        return ShortlistSearch(settings)

    def encode(self, source: Padded) -> Memory:
        """Encode as without a shortlist."""
        return self.model.encode(source)

    def project(self, memory: Memory) -> Memory:
        """Project as without a shortlist."""
        return self.model.project(memory)

    def frames(self, memory: Memory) -> Frames | None:
        """Frames as without a shortlist."""
        return self.model.frames(memory)

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """Decode with the whole vocabulary."""
        return self.model.decode(inputs, memory, attention=attention)

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> Any:
        """The first state, as without a shortlist."""
        return self.model.init_state(memory, beam_size, max_length)

    def step(self, last: Tensor, memory: Memory, state: Any, *, attention: bool = False) -> tuple[Output, Any]:
        """One step with the whole vocabulary."""
        return self.model.step(last, memory, state, attention=attention)


@final
class ShortlistSearch:
    """Greedy or beam search over the symbols that the sources of a batch allow, each source with its own."""

    def __init__(self, settings: GreedyConfig | BeamConfig):
        self.settings = settings

    @torch.inference_mode()
    def __call__(self, model: Shortlisted, source: Padded, requests: Sequence[Request] | None = None) -> list[list[Hypothesis]]:
        """Decode a batch. Raises the errors of the search of that name."""
        spec = model.target
        assert isinstance(spec, TokenSpec), "a shortlist is one of symbols"
        asked = tuple(requests) if requests is not None else (Request(),) * len(source.lengths)
        wanted = [_symbols(request) for request in asked]
        if not (_can_be_said(wanted, spec) and _exist(asked, self.settings, spec)):
            return _search(self.settings)(model, source, requests)  # which refuses it
        allowed = torch.from_numpy(model.shortlist.allowed(_sources(model, source), wanted))
        symbols = allowed.any(0).nonzero().squeeze(1)
        view = Narrowed(model.model, symbols, hidden_of(allowed[:, symbols]), model.layer.of(symbols))
        new = {symbol: number for number, symbol in enumerate(symbols.tolist())}
        found = _search(_renumbered(self.settings, new))(view, source, [_request(request, new) for request in asked])
        old = symbols.numpy()
        return [[replace(one, elements=old[one.elements]) for one in own] for own in found]


def _search(settings: GreedyConfig | BeamConfig) -> Search:
    return GreedySearch(settings) if isinstance(settings, GreedyConfig) else BeamSearch(settings)


def _sources(model: Shortlisted, source: Padded) -> list[list[int]]:
    assert isinstance(model.source, TokenSpec), "a shortlist is one of symbols"
    rows, lengths = model.source.known(source.values).tolist(), source.lengths.tolist()
    return [row[:length] for row, length in zip(rows, lengths, strict=True)]


def _symbols(request: Request) -> list[int]:
    """All symbols that an output may need."""
    return [symbol for phrase in (request.prefix, *request.required, *request.hot) for symbol in phrase]


def _can_be_said(wanted: Sequence[Sequence[int]], spec: TokenSpec) -> bool:
    special = (spec.pad, spec.start, spec.end, spec.unknown)
    return all(0 <= symbol < spec.size and symbol not in special for own in wanted for symbol in own)


def _exist(asked: Sequence[Request], settings: Any, spec: TokenSpec) -> bool:
    """Whether any of the forbidden symbols exist."""
    rules, size = settings.processors, spec.size
    banned = [symbol for request in asked for phrase in request.banned for symbol in phrase]
    special = {spec.pad, spec.start, spec.end}
    return all(symbol < size for symbol in (*rules.forbidden, *rules.forbidden_first)) and all(
        0 <= symbol < size + spec.open_words and symbol not in special for symbol in banned
    )


def _request(request: Request, new: dict[int, int]) -> Request:
    """The request with renumbered symbols; banned ones outside of the shortlist are left out."""

    def phrases(given: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(new[symbol] for symbol in phrase) for phrase in given if all(symbol in new for symbol in phrase))

    prefix = tuple(new[symbol] for symbol in request.prefix)
    banned, required, hot = phrases(request.banned), phrases(request.required), phrases(request.hot)
    return replace(request, prefix=prefix, required=required, banned=banned, hot=hot)


def _renumbered(settings: Any, new: dict[int, int]) -> Any:
    """The search settings with renumbered forbidden symbols."""
    rules = settings.processors
    forbidden, first = (tuple(new[one] for one in numbers if one in new) for numbers in (rules.forbidden, rules.forbidden_first))
    return replace(settings, processors=replace(rules, forbidden=forbidden, forbidden_first=first))
