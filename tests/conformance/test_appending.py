"""A model whose step appends to what was said says what it said, by every search, however rows are re-ordered, dropped or made more.

Steps that write in place need ONNX Runtime, and a fixture that traces the model.
"""

from pathlib import Path

import pytest
import torch

from antiphon.contracts.engine import Exported
from antiphon.contracts.sequences import Padded, Request
from antiphon.engines.graphs import AppendingGraphModel, InPlaceGraphModel, open_graphs
from antiphon.exporters.graphs import facts_of, graphs_of
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.ensemble import Ensemble
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.limits import LimitsConfig
from antiphon.search.processors import ProcessorsConfig
from antiphon.search.rollout import RolloutConfig, RolloutSearch
from antiphon.search.sampling import SamplingConfig, SamplingSearch
from tests.checked_shapes import unchecked
from tests.conformance.agreement import Eager
from tests.conformance.variants import SPECS, batch, build, variants

LIMITS = LimitsConfig(min_length=3, max_length=25)  # the pool becomes full on the way
REPEATS = ProcessorsConfig(no_repeat_ngram_size=3)
SEARCHES = {
    "greedy": GreedySearch(GreedyConfig(limits=LIMITS)),
    "beam": BeamSearch(BeamConfig(beam_size=4, n_best=3, limits=LIMITS, processors=REPEATS)),
    "beam that needs attention": BeamSearch(BeamConfig(beam_size=2, coverage_penalty=0.2, alignment=True, limits=LIMITS)),
    "groups": BeamSearch(BeamConfig(beam_size=4, groups=2, n_best=2, limits=LIMITS)),
    "sampling": SamplingSearch(SamplingConfig(samples=3, limits=LIMITS)),
}
CHOSEN = {
    "transformer-default": SEARCHES,
    "transformer-grouped, relative": ["beam"],
    "transformer-grouped, rotary": ["greedy", "beam"],
    "transformer-learned, post-norm": ["beam"],
    "transformer-pointer": ["beam"],
    "transformer-wait-k": ["beam"],
}
CASES = [(variant, search) for variant in variants() for search in CHOSEN.get(variant.id, ())]


def exported(model, kind):
    """The model from its graphs."""
    source, target = SPECS[kind]
    head = getattr(model.settings, "head", None)
    again = open_graphs(Eager(graphs_of(model)), Exported(Path(), source, target, head, "fp32", facts_of(model))).eval()
    assert isinstance(again, AppendingGraphModel)
    return again


def same(model, again, search, source, requests=None):
    """Fail unless both say the same, with the same scores."""
    for own, other in zip(search(model, source, requests), search(again, source, requests), strict=True):
        assert [one.elements.tolist() for one in own] == [one.elements.tolist() for one in other]
        assert [one.score for one in own] == pytest.approx([one.score for one in other], abs=2e-4)
        assert [one.finish_reason for one in own] == [one.finish_reason for one in other]


def whole(name, seed, kind="tokens"):
    """A model in single precision, and a source of several lengths."""
    variant = next(variant for variant in variants() if variant.id == name)
    return build(variant, seed, kind).float(), batch(kind, seed, source=(5, 2, 7, 4, 1)).source


@pytest.mark.parametrize(("variant", "search"), CASES, ids=[f"{variant.id}-{search}" for variant, search in CASES])
def test_every_search_finds_the_same(variant, search, seed):
    model, source = whole(variant.id, seed)
    same(model, exported(model, "tokens"), SEARCHES[search], source)


def test_requests_are_met_in_the_same_way(seed):
    model, source = whole("transformer-default", seed)
    requests = [Request(prefix=(5, 6)), Request(required=((7, 8),)), Request(banned=((4,), (5, 6))), Request(), Request(prefix=(9,))]
    same(model, exported(model, "tokens"), BeamSearch(BeamConfig(beam_size=3, limits=LIMITS)), source, requests)


def test_ensembles_of_both_find_what_the_whole_models_find(seed):
    first, source = whole("transformer-default", seed)
    second, _ = whole("transformer-rotary", seed + 1)
    search = SEARCHES["beam"]
    same(Ensemble([first, second]), Ensemble([exported(first, "tokens"), exported(second, "tokens")]), search, source)
    same(Ensemble([first, second]), Ensemble([first, exported(second, "tokens")]), search, source)


def test_sample_paths_of_values_are_the_same(seed):
    model, source = whole("transformer-default", seed, "values")
    source = Padded(source.values.float(), source.lengths)
    known = [Request(known=torch.zeros(9, 3).numpy()) for _ in source.lengths]
    found = [RolloutSearch(RolloutConfig())(one, source, known) for one in (model, exported(model, "values"))]
    for own, other in zip(*found, strict=True):
        torch.testing.assert_close(torch.from_numpy(other[0].elements), torch.from_numpy(own[0].elements), rtol=1e-4, atol=1e-4)


def test_a_sentence_alone_is_what_it_is_in_a_batch(seed):
    model, source = whole("transformer-default", seed)
    again, search = exported(model, "tokens"), SEARCHES["beam"]
    together = search(again, source)
    for row, hypotheses in enumerate(together):
        (alone,) = search(again, Padded(source.values[row : row + 1, : int(source.lengths[row])], source.lengths[row : row + 1]))
        assert [one.elements.tolist() for one in alone] == [one.elements.tolist() for one in hypotheses]


@pytest.fixture(scope="module")
def in_place(tmp_path_factory):
    """A model, and itself in files for ONNX Runtime, which write in place."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from antiphon.engines.onnx import OnnxGraphs
    from antiphon.exporters.onnx import write_graphs

    model, _ = whole("transformer-default", 1)
    folder = tmp_path_factory.mktemp("files")
    with unchecked():
        write_graphs(model, folder)
    source, target = SPECS["tokens"]
    again = open_graphs(OnnxGraphs(folder), Exported(folder, source, target, None, "fp32", facts_of(model))).eval()
    assert isinstance(again, InPlaceGraphModel)
    return model, again


@pytest.mark.slow
@pytest.mark.parametrize("search", SEARCHES)
def test_every_search_finds_the_same_in_place(search, in_place, seed):
    model, again = in_place
    source = batch("tokens", seed, source=(5, 2, 7, 4, 1)).source
    same(model, again, SEARCHES[search], source)
    for row, hypotheses in enumerate(SEARCHES["beam"](again, source)):
        (alone,) = SEARCHES["beam"](again, Padded(source.values[row : row + 1, : int(source.lengths[row])], source.lengths[row : row + 1]))
        assert [one.elements.tolist() for one in alone] == [one.elements.tolist() for one in hypotheses]


@pytest.mark.slow
def test_requests_and_ensembles_are_the_same_in_place(in_place, seed):
    model, again = in_place
    source = batch("tokens", seed, source=(5, 2, 7, 4, 1)).source
    requests = [Request(prefix=(5, 6)), Request(required=((7, 8),)), Request(banned=((4,), (5, 6))), Request(), Request(prefix=(9,))]
    same(model, again, BeamSearch(BeamConfig(beam_size=3, limits=LIMITS)), source, requests)
    same(Ensemble([model, model]), Ensemble([again, model]), SEARCHES["beam"], source)
