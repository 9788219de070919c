"""Searches over a compiled step find what they find without, and torch compiles few programs, however long and many the outputs are."""

import gc
import json
import subprocess
import sys

import pytest
import torch

from antiphon.contracts.sequences import Padded
from antiphon.contracts.specs import TokenSpec
from antiphon.errors import ConfigError
from antiphon.models import lstm, transformer
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.compiled import CompiledSteps
from antiphon.search.ensemble import Ensemble
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.limits import LimitsConfig
from antiphon.search.processors import ProcessorsConfig
from antiphon.search.sampling import SamplingConfig, SamplingSearch

SPEC = TokenSpec(size=40, pad=0, unknown=1, start=2, end=3, fingerprint="test")
LONG = LimitsConfig(min_length=3, max_length=45)  # room is for 32 steps at first


def shaken(build, settings, seed):
    torch.manual_seed(seed)
    model = build(settings, SPEC, SPEC).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return model


def a_transformer(seed):
    sizes = {"dim": 16, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "feed_forward_dim": 20}
    return shaken(transformer.build, transformer.TransformerConfig(**sizes), seed)


def sources(rows, longest, seed):
    draw = torch.Generator().manual_seed(seed)
    return Padded(torch.randint(4, 40, (rows, longest), generator=draw), torch.tensor([longest - row for row in range(rows)]))


def same(search, model, other, source):
    """Compare what a search finds in two models."""
    expected, found = search(model, source), search(other, source)
    for one, two in zip(expected, found, strict=True):
        assert [item.elements.tolist() for item in two] == [item.elements.tolist() for item in one]
        for left, right in zip(one, two, strict=True):
            assert right.step_scores == pytest.approx(left.step_scores, abs=1e-5)
            assert right.finish_reason == left.finish_reason
    return [len(item.elements) for one in expected for item in one]


@pytest.fixture
def as_they_are(monkeypatch):
    """Steps are taken in slots, by Python."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)


def compiled_by(backend):
    """What another process says of searches over a compiled step: here, shapes are checked by what no compiler can look into."""
    command = [sys.executable, "-m", "tests.compiled_programs", "search", backend]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_a_long_search_needs_a_program_for_several_sources_and_one_for_the_last():
    said = compiled_by("eager")
    found = said["GreedySearch"]
    assert found["longest"] > 32, "more steps than there was room for at first"
    assert found["apart"] < 1e-5
    assert said["made"] == found["programs"] == 2
    assert found["remark"].startswith("Compiled the decoder's step 2 times in ")


@pytest.mark.parametrize("width", [3, 9])  # that share pools, and that do not
@pytest.mark.usefixtures("as_they_are")
def test_beams_are_the_same(seed, width):
    model = a_transformer(seed)
    processors = ProcessorsConfig(no_repeat_ngram_size=2)
    for settings in (
        BeamConfig(beam_size=width, n_best=3, limits=LONG),
        BeamConfig(beam_size=width, coverage_penalty=0.2, limits=LONG, processors=processors),
    ):
        for rows, longest in ((5, 9), (1, 20)):
            same(BeamSearch(settings), model, CompiledSteps(model), sources(rows, longest, seed))


@pytest.mark.usefixtures("as_they_are")
def test_samples_and_ensembles_are_the_same(seed):
    models = [a_transformer(seed), shaken(lstm.build, lstm.LSTMConfig(dim=8, coverage=True), seed)]
    both, steps = Ensemble(models).eval(), Ensemble([CompiledSteps(model) for model in models]).eval()
    for search in (SamplingSearch(SamplingConfig(samples=4, limits=LONG)), BeamSearch(BeamConfig(beam_size=3, limits=LONG))):
        same(search, both, steps, sources(4, 7, seed))


@pytest.mark.usefixtures("as_they_are")
def test_a_slot_is_used_again_once_its_search_has_ended_and_by_none_before(seed):
    model = a_transformer(seed)
    steps = CompiledSteps(model)

    def begun(row):
        source = sources(1, 7, seed + row)
        memory = steps.project(steps.encode(source))
        output, state = steps.step(torch.tensor([2]), memory, steps.init_state(memory, 1, 9))
        return memory, state, output.values.clone()

    with torch.inference_mode():
        first, second = begun(1), begun(2)
        assert first[1].slot is not second[1].slot
        for memory, state, said in (first, second):  # neither has written over the other
            again, _ = model.step(torch.tensor([4]), *_stepped(model, memory))
            found, _ = steps.step(torch.tensor([4]), memory, state)
            torch.testing.assert_close(found.values, again.values, rtol=1e-5, atol=1e-5)
            assert said.isfinite().all()
        held = {id(first[1].slot), id(second[1].slot)}
        del first, second, memory, state, found
        gc.collect()
        assert id(begun(3)[1].slot) in held


def test_what_torch_cannot_compile_is_one_sentence(monkeypatch, seed):
    def refused(*_):
        raise torch._dynamo.exc.Unsupported("It knows no such thing.\nAnd more.")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: refused)
    with pytest.raises(ConfigError, match=r"^torch cannot compile the steps of this model: It knows no such thing.. Leave"):
        GreedySearch(GreedyConfig(limits=LONG))(CompiledSteps(a_transformer(seed)), sources(2, 4, seed))


def _stepped(model, memory):
    """The model's own memory, and its state behind the start symbol."""
    own = model.project(type(memory)(memory.states, memory.mask))
    return own, model.step(torch.tensor([2]), own, model.init_state(own, 1, 9))[1]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_what_inductor_compiles_finds_the_same():
    said = compiled_by("inductor")
    assert said["GreedySearch"]["programs"] == 2
    assert said["BeamSearch"]["programs"] == said["made"] == 4, "two for each width"
    assert max(said[name]["apart"] for name in ("GreedySearch", "BeamSearch")) < 1e-5
