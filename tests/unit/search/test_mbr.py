import time
from collections import Counter

import numpy as np
import pytest

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Hypothesis
from antiphon.errors import ConfigError
from antiphon.search.mbr import MinimumBayesRiskConfig, MinimumBayesRiskSearch, choose, plugin, symbol_utility, text_utility
from antiphon.search.sampling import SamplingConfig, SamplingSearch
from tests.toys import ToyModel, toy_source


def hypotheses(*sequences):
    return [Hypothesis(np.array(symbols), log_prob, log_prob) for symbols, log_prob in sequences]


def test_the_consensus_wins_over_the_likeliest():
    candidates = hypotheses(([9, 9, 9], -0.1), ([4, 5, 6, 7], -2.0), ([4, 5, 6, 8], -3.0), ([4, 5, 6, 7], -2.0), ([3, 5, 6, 7], -3.0))
    ranked = choose(candidates, symbol_utility)
    assert ranked[0].elements.tolist() == [4, 5, 6, 7]
    assert len(ranked) == 4, "equal candidates are given once"
    assert ranked[0].log_prob == -2.0
    assert [item.score for item in ranked] == sorted((item.score for item in ranked), reverse=True)


def test_expected_utility_counts_every_draw():
    candidates = hypotheses(([4], -1.0), ([5], -1.5), ([5], -1.5))
    ranked = choose(candidates, lambda left, right: np.array([[float(np.array_equal(a, b)) for b in right] for a in left]))
    assert [(item.elements.tolist(), item.score) for item in ranked] == [([5], pytest.approx(2 / 3)), ([4], pytest.approx(1 / 3))]


def test_symbol_utility():
    long, short, empty = np.array([4, 5, 6]), np.array([4, 5]), np.array([], dtype=np.int64)
    matrix = symbol_utility([long, empty], [long, short, empty])
    f1 = (2 * 2 / 5 + 2 * 1 / 3 + 0) / 3  # one symbols, pairs, triples; no fours on either side
    np.testing.assert_allclose(matrix, [[1, f1, 0], [0, 0, 1]])


def counted(left, right):
    """The utility by counting the n-grams of each pair."""
    scores = []
    for n in range(1, 5):
        one, two = (Counter(zip(*(item.tolist()[first:] for first in range(n)), strict=False)) for item in (left, right))
        if one or two:
            scores.append(2 * (one & two).total() / (one.total() + two.total()))
    return sum(scores) / len(scores) if scores else 1.0


@pytest.mark.parametrize("vocabulary", [1, 2, 5, 400])
def test_symbol_utility_is_that_of_counting_each_pair(vocabulary, seed):
    generator = np.random.default_rng(seed)
    first, second = ([generator.integers(0, vocabulary, generator.integers(0, 12)) + 4 for _ in range(count)] for count in (30, 7))
    for left, right in (
        (first, second),
        (first, first),
        (second[:1], first),
        ([np.zeros(0, dtype=np.int64)], second),
        ([np.array([4])], [np.array([5])]),
    ):
        expected = [[counted(one, other) for other in right] for one in left]
        np.testing.assert_allclose(symbol_utility(left, right), expected, rtol=0, atol=3e-14)


def test_symbol_utility_counts_every_sequence_once():
    """Of twice as many candidates the work is twice as large, but for one matrix product: no pair is counted by itself."""
    generator = np.random.default_rng(1)
    sequences = [generator.integers(4, 900, 30) for _ in range(96)]
    began = time.process_time()
    symbol_utility(sequences, sequences)
    vectorized = time.process_time() - began
    began = time.process_time()
    for one in sequences[:4]:
        for other in sequences[:32]:
            counted(one, other)
    pairs = (time.process_time() - began) * 96 * 96 / (4 * 32)
    assert vectorized < pairs / 2, f"{vectorized:.2f} s, where pairs take {pairs:.2f} s"


def test_text_utility_scores_pairs_in_order():
    def statistics(predictions, references):
        return np.array([[len(text), len(other)] for text, (other,) in zip(predictions, references, strict=True)])

    utility = text_utility(statistics, lambda total: total[..., 0] - 10 * total[..., 1], lambda symbols: "x" * len(symbols))
    sequences = [np.arange(1), np.arange(3)]
    np.testing.assert_array_equal(utility(sequences, sequences), [[-9, -29], [-7, -27]])


def test_rouge_is_a_utility():
    """Its score of a set is a mean over items; here each pair of candidates is a set of one."""
    metric = registry.find("metrics", "rouge_l")
    names = {4: "the", 5: "file", 6: "is", 7: "open", 8: "shut", 9: "no"}
    calls = []

    def decode(symbols):
        calls.append(1)
        return " ".join(names[symbol] for symbol in symbols.tolist())

    utility = text_utility(metric.statistics, metric.aggregate, decode, higher_is_better=metric.higher_is_better)
    candidates = hypotheses(([9], -0.1), ([4, 5, 6, 7], -2.0), ([4, 5, 6, 8], -3.0), ([4, 5, 7], -4.0), ([4, 5, 6, 7], -2.0))
    ranked = choose(candidates, utility)
    assert len(calls) == 8, "each of four different candidates is decoded once on either side"
    # The score is the mean F1 with all five draws.
    f1 = {"itself": 1, "shut": 2 * 3 / 8, "short": 2 * 3 / 7, "no": 0}
    assert ranked[0].elements.tolist() == [4, 5, 6, 7]
    assert ranked[0].score == pytest.approx(100 * (2 * f1["itself"] + f1["shut"] + f1["short"] + f1["no"]) / 5)
    assert [item.elements.tolist() for item in ranked][-1] == [9], "the likeliest is like none of the others"


@pytest.mark.parametrize("candidates", [{"name": "sampling", "samples": 12}, {"name": "beam", "beam_size": 4, "n_best": 4}])
def test_the_search_chooses_among_its_candidates(candidates, seed):
    model, source = ToyModel(size=9, seed=seed), toy_source([4, 5, 6], [7])
    settings = validate(plugin.Config, {"candidates": candidates, "n_best": 2, "alignment": True})
    found = plugin.build(settings)(model, source)
    pool = registry.find("search", candidates["name"]).build(settings.candidates)(model, source)
    for own, drawn, length in zip(found, pool, (3, 1), strict=True):
        expected = choose(drawn, symbol_utility)[:2]
        assert [item.elements.tolist() for item in own] == [item.elements.tolist() for item in expected]
        assert own[0].alignment.shape == (len(own[0].elements), length)


def test_another_utility(seed):
    model, source = ToyModel(size=9, seed=seed), toy_source([4, 5, 6])
    candidates = SamplingConfig(samples=8)
    search = MinimumBayesRiskSearch(MinimumBayesRiskConfig(candidates=candidates, metric="chrf"))
    with pytest.raises(ConfigError, match=r"`search.metric` is `chrf`, so the search needs `with_utility`"):
        search(model, source)
    shortest = search.with_utility(lambda left, right: np.array([[-len(a)] * len(right) for a in left]))(model, source)[0][0]
    assert len(shortest.elements) == min(len(item.elements) for item in SamplingSearch(candidates)(model, source)[0])


def test_nested_and_single_candidates_are_refused():
    for name in ("mbr", "greedy"):
        with pytest.raises(ConfigError, match=f"`candidates` must be a search with several hypotheses per source, but is `{name}`"):
            validate(plugin.Config, {"candidates": name}, path="search")
