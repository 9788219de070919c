import numpy as np
import pytest
import torch

from antiphon.contracts.specs import ValueSpec
from antiphon.errors import ConfigError, DataError
from antiphon.heads import steps
from antiphon.search.alignment import traced
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.scoring import score
from tests.toys import END, START, ToyModel, toy_source
from tests.unit.search.alignments import SPEC, FramesModel, probabilities, random_frames


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


def test_alignment_beside_scores_is_that_of_the_search(seed):
    model, source = ToyModel(size=9, seed=seed), toy_source([4, 5, 6], [7, 8])
    targets = [np.array([5, 4, 6]), np.array([6])]
    expected = traced(model, model.encode(source), [[item] for item in score(model, source, targets)], alignment=True)
    for own, (traced_one,) in zip(score(model, source, targets, alignment=True), expected, strict=True):
        np.testing.assert_allclose(own.alignment, traced_one.alignment, atol=1e-6)


def test_no_alignment_without_attention():
    with pytest.raises(ConfigError, match=r"Word alignments need a model with attention, but this model has none\."):
        score(ToyModel(has_attention=False), toy_source([4]), [np.array([4])], alignment=True)


def test_frames_are_summed_over_all_alignments(seed):
    generator = torch.Generator().manual_seed(seed)
    model, source = FramesModel(), random_frames([4, 3], SPEC.size, generator)
    targets = [np.array([4, 5, 4]), np.array([5])]
    for row, found in enumerate(score(model, source, targets)):
        logits = source.values[row, : source.lengths[row]]
        expected = probabilities(logits.log_softmax(-1))[tuple(targets[row].tolist())]
        assert found.log_prob == pytest.approx(np.log(expected), abs=1e-4)
        assert len(found.step_scores) == len(targets[row]) + 1


def test_what_frames_cannot_say_is_impossible(seed):
    generator = torch.Generator().manual_seed(seed)
    found = score(FramesModel(), random_frames([2], SPEC.size, generator), [np.array([4, 4])])
    assert found[0].log_prob == -np.inf


def test_logits_in_parts_are_the_same(seed, monkeypatch):
    model, source = ToyModel(size=9, seed=seed), toy_source([4, 5, 6], [7, 8])
    targets = [np.array([5, 4, 6]), np.array([6])]
    whole = score(model, source, targets)
    monkeypatch.setattr(steps, "CHUNK", 2)
    for one, other in zip(score(model, source, targets), whole, strict=True):
        assert one.step_scores == pytest.approx(other.step_scores, abs=1e-6)
