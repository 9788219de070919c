"""Every registered search with real models: complete hypotheses, right log-probabilities, the same alone and in a batch."""

import itertools

import numpy as np
import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Padded, select_rows
from antiphon.contracts.specs import TokenSpec
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.limits import LimitsConfig
from antiphon.search.scoring import score
from tests.conformance.variants import TOKENS, architectures, batch, build, every_variant

LIMITS = {"max_length": 6}
# Settings that every search is run with, besides its defaults.
SETTINGS = {
    "greedy": [{"limits": LIMITS}, {"limits": LIMITS, "alignment": True}],
    "beam": [
        {"beam_size": 3, "n_best": 3, "limits": LIMITS},
        {"beam_size": 4, "n_best": 2, "limits": LIMITS, "length_penalty": "gnmt", "coverage_penalty": 0.2},
        {"beam_size": 4, "n_best": 4, "groups": 2, "limits": LIMITS},
    ],
    "sampling": [{"samples": 4, "limits": LIMITS}, {"samples": 3, "top_k": 4, "temperature": 0.7, "limits": LIMITS}],
    "mbr": [{"candidates": {"name": "sampling", "samples": 6, "limits": LIMITS}, "n_best": 2}],
}
FOR_VALUES = ("direct", "rollout")  # tested in tests/unit/search/test_rollout.py and test_direct.py, with the same models
FOR_FRAMES = ("ctc", "transducer")  # tested in test_frames.py and test_transducers.py
ELSEWHERE = (*FOR_VALUES, *FOR_FRAMES)
RUNS = [(name, settings) for name in registry.names("search") if name not in ELSEWHERE for settings in SETTINGS.get(name, [{}])]
every_search = pytest.mark.parametrize(("name", "settings"), RUNS, ids=[f"{name}-{index}" for index, (name, _) in enumerate(RUNS)])


def make(name, settings):
    plugin = registry.find("search", name)
    return plugin.build(validate(plugin.Config, {"name": name, **settings}))


def test_every_search_has_settings():
    missing = [name for name in registry.names("search") if name not in (*SETTINGS, *ELSEWHERE)]
    assert not missing, f"list settings of {', '.join(missing)} in {__file__}"


@architectures()
@every_search
def test_hypotheses_are_complete_and_their_scores_are_the_models(variant, name, settings, seed):
    model, source = build(variant, seed), batch("tokens", seed).source
    found = make(name, settings)(model, source)
    assert len(found) == 3
    rows = torch.tensor([row for row, own in enumerate(found) for _ in own])
    hypotheses = [item for own in found for item in own]
    for item in hypotheses:
        assert not set(item.elements.tolist()) & {TOKENS.pad, TOKENS.start, TOKENS.end}
        assert item.finish_reason in ("end", "length", "constraint")
        assert len(item.elements) <= 6
        assert item.log_prob == pytest.approx(sum(item.step_scores), abs=1e-5)
        if item.alignment is not None:
            assert item.alignment.shape[0] == len(item.elements)
    for item, scored in zip(hypotheses, score(model, select_rows(source, rows), [item.elements for item in hypotheses]), strict=True):
        assert item.step_scores == pytest.approx(scored.step_scores, abs=1e-4)
    for own in found:  # those of groups come in turn
        assert "groups" in settings or [item.score for item in own] == sorted((item.score for item in own), reverse=True)


@architectures()
@every_search
def test_a_source_alone_finds_what_it_finds_in_a_batch(variant, name, settings, seed):
    model, source, search = build(variant, seed), batch("tokens", seed, source=(5, 1, 9, 3)).source, make(name, settings)
    together = search(model, source)
    for row, own in enumerate(together):
        (alone,) = search(model, select_rows(source, torch.tensor([row])))
        assert [item.elements.tolist() for item in alone] == [item.elements.tolist() for item in own]
        assert [item.score for item in alone] == pytest.approx([item.score for item in own], abs=1e-5)
    backwards = search(model, select_rows(source, torch.tensor([3, 2, 1, 0])))
    assert [[item.elements.tolist() for item in own] for own in reversed(backwards)] == [
        [item.elements.tolist() for item in own] for own in together
    ]


@every_variant()
def test_a_beam_of_one_is_greedy(variant, seed):
    model, source, limits = build(variant, seed), batch("tokens", seed).source, LimitsConfig(max_length=7)
    greedy = GreedySearch(GreedyConfig(limits=limits))(model, source)
    for penalty in ("none", "average"):
        beam = BeamSearch(BeamConfig(beam_size=1, length_penalty=penalty, limits=limits))(model, source)
        for (one,), (other,) in zip(greedy, beam, strict=True):
            assert one.elements.tolist() == other.elements.tolist()
            assert one.log_prob == pytest.approx(other.log_prob, abs=1e-5)


@every_variant()
def test_a_wide_beam_finds_what_enumeration_finds(variant, seed):
    tiny, longest = TokenSpec(size=6, pad=0, unknown=1, start=2, end=3), 3
    model = build_with(variant, seed, tiny)
    source = Padded(torch.tensor([[4, 5, 4], [5, 4, 4]]), torch.tensor([3, 1]))
    choices = (tiny.unknown, 4, 5)
    every = [np.array(said, dtype=np.int64) for length in range(longest + 1) for said in itertools.product(choices, repeat=length)]
    found = BeamSearch(BeamConfig(beam_size=len(every), n_best=5, length_penalty="average", limits=LimitsConfig(max_length=longest)))(
        model, source
    )
    for row in range(2):
        scored = score(model, select_rows(source, torch.full((len(every),), row)), every)
        ranked = sorted(scored, key=lambda item: -item.log_prob / (len(item.elements) + 1))[:5]
        expected = [item.log_prob / (len(item.elements) + 1) for item in ranked]
        assert [item.score for item in found[row]] == pytest.approx(expected, abs=1e-5)
        assert found[row][0].elements.tolist() == ranked[0].elements.tolist()


def build_with(variant, seed, spec):
    from tests.conformance.variants import fresh, shaken

    return shaken(fresh(variant, seed, spec, spec), seed).double().eval()
