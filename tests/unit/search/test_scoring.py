import numpy as np
import pytest
import torch

from antiphon.contracts.specs import ValueSpec
from antiphon.errors import ConfigError, DataError
from antiphon.search.alignment import traced
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.scoring import score
from tests.toys import END, START, ToyModel, toy_source


def test_scores_against_single_steps(seed):
    model, source = ToyModel(size=9, seed=seed), toy_source([4, 5, 6], [7, 8])
    targets = [np.array([5, 4]), np.array([], dtype=np.int64)]
    scored = score(model, source, targets)
    for row, target in enumerate(targets):
        alone = toy_source([[4, 5, 6], [7, 8]][row])
        memory = model.project(model.encode(alone))
        state, last, expected = model.init_state(memory, 1, 3), START, []
        for symbol in [*target.tolist(), END]:
            output, state = model.step(torch.tensor([last]), memory, state)
            expected.append(output.values.log_softmax(-1)[0, symbol].item())
            last = symbol
        assert scored[row].step_scores == pytest.approx(expected, abs=1e-5)
        assert scored[row].score == scored[row].log_prob == pytest.approx(sum(expected), abs=1e-5)
        assert scored[row].elements.tolist() == target.tolist()


def test_scoring_equals_the_sum_of_the_searchs_step_scores(seed):
    model, source = ToyModel(size=9, seed=seed), toy_source([4, 5, 6], [7, 8])
    found = BeamSearch(BeamConfig())(model, source)
    scored = score(model, source, [own[0].elements for own in found])
    for own, item in zip(found, scored, strict=True):
        assert sum(own[0].step_scores) == pytest.approx(item.log_prob, abs=1e-4)


def test_symbols_outside_the_vocabulary_are_refused():
    with pytest.raises(DataError, match="Target 1 of the batch must hold symbols from 0 to 8, but holds 4 to 9"):
        score(ToyModel(size=9), toy_source([4], [5]), [np.array([4]), np.array([4, 9])])


def test_a_model_without_symbols_is_refused():
    model = ToyModel()
    model.target = ValueSpec(80)
    with pytest.raises(ConfigError, match="Scoring needs a model that writes symbols, but this one writes ValueSpec"):
        score(model, toy_source([4]), [np.array([4])])


def test_alignment_is_the_attention_of_each_element(seed):
    model, source = ToyModel(size=9, seed=seed), toy_source([4, 5, 6], [7, 8])
    memory = model.encode(source)
    targets = [np.array([5, 4, 6]), np.array([6])]
    aligned = traced(model, memory, [[item] for item in score(model, source, targets)], alignment=True)
    state, last = model.init_state(memory, 1, 3), torch.full((2,), START)
    for step in range(3):
        output, state = model.step(last, model.project(memory), state, attention=True)
        np.testing.assert_allclose(aligned[0][0].alignment[step], output.attention[0], atol=1e-6)
        if step == 0:
            np.testing.assert_allclose(aligned[1][0].alignment[0], output.attention[1, :2], atol=1e-6)
        last = torch.tensor([targets[0][step], 6])
    assert aligned[0][0].alignment.shape == (3, 3)
    assert aligned[1][0].alignment.shape == (1, 2)
    np.testing.assert_allclose(aligned[1][0].alignment.sum(1), 1, atol=1e-5)


def test_uneven_lists_are_aligned():
    model, source = ToyModel(size=9), toy_source([4, 5, 6], [7, 8])
    first, second = score(model, source, [np.array([5, 4]), np.array([6])])
    aligned = traced(model, model.encode(source), [[first], [second, second, second]], alignment=True)
    assert [len(own) for own in aligned] == [1, 3]
    np.testing.assert_array_equal(aligned[1][0].alignment, aligned[1][2].alignment)
