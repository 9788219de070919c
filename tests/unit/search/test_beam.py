"""Beam search against enumeration of all sequences, and against a plain beam search that walks lists."""

import itertools

import numpy as np
import pytest
import torch

from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Padded, select_rows
from antiphon.errors import ConfigError
from antiphon.search.beam import BeamConfig, BeamSearch, plugin
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.limits import LimitsConfig
from antiphon.search.scoring import score
from tests.toys import END, PAD, START, UNKNOWN, LookUpModel, ToyModel, toy_source

SENTENCES = [[4, 5, 6], [7], [6, 4, 4, 5, 7], [5, 5]]
PENALTIES = [("none", None), ("average", None), ("gnmt", None), ("gnmt", 1.3), ("power", 2.0), ("power", 0.5)]


def divisor(kind, alpha, length):
    alpha = 0.6 if alpha is None else alpha
    return {"none": 1.0, "average": length, "gnmt": ((5 + length) / 6) ** alpha, "power": length**alpha}[kind]


@pytest.mark.parametrize(("kind", "alpha"), PENALTIES)
def test_a_wide_beam_finds_what_enumeration_finds(kind, alpha, seed):
    model, source = ToyModel(size=6, seed=seed), toy_source([4, 5, 4])
    limits = LimitsConfig(max_length=3, min_length=1)
    every = [np.array(said) for length in (1, 2, 3) for said in itertools.product((UNKNOWN, 4, 5), repeat=length)]
    scored = score(model, select_rows(source, torch.zeros(len(every), dtype=torch.int64)), every)
    ranked = sorted(((item.log_prob / divisor(kind, alpha, len(item.elements) + 1), item) for item in scored), key=lambda pair: -pair[0])
    found = BeamSearch(BeamConfig(beam_size=6**3, n_best=20, length_penalty=kind, alpha=alpha, limits=limits))(model, source)[0]
    assert [item.score for item in found] == pytest.approx([pair[0] for pair in ranked[:20]], abs=1e-5)
    assert found[0].elements.tolist() == ranked[0][1].elements.tolist()
    assert found[0].step_scores == pytest.approx(ranked[0][1].step_scores, abs=1e-5)


def plain_beam(model, sentence, settings, longest):
    """A beam search in lists, without the exact stop: it goes on until enough have finished."""
    source, W = toy_source(sentence), settings.beam_size
    memory = model.encode(source)
    beam, finished = [(0.0, [])], []
    for step in range(longest + 1):
        grown = []
        for total, said in beam:
            inputs = Padded(torch.tensor([[START, *said]]), torch.tensor([len(said) + 1]))
            log_probs = model.decode(inputs, memory).values[0, -1].log_softmax(-1).tolist()
            allowed = [END] if step == longest else [symbol for symbol in range(len(log_probs)) if symbol not in (PAD, START)]
            grown += [(total + log_probs[symbol], [*said, symbol]) for symbol in allowed]
        grown.sort(key=lambda pair: -pair[0])
        penalty = divisor(settings.length_penalty, settings.alpha, step + 1)
        finished += [(total / penalty, said[:-1]) for total, said in grown[:W] if said[-1] == END]
        beam = [pair for pair in grown if pair[1][-1] != END][:W]
        if len(finished) >= settings.patience * W or not beam:
            break
    return sorted(finished, key=lambda pair: -pair[0])[: settings.n_best]


@pytest.mark.parametrize(("kind", "alpha"), PENALTIES)
@pytest.mark.parametrize("patience", [1.0, 2.0])
def test_against_a_plain_beam_search(kind, alpha, patience, seed):
    model = ToyModel(size=9, seed=seed, end_bias=1.0)
    settings = BeamConfig(beam_size=4, n_best=3, length_penalty=kind, alpha=alpha, patience=patience, limits=LimitsConfig(max_length=7))
    found = BeamSearch(settings)(model, toy_source(*SENTENCES))
    for sentence, own in zip(SENTENCES, found, strict=True):
        expected = plain_beam(model, sentence, settings, longest=7)
        assert [item.score for item in own] == pytest.approx([total for total, _ in expected], abs=1e-4)
        assert own[0].elements.tolist() == expected[0][1]


@pytest.mark.parametrize(("kind", "alpha"), PENALTIES)
def test_a_beam_of_one_is_greedy(kind, alpha, seed):
    limits = LimitsConfig(max_length=9)
    for offset in range(5):
        model = ToyModel(size=10, seed=seed + offset)
        source = toy_source(*SENTENCES)
        narrow = BeamSearch(BeamConfig(beam_size=1, length_penalty=kind, alpha=alpha, limits=limits))(model, source)
        greedy = GreedySearch(GreedyConfig(limits=limits))(model, source)
        for one, other in zip(narrow, greedy, strict=True):
            assert one[0].elements.tolist() == other[0].elements.tolist()
            assert one[0].step_scores == other[0].step_scores
            assert one[0].finish_reason == other[0].finish_reason


@pytest.mark.parametrize("extra", [{}, {"groups": 2, "diversity": 0.7}, {"coverage_penalty": 0.4}])
def test_a_batch_gives_what_each_source_gives_alone(extra, seed):
    model = ToyModel(size=11, seed=seed)
    search = BeamSearch(BeamConfig(beam_size=4, n_best=4, alignment=True, **extra))
    for sentence, own in zip(SENTENCES, search(model, toy_source(*SENTENCES)), strict=True):
        alone = search(model, toy_source(sentence))[0]
        assert [item.elements.tolist() for item in own] == [item.elements.tolist() for item in alone]
        assert [item.score for item in own] == pytest.approx([item.score for item in alone], abs=1e-4)
        for one, other in zip(own, alone, strict=True):
            np.testing.assert_allclose(one.alignment, other.alignment, atol=1e-5)
            assert one.alignment.shape == (len(one.elements), len(sentence))


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_n_best_is_sorted_and_distinct(groups, seed):
    found = BeamSearch(BeamConfig(beam_size=8, n_best=8, groups=groups))(ToyModel(size=9, seed=seed), toy_source(*SENTENCES))
    for own in found:
        assert 1 <= len(own) <= 8
        assert groups > 1 or len(own) == 8
        scores = [item.score for item in own]
        assert groups > 1 or scores == sorted(scores, reverse=True)
        assert len({tuple(item.elements) for item in own}) == len(own)
        for item in own:
            assert item.log_prob == pytest.approx(sum(item.step_scores))
            assert len(item.step_scores) == len(item.elements) + 1
            assert item.score == pytest.approx(item.log_prob / len(item.step_scores), abs=1e-5)


def test_the_reported_scores_are_the_models(seed):
    model, source = ToyModel(size=9, seed=seed), toy_source(*SENTENCES)
    found = BeamSearch(BeamConfig(beam_size=3))(model, source)
    again = score(model, source, [own[0].elements for own in found])
    assert [own[0].log_prob for own in found] == pytest.approx([item.log_prob for item in again], abs=1e-4)


def test_coverage_penalty_by_hand(seed):
    model, source = ToyModel(size=8, seed=seed), toy_source([4, 5, 6, 7])
    limits = LimitsConfig(max_length=5)
    found = BeamSearch(BeamConfig(beam_size=6, n_best=6, coverage_penalty=0.3, length_penalty="none", limits=limits))(model, source)[0]
    for item in found:
        inputs = Padded(torch.tensor([[START, *item.elements.tolist()]]), torch.tensor([len(item.elements) + 1]))
        received = model.decode(inputs, model.encode(source), attention=True).attention[0].sum(0)
        term = 0.3 * float(received.clamp(1e-10, 1).log().sum())
        assert item.score == pytest.approx(item.log_prob + term, abs=1e-4)
    assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)


def test_groups_differ_more_than_one_beam():
    model = LookUpModel({(): [0, 0, 0, 0, 3.0, 2.9, 0, 0], (4,): [0, 0, 0, 9.0, 0, 0, 0, 0], (5,): [0, 0, 0, 9.0, 0, 0, 0, 0]}, 8)
    source = toy_source([4])
    beam = {"beam_size": 2, "n_best": 2, "length_penalty": "none", "limits": LimitsConfig(max_length=3)}
    without = BeamSearch(BeamConfig(groups=2, diversity=0.0, **beam))(model, source)[0]
    diverse = BeamSearch(BeamConfig(groups=2, diversity=1.0, **beam))(model, source)[0]
    assert [item.elements.tolist() for item in diverse] == [[4], [5]]
    assert [5] not in [item.elements.tolist() for item in without]
    assert len({tuple(item.elements) for item in without}) == len(without), "what both groups find is given once"
    assert diverse[0].score == pytest.approx(diverse[0].log_prob), "what diversity takes off is in no score"


@pytest.mark.parametrize("penalty", ["none", "average"])
def test_the_first_group_is_a_beam_of_its_width(penalty, seed):
    model, source = ToyModel(size=11, seed=seed), toy_source(*SENTENCES)
    beam = BeamSearch(BeamConfig(beam_size=3, n_best=3, length_penalty=penalty))(model, source)
    diverse = BeamSearch(BeamConfig(beam_size=9, n_best=9, groups=3, diversity=2.0, length_penalty=penalty))(model, source)
    for one, other in zip(beam, diverse, strict=True):
        assert other[0].elements.tolist() == one[0].elements.tolist()
        assert [item.elements.tolist() for item in one][1] in [item.elements.tolist() for item in other]


def test_each_group_gives_its_best_first_in_order(seed):
    """With groups of one, each shuns what those before it say: so every group can be followed by a plain greedy search."""
    model, source, diversity = ToyModel(size=11, seed=seed), toy_source(*SENTENCES), 1.5
    limits = LimitsConfig(max_length=6)
    found = BeamSearch(BeamConfig(beam_size=4, groups=4, n_best=4, diversity=diversity, limits=limits))(model, source)
    for sentence, own in zip(SENTENCES, found, strict=True):
        memory, said = model.encode(toy_source(sentence)), [[] for _ in range(4)]
        ended = [None] * 4
        for step in range(7):
            symbols = []
            for group in range(4):
                inputs = Padded(torch.tensor([[START, *said[group]]]), torch.tensor([step + 1]))
                ranked = model.decode(inputs, memory).values[0, -1].log_softmax(-1)
                ranked[[PAD, START]] = -float("inf")
                if step == 6:
                    ranked[[symbol for symbol in range(11) if symbol != END]] = -float("inf")
                for symbol in symbols:
                    ranked[symbol] -= diversity
                order = ranked.argsort(descending=True).tolist()
                if order[0] == END:  # it has ended, and goes on for the others
                    ended[group] = said[group] if ended[group] is None else ended[group]
                going_on = next(symbol for symbol in order if symbol != END)
                symbols.append(going_on)
                said[group] = [*said[group], going_on]
        different = list(dict.fromkeys(map(tuple, ended)))
        assert [tuple(item.elements.tolist()) for item in own] == different


def test_patience_looks_further():
    # The empty one and "4" end first, each among the two best of its step; "5 5 5" ends later with a better average.
    table = {
        (): [-9, -9, -9, 1.0, 1.2, 0.5],
        (4,): [-9, -9, -9, 9.0, -9, -9],
        (5,): [-9, -9, -9, -9, -9, 9.0],
        (5, 5): [-9, -9, -9, -9, -9, 9.0],
        (5, 5, 5): [-9, -9, -9, 9.0, -9, -9],
    }
    model, source, limits = LookUpModel(table, 6), toy_source([4]), LimitsConfig(max_length=6)
    soon = BeamSearch(BeamConfig(beam_size=2, limits=limits))(model, source)[0][0]
    late = BeamSearch(BeamConfig(beam_size=2, patience=4, limits=limits))(model, source)[0][0]
    assert soon.elements.tolist() == [4]
    assert late.elements.tolist() == [5, 5, 5]
    assert late.score > soon.score


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"beam_size": 0}, "`search.beam_size` must be at least 1, but is 0"),
        ({"n_best": 6}, r"`n_best` must be at most `beam_size` \(5\), but is 6"),
        ({"groups": 2}, r"`groups` must divide `beam_size` \(5\), but is 2"),
        ({"alpha": 0.5}, "`alpha` has an effect only with `length_penalty: gnmt` or `power`, but that is `average`"),
        ({"diversity": 0.5}, "`diversity` has an effect only with several `groups`"),
        ({"length_penalty": "linear"}, "`search.length_penalty`"),
        ({"coverage_penalty": -1}, "`search.coverage_penalty` must be at least 0"),
    ],
)
def test_impossible_settings_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        validate(plugin.Config, values, path="search")


@pytest.mark.parametrize("settings", [{"coverage_penalty": 0.2}, {"alignment": True}])
def test_attention_that_the_model_has_not(settings):
    with pytest.raises(ConfigError, match=f"`search.{next(iter(settings))}` needs a model with attention"):
        BeamSearch(BeamConfig(**settings))(ToyModel(has_attention=False), toy_source([4, 5]))
