import numpy as np
import pytest
import torch

from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Request, select_rows
from antiphon.errors import ConfigError
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.limits import LimitsConfig
from antiphon.search.sampling import SamplingConfig, SamplingSearch, draw
from antiphon.search.scoring import score
from tests.toys import END, LookUpModel, ToyModel, toy_source

SENTENCES = [[4, 5, 6], [7], [6, 4, 4, 5, 7, 8], [5, 5]]


def said(own):
    return [item.elements.tolist() for item in own]


def test_a_sentence_gives_the_same_samples_alone_and_in_any_batch(seed):
    model, search = ToyModel(size=10, seed=seed, scale=0.8), SamplingSearch(SamplingConfig(samples=5, seed=seed, temperature=1.3))
    together = search(model, toy_source(*SENTENCES))
    backwards = search(model, toy_source(*SENTENCES[::-1]))[::-1]
    for sentence, own, again in zip(SENTENCES, together, backwards, strict=True):
        alone = search(model, toy_source(sentence))[0]
        assert said(own) == said(again) == said(alone)
        assert [item.score for item in own] == pytest.approx([item.score for item in alone], abs=1e-4)


def test_seeds_and_samples_differ():
    model = ToyModel(size=30, scale=0.3, end_bias=-1)
    first = SamplingSearch(SamplingConfig(samples=4, seed=1))(model, toy_source([4, 5, 6]))[0]
    second = SamplingSearch(SamplingConfig(samples=4, seed=2))(model, toy_source([4, 5, 6]))[0]
    assert len({tuple(item) for item in said(first) + said(second)}) == 8


def test_scores_are_the_models_own(seed):
    model, source = ToyModel(size=10, seed=seed), toy_source([4, 5, 6])
    found = SamplingSearch(SamplingConfig(samples=6, temperature=2.0, top_k=4))(model, source)[0]
    again = score(model, select_rows(source, torch.zeros(6, dtype=torch.int64)), [item.elements for item in found])
    assert [item.log_prob for item in found] == pytest.approx([item.log_prob for item in again], abs=1e-4)
    assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)
    assert all(END not in item.elements for item in found), "a sample that waits for its neighbours has ended all the same"


def test_samples_follow_the_distribution():
    logits = torch.tensor([0.0, 0.0, 0.0, 1.0, 0.5, -0.5])
    model = LookUpModel({(): logits.tolist(), **{(s,): [-99, -99, -99, 0, -99, -99] for s in (1, 4, 5)}}, 6)
    found = SamplingSearch(SamplingConfig(samples=4000, limits=LimitsConfig(max_length=2)))(model, toy_source([4, 5]))[0]
    firsts = np.array([item.elements[0] if len(item.elements) else 3 for item in found])
    logits[[0, 2]] = -torch.inf
    expected = logits.softmax(0).numpy()
    counted = np.bincount(firsts, minlength=6) / 4000
    assert np.abs(counted - expected).max() < 5 * np.sqrt(0.25 / 4000)


PROBABILITIES = torch.tensor([0.5, 0.25, 0.15, 0.07, 0.03])


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"top_k": 2}, [0, 1]),
        ({"top_k": 99}, [0, 1, 2, 3, 4]),
        ({"top_p": 0.5}, [0]),
        ({"top_p": 0.8}, [0, 1, 2]),
        ({"min_p": 0.2}, [0, 1, 2]),
        ({"epsilon": 0.05}, [0, 1, 2, 3]),
        ({"epsilon": 0.9}, [0]),
        ({"top_k": 3, "min_p": 0.4}, [0, 1]),
        ({"temperature": 0.01}, [0]),
        ({"top_k": 3, "top_p": 0.8}, [0, 1]),
    ],
)
def test_truncation(settings, left):
    order = torch.tensor([3, 0, 4, 1, 2])  # symbols are not sorted by probability
    logits = torch.full((5,), 0.0).scatter(0, order, PROBABILITIES.log())
    uniforms = torch.linspace(0.001, 0.999, 500)
    symbols = draw(logits.expand(500, 5), uniforms, SamplingConfig(**settings))
    assert set(symbols.tolist()) == {int(order[index]) for index in left}
    if "temperature" not in settings:
        kept = PROBABILITIES[left] / PROBABILITIES[left].sum()
        for index, probability in zip(left, kept.tolist(), strict=True):
            assert (symbols == order[index]).float().mean().item() == pytest.approx(probability, abs=0.005)


def test_the_largest_uniform_draws_a_possible_symbol():
    largest = torch.tensor([np.nextafter(np.float32(1), np.float32(0)), 0.0])
    logits = torch.tensor([[-torch.inf, 1.0, 2.0, -torch.inf]] * 2)
    assert draw(logits, largest, SamplingConfig()).tolist() == [2, 1]


def test_top_k_of_one_is_greedy(seed):
    model, source = ToyModel(size=10, seed=seed), toy_source(*SENTENCES)
    drawn = SamplingSearch(SamplingConfig(top_k=1))(model, source)
    assert [said(own) for own in drawn] == [said(own) for own in GreedySearch(GreedyConfig())(model, source)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"samples": 0}, "`search.samples`"),
        ({"temperature": 0}, "`search.temperature` must be greater than 0"),
        ({"top_p": 0}, "`search.top_p`"),
        ({"top_k": 0}, "`search.top_k`"),
    ],
)
def test_impossible_settings_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        validate(SamplingConfig, values, path="search")


def test_required_phrases_need_the_beam_search():
    with pytest.raises(ConfigError, match="but the search is `sampling`"):
        SamplingSearch(SamplingConfig())(ToyModel(), toy_source([4]), [Request(required=((4,),))])


@pytest.mark.parametrize("scale", [0.1, 4.0])  # a flat distribution needs all symbols sorted, a peaked one few
def test_nucleus_of_a_large_vocabulary(scale, seed):
    logits = torch.randn(50, 2000) * scale
    symbols = draw(logits, torch.rand(50), SamplingConfig(top_p=0.7))
    for row, symbol in enumerate(symbols.tolist()):
        probabilities, order = logits[row].softmax(0).sort(descending=True)
        nucleus = int((probabilities.cumsum(0) < 0.7).sum()) + 1
        assert symbol in order[: nucleus + 1]
