"""Searches by a shortlist find what searches of the whole vocabulary find when all else is masked, whatever is beside them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from antiphon.contracts.engine import Exported, Facts
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.search import RequestError
from antiphon.contracts.sequences import Memory, Output, Padded, Request, select_rows
from antiphon.contracts.specs import TokenSpec
from antiphon.engines.graphs import open_graphs
from antiphon.engines.output_layer import FILE
from antiphon.engines.shortlist import Shortlist
from antiphon.engines.shortlisted import ShortlistSearch
from antiphon.errors import CheckpointError, ConfigError
from antiphon.exporters.graphs import facts_of, graphs_of
from antiphon.models import lstm, transformer
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.fusion import LanguageModelConfig
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.hot_words import HotWordsConfig
from antiphon.search.limits import LimitsConfig
from antiphon.search.processors import ProcessorsConfig
from antiphon.search.sampling import SamplingConfig
from tests.conformance.agreement import Eager

SPEC = TokenSpec(size=40, pad=0, unknown=1, start=2, end=3, fingerprint="test", word_starts=np.arange(40) % 3 == 1)
SMALL = {"dim": 8, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "feed_forward_dim": 12, "dropout": 0.0}
LIMITS = LimitsConfig(max_length=6)


class Graphs(Eager):
    """Graphs with the product of some symbols, which an engine has as a file."""

    def run(self, graph: str, inputs: Any) -> Any:
        if graph == "say_some":
            return {"said": inputs["features"] @ inputs["weight"].T + inputs["bias"]}
        return super().run(graph, inputs)


def lists(seed: int = 0) -> Shortlist:
    """Each symbol of the source allows three."""
    drawn = np.random.default_rng(seed).integers(4, SPEC.size, (SPEC.size, 3))
    return Shortlist(np.arange(SPEC.size + 1) * 3, drawn.reshape(-1), np.arange(5), SPEC.size)


@pytest.fixture(scope="module", params=["attention", "ssru", "lstm"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """A model, and it as an engine has it, with a shortlist."""
    torch.manual_seed(3)
    head = {"name": "categorical", "bias": True}
    if request.param == "lstm":
        model: Any = lstm.build(lstm.LSTMConfig(dim=8, dropout=0.0, head=head), SPEC, SPEC)
    else:
        model = transformer.build(transformer.TransformerConfig(**SMALL, decoder=request.param, head=head), SPEC, SPEC)
    model = model.eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.4 * torch.randn_like(weight))
    folder = tmp_path_factory.mktemp("engine")
    save_file({"weight": model.head.weight.data.clone(), "bias": model.head.bias.data.clone()}, folder / FILE)
    lists().save(folder)
    exported = Exported(folder, SPEC, SPEC, model.settings.head, "fp32", facts_of(model), details={"shortlist": SPEC.size})
    return model, open_graphs(Graphs(graphs_of(model, model.head)), exported).eval()


class Masked(StepwiseModel):
    """A model whose logits of what may not be said are minus infinity; of one source."""

    def __init__(self, model: Any, allowed: np.ndarray):
        super().__init__()
        self.model, self.source, self.target = model, model.source, model.target
        self.hidden = torch.zeros(allowed.shape).masked_fill(~torch.from_numpy(allowed), -torch.inf)

    def encode(self, source: Padded) -> Memory:
        return self.model.encode(source)

    def project(self, memory: Memory) -> Memory:
        return self.model.project(memory)

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        return self.model.decode(inputs, memory, attention=attention)

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> Any:
        return self.model.init_state(memory, beam_size, max_length)

    def step(self, last: torch.Tensor, memory: Memory, state: Any, *, attention: bool = False) -> tuple[Output, Any]:
        output, after = self.model.step(last, memory, state, attention=attention)
        return Output(output.values + self.hidden, lambda values: values, output.attention), after


SOURCES = [[5, 6, 7, 3], [20, 3], [30, 31, 9, 10, 11, 3], [5, 20, 3]]


def padded(sources: list[list[int]]) -> Padded:
    longest = max(map(len, sources))
    return Padded(torch.tensor([[*one, *[0] * (longest - len(one))] for one in sources]), torch.tensor([len(one) for one in sources]))


def said(found: Any) -> list[list[tuple[list[int], float]]]:
    return [[(one.elements.tolist(), one.score) for one in own] for own in found]


def same(one: Any, other: Any) -> None:
    for first, second in zip(said(one), said(other), strict=True):
        assert [elements for elements, _ in first] == [elements for elements, _ in second]
        assert [score for _, score in first] == pytest.approx([score for _, score in second], abs=1e-5)


GREEDY, BEAM = GreedyConfig(limits=LIMITS), BeamConfig(limits=LIMITS, beam_size=3, n_best=2)
RULES = ProcessorsConfig(no_repeat_ngram_size=2, repetition_penalty=1.3, allow_unknown=False, forbidden=(30, 9, 12), forbidden_first=(3, 5))
SETTINGS = [
    GREEDY,
    BEAM,
    GreedyConfig(limits=LIMITS, processors=RULES),
    BeamConfig(limits=LIMITS, beam_size=4, processors=RULES, length_penalty="gnmt", groups=2),
]
REQUESTS = [
    Request(),
    Request(prefix=(38, 37)),
    Request(required=((36, 35),), banned=((8,), (33, 34))),
    Request(banned=((SPEC.size - 1,),)),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=range(len(SETTINGS)))
@torch.inference_mode()
def test_a_search_finds_the_best_of_what_may_be_said(pair: Any, settings: Any) -> None:
    model, short = pair
    if settings not in (BEAM, SETTINGS[2]) and "transformer" not in type(model).__module__:
        pytest.skip("one of each kind for another state")
    search = short.own_search(settings)
    plain = GreedySearch(settings) if isinstance(settings, GreedyConfig) else BeamSearch(settings)
    beams = isinstance(settings, BeamConfig) and settings.groups == 1
    requests = REQUESTS if beams else [replace(request, required=()) for request in REQUESTS]
    found = search(short, padded(SOURCES), requests)
    for source, request, own in zip(SOURCES, requests, found, strict=True):
        asked = [symbol for phrase in (request.prefix, *request.required) for symbol in phrase]
        masked = Masked(model, lists().allowed([source], [asked]))
        same(plain(masked, padded([source]), [request]), [own])
        same(search(short, padded([source]), [request]), [own])  # alone as beside others


def test_what_is_asked_for_is_said(pair: Any) -> None:
    _, short = pair
    found = short.own_search(BEAM)(short, padded(SOURCES), REQUESTS)
    assert found[1][0].elements[:2].tolist() == [38, 37]
    assert "36, 35" in str(found[2][0].elements.tolist())


@pytest.mark.parametrize(
    "wrong", [Request(prefix=(SPEC.size,)), Request(required=((SPEC.start,),)), Request(banned=((SPEC.size,),)), Request(prefix=(-1,))]
)
def test_what_cannot_be_asked_is_refused_in_the_same_words(pair: Any, wrong: Request) -> None:
    model, short = pair
    reasons = []
    for one, search in ((model, BeamSearch(BEAM)), (short, short.own_search(BEAM))):
        with pytest.raises(RequestError) as caught:
            search(one, padded(SOURCES[:2]), [Request(), wrong])
        reasons.append(caught.value.reasons)
    assert reasons[0] == reasons[1]
    assert list(reasons[0]) == [1]


def test_a_symbol_that_does_not_exist_cannot_be_forbidden(pair: Any) -> None:
    with pytest.raises(ConfigError, match="symbols below 40"):
        ShortlistSearch(GreedyConfig(processors=ProcessorsConfig(forbidden=(40,))))(pair[1], padded(SOURCES))


def test_alignments_are_over_the_whole_source(pair: Any) -> None:
    _, short = pair
    (found,) = short.own_search(replace(GREEDY, alignment=True))(short, padded(SOURCES[2:3]))
    assert found[0].alignment.shape == (len(found[0].elements), len(SOURCES[2]))
    assert found[0].alignment.sum(1) == pytest.approx(1, abs=1e-5)


@torch.inference_mode()
def test_all_else_computes_with_the_whole_vocabulary(pair: Any) -> None:
    model, short = pair
    others = [
        replace(BEAM, ctc_weight=0.3),
        replace(GREEDY, language_model=LanguageModelConfig(run="x", weight=0.3)),
        replace(GREEDY, hot_words=HotWordsConfig(phrases=("x",))),
        replace(BEAM, spans=True),
        SamplingConfig(),
    ]
    assert [short.own_search(one) for one in others] == [None] * 5
    same(GreedySearch(GREEDY)(short, padded(SOURCES)), GreedySearch(GREEDY)(model, padded(SOURCES)))
    source, inputs = padded(SOURCES), padded([[2, 5, 6], [2, 7], [2], [2, 9]])
    whole, again = (one.decode(inputs, one.encode(source)).values for one in (model, short))
    torch.testing.assert_close(again[inputs.mask], whole[inputs.mask], atol=1e-4, rtol=0)


@torch.inference_mode()
def test_hidden_symbols_go_with_their_sources(pair: Any) -> None:
    """Rows of a memory may be dropped and turned round in the middle of a search."""
    from antiphon.engines.narrowed import Narrowed, hidden_of

    _, short = pair
    allowed = torch.from_numpy(lists().allowed(SOURCES))
    symbols = allowed.any(0).nonzero().squeeze(1)
    view = Narrowed(short.model, symbols, hidden_of(allowed[:, symbols]), short.layer.of(symbols))
    memory = select_rows(view.project(view.encode(padded(SOURCES))), torch.tensor([3, 0]))
    output, _ = view.step(torch.full((4,), view.target.start), memory, view.init_state(memory, 2, 5))
    assert torch.equal(output.values.isfinite(), allowed[[3, 3, 0, 0]][:, symbols])


def test_files_of_other_vocabularies_are_refused(tmp_path: Path) -> None:
    from antiphon.engines.shortlist import shortlist_of

    exported = Exported(tmp_path, SPEC, SPEC, None, "fp32", Facts(stepwise=True, frames=False), details={"shortlist": 1})
    with pytest.raises(CheckpointError, match="Export the run again"):
        shortlist_of(exported)
    replace(lists(), always=np.array([SPEC.size])).save(tmp_path)
    with pytest.raises(CheckpointError, match="other vocabularies"):
        shortlist_of(exported)
    replace(lists(), offsets=lists().offsets[1:]).save(tmp_path)
    with pytest.raises(CheckpointError, match="other vocabularies"):
        shortlist_of(exported)


def test_the_symbols_that_are_left_keep_what_they_are() -> None:
    from antiphon.engines.narrowed import narrowed

    spec = replace(SPEC, suppressed=(5, 8), suppressed_first=(8, 9), open_words=2)
    left = narrowed(spec, torch.tensor([0, 1, 2, 3, 7, 8]))
    assert (left.size, left.pad, left.unknown, left.start, left.end, left.open_words) == (6, 0, 1, 2, 3, 2)
    assert (left.suppressed, left.suppressed_first) == ((5,), (5,))
    assert left.word_starts is not None
    assert left.word_starts.tolist() == [False, True, False, False, True, False]
    assert left != spec
