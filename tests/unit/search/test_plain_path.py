"""The short way of greedy search says what the long one says."""

import pytest
import torch

from antiphon.contracts.sequences import Request
from antiphon.search.greedy import GreedyConfig, GreedySearch, _likeliest
from antiphon.search.limits import LimitsConfig
from antiphon.search.plain_path import follow_plainly, is_plain
from antiphon.search.preparation import prepare
from antiphon.search.processors import ProcessorsConfig
from antiphon.search.scorer import ActiveScorers
from antiphon.search.single_path import follow
from tests.toys import ToyModel, toy_source

SENTENCES = [[4, 5, 6], [7], [8, 9, 10, 11, 4], [5, 5], [6, 7, 8, 9]]
NOBODY = ActiveScorers((), ())


ANY, NONE = LimitsConfig(), ProcessorsConfig()


def prepared(model, limits=ANY, processors=NONE, requests=None):
    return prepare(
        model, toy_source(*SENTENCES), requests, search="greedy", width=1, limits=limits, processors=processors, can_require=False
    )


@pytest.mark.parametrize(
    "limits",
    [LimitsConfig(), LimitsConfig(max_length=3), LimitsConfig(min_ratio=1.0), LimitsConfig(min_length=6, max_length=6)],
    ids=["usual", "short", "long", "all the same"],
)
@pytest.mark.parametrize("forbidden", [(), (4, 5, 6, 7, 8)])
@torch.inference_mode()
def test_both_ways_say_the_same(limits, forbidden):
    for seed in range(6):
        model = ToyModel(size=12, seed=seed)
        rules = ProcessorsConfig(forbidden=forbidden)
        short = follow_plainly(model, prepared(model, limits, rules))
        long = follow(model, prepared(model, limits, rules), 1, _likeliest, NOBODY)
        for (one,), (other,) in zip(short, long, strict=True):
            assert one.elements.tolist() == other.elements.tolist()
            assert (one.finish_reason, one.step_scores, one.score) == (other.finish_reason, other.step_scores, other.score)


@torch.inference_mode()
def test_a_row_with_nothing_left_to_say_ends_early_both_ways():
    model = ToyModel(size=12, seed=1)
    limits, rules = LimitsConfig(min_length=4, max_length=6), ProcessorsConfig(forbidden=tuple(range(12)))
    short = follow_plainly(model, prepared(model, limits, rules))
    long = follow(model, prepared(model, limits, rules), 1, _likeliest, NOBODY)
    assert [one.elements.tolist() for (one,) in short] == [one.elements.tolist() for (one,) in long] == [[]] * len(SENTENCES)
    assert [one.step_scores for (one,) in short] == [one.step_scores for (one,) in long]


def test_it_is_for_lengths_and_symbols_that_are_never_said():
    model = ToyModel(size=12, seed=1)
    assert is_plain(prepared(model, processors=ProcessorsConfig(forbidden=(5,))))
    for rules in ({"no_repeat_ngram_size": 2}, {"repetition_penalty": 1.5}, {"forbidden_first": (5,)}):
        assert not is_plain(prepared(model, processors=ProcessorsConfig(**rules)))
    for asked in (Request(prefix=(4,)), Request(banned=((4,),))):
        assert not is_plain(prepared(model, requests=[asked] + [Request()] * (len(SENTENCES) - 1)))


def test_the_search_goes_the_short_way(monkeypatch):
    asked = []
    monkeypatch.setattr("antiphon.search.greedy.follow_plainly", lambda *given: asked.append(1) or follow_plainly(*given))
    model = ToyModel(size=12, seed=1)
    GreedySearch(GreedyConfig())(model, toy_source([4, 5]))
    GreedySearch(GreedyConfig(processors=ProcessorsConfig(repetition_penalty=1.2)))(model, toy_source([4, 5]))
    GreedySearch(GreedyConfig(length_reward=0.1))(model, toy_source([4, 5]))
    assert asked == [1]
