"""Scorers in every search that goes step by step, against enumeration and by hand."""

import itertools

import numpy as np
import pytest
import torch

from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Padded, select_rows
from antiphon.errors import ConfigError
from antiphon.search.beam import BeamConfig, BeamSearch, plugin
from antiphon.search.fusion import LanguageModelConfig, NeuralLanguageModel
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.limits import LimitsConfig
from antiphon.search.sampling import SamplingConfig, SamplingSearch
from antiphon.search.scoring import score
from tests.toys import UNKNOWN, LookUpModel, ToyModel, toy_source
from tests.unit.search.test_fusion import SOURCE, TINY, Variant, built, language_model
from tests.unit.search.test_joint_decoding import EVERY, Hearing, ctc

LONGEST = 3
LIMITS = LimitsConfig(max_length=LONGEST)
LM = LanguageModelConfig(run="x", weight=0.7)
SENTENCES = [[4, 5, 4], [5], [4, 4, 5]]


@pytest.mark.parametrize("reward", [0.9, -0.4])
@pytest.mark.parametrize(("penalty", "alpha"), [("none", None), ("gnmt", 0.8), ("power", 0.5)])
def test_a_wide_beam_with_a_length_reward_finds_what_enumeration_finds(penalty, alpha, reward, seed):
    model = ToyModel(size=6, seed=seed)
    settings = BeamConfig(beam_size=60, n_best=5, length_reward=reward, length_penalty=penalty, alpha=alpha, limits=LIMITS)
    found = BeamSearch(settings)(model, toy_source(*SENTENCES))
    for sentence, own in zip(SENTENCES, found, strict=True):
        scored = score(
            model, select_rows(toy_source(sentence), torch.zeros(len(EVERY), dtype=torch.int64)), [np.array(s, int) for s in EVERY]
        )
        divisor = [{"none": 1, "gnmt": ((6 + len(said)) / 6) ** 0.8, "power": (len(said) + 1) ** 0.5}[penalty] for said in EVERY]
        totals = [(one.log_prob + reward * len(said)) / by for one, said, by in zip(scored, EVERY, divisor, strict=True)]
        assert [one.score for one in own] == pytest.approx(sorted(totals, reverse=True)[:5], abs=1e-4)


def test_the_exact_stop_waits_for_the_reward():
    # Ending at once is likeliest; only all four symbols together are worth more with the reward.
    table = {(4,) * n: [-9, -9, -9, -9, 9.0, -9] for n in (1, 2, 3)}
    model = LookUpModel({(): [-9, -9, -9, 3.0, 1.0, -9], **table, (4,) * 4: [-9, -9, -9, 9.0, -9, -9]}, 6)
    for reward, expected in ((0.4, 0), (0.6, 4)):
        settings = BeamConfig(beam_size=2, length_penalty="none", length_reward=reward, limits=LimitsConfig(max_length=4))
        assert len(BeamSearch(settings)(model, toy_source([4]))[0][0].elements) == expected


def test_without_a_reward_the_exact_stop_comes_as_early_as_before():
    model = ToyModel(end_bias=60)
    BeamSearch(BeamConfig(beam_size=5, length_penalty="none", length_reward=-0.1))(model, toy_source(*SENTENCES))
    assert len(model.rows_per_step) == 1


@pytest.mark.parametrize("extra", [{"length_reward": 0.3}, {"ctc_weight": 0.4}, {"ctc_weight": 0.3, "length_reward": 0.5}])
def test_greedy_search_is_a_beam_of_one(extra, seed):
    for offset in range(4):
        model, limits = Hearing(size=9, seed=seed + offset), LimitsConfig(max_length=6)
        greedy = GreedySearch(GreedyConfig(limits=limits, **extra))(model, toy_source(*SENTENCES))
        beam = BeamSearch(BeamConfig(beam_size=1, length_penalty="none", limits=limits, **extra))(model, toy_source(*SENTENCES))
        for (one,), (other,) in zip(greedy, beam, strict=True):
            assert one.elements.tolist() == other.elements.tolist()
            assert one.score == pytest.approx(other.score, abs=1e-4)
            assert one.step_scores == pytest.approx(other.step_scores, abs=1e-5)


def test_greedy_search_with_a_language_model_is_a_fused_beam_of_one(seed):
    model, helper = built(Variant("transformer", "default"), seed, TINY, TINY), NeuralLanguageModel(language_model(seed + 1))
    greedy = GreedySearch(GreedyConfig(language_model=LM, limits=LIMITS)).with_help(helper, ())(model, SOURCE)
    beam = BeamSearch(BeamConfig(beam_size=1, language_model=LM, length_penalty="none", limits=LIMITS), helper)(model, SOURCE)
    for (one,), (other,) in zip(greedy, beam, strict=True):
        assert one.elements.tolist() == other.elements.tolist()
        assert one.score == pytest.approx(other.score, abs=1e-4)
    with pytest.raises(ConfigError, match=r"`search\.language_model` needs `with_help`"):
        GreedySearch(GreedyConfig(language_model=LM))(model, SOURCE)


def test_samples_follow_the_product_of_all(seed):
    """The frequencies of the first symbol are those of decoder, frames and reward together."""
    model, sentence, limits = Hearing(size=6, seed=seed), [4, 5, 4], LimitsConfig(max_length=1)
    settings = SamplingConfig(samples=4000, ctc_weight=0.4, length_reward=0.8, limits=limits)
    found = SamplingSearch(settings)(model, toy_source(sentence))[0]
    # With at most one symbol, what follows it is the end for certain: a sample is its first symbol.
    first = model.decode(Padded(torch.tensor([[2]]), torch.tensor([1])), model.encode(toy_source(sentence))).values[0, 0].log_softmax(-1)
    said = [(), (UNKNOWN,), (4,), (5,)]
    every = [one for length in range(4) for one in itertools.product(range(1, 6), repeat=length)]  # frames may say start and end, too
    heard = {one: ctc(model, sentence, one) for one in every}
    prefixes = [heard[()]] + [np.logaddexp.reduce([heard[one] for one in every if one[:1] == own]) for own in said[1:]]
    spoken = [float(first[3]), *(float(first[own[0]]) for own in said[1:])]
    total = np.array([0.6 * one + 0.4 * other + 0.8 * len(own) for one, other, own in zip(spoken, prefixes, said, strict=True)])
    expected = np.exp(total - np.logaddexp.reduce(total))
    drawn = [sum(tuple(one.elements.tolist()) == own for one in found) / 4000 for own in said]
    assert drawn == pytest.approx(expected, abs=5 * 0.5 / 4000**0.5)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_samples_of_a_source_are_its_own_with_scorers_too(seed):
    model, settings = Hearing(size=9, seed=seed), SamplingConfig(samples=3, ctc_weight=0.3, length_reward=0.2)
    together = SamplingSearch(settings)(model, toy_source(*SENTENCES))
    for sentence, own in zip(SENTENCES, together, strict=True):
        (alone,) = SamplingSearch(settings)(model, toy_source(sentence))
        assert [one.elements.tolist() for one in alone] == [one.elements.tolist() for one in own]


def test_a_reward_that_changes_nothing_is_refused():
    with pytest.raises(ConfigError, match="`length_reward` needs `length_penalty: none`"):
        validate(plugin.Config, {"length_reward": 0.5}, path="search")
