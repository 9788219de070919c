"""Finished sources must leave the batch: counted in rows, not in seconds."""

import pytest

from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.limits import LimitsConfig
from antiphon.search.sampling import SamplingConfig, SamplingSearch
from tests.toys import ToyModel, toy_source

SENTENCES = [[4] * length for length in (6, 1, 4, 2)]
LIMITS = LimitsConfig(max_ratio=2, max_offset=0)


@pytest.mark.parametrize(
    ("search", "width"),
    [
        (GreedySearch(GreedyConfig(limits=LIMITS)), 1),
        (SamplingSearch(SamplingConfig(samples=3, limits=LIMITS)), 3),
        (BeamSearch(BeamConfig(beam_size=3, limits=LIMITS)), 3),
        (BeamSearch(BeamConfig(beam_size=4, groups=2, limits=LIMITS)), 4),
    ],
    ids=["greedy", "sampling", "beam", "diverse"],
)
def test_rows_shrink_as_sources_reach_their_limits(search, width):
    model = ToyModel(end_bias=-60, scale=0.5)
    found = search(model, toy_source(*SENTENCES))
    # Limits of 12, 2, 8 and 4 elements, and one step each for the end symbol.
    alive = [sum(step < 2 * len(sentence) + 1 for sentence in SENTENCES) for step in range(13)]
    assert model.rows_per_step == [width * sources for sources in alive]
    assert model.sources_per_step == alive, "the memory has a row per source, never one per hypothesis"
    assert [len(own[0].elements) for own in found] == [12, 2, 8, 4]


def test_a_search_stops_when_all_have_ended():
    model = ToyModel(end_bias=60)
    GreedySearch(GreedyConfig())(model, toy_source(*SENTENCES))
    assert model.rows_per_step == [4]


def test_the_exact_stop_comes_before_enough_have_finished():
    # The end is all but certain in the first step: nothing else can catch up, though only one hypothesis has finished.
    model = ToyModel(end_bias=60)
    BeamSearch(BeamConfig(beam_size=5, length_penalty="none"))(model, toy_source(*SENTENCES))
    assert model.rows_per_step == [20]
