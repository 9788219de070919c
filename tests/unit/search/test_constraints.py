import itertools

import numpy as np
import pytest
import torch

from antiphon.contracts.search import RequestError
from antiphon.contracts.sequences import Request, select_rows
from antiphon.errors import ConfigError
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.candidates import constrained
from antiphon.search.constraints import allocate, required_phrases
from antiphon.search.limits import LimitsConfig
from antiphon.search.processors import StepScores
from antiphon.search.scoring import score
from tests.toys import UNKNOWN, ToyModel, toy_source


def contains(said, phrase):
    return any(tuple(said[i : i + len(phrase)]) == phrase for i in range(len(said) - len(phrase) + 1))


def test_phrases_are_said(seed):
    requests = [Request(required=((6, 4), (7,))), Request(), Request(required=((5, 5, 4), (5, 4, 6)))]
    sentences = [[4, 5], [6, 7, 8], [4]]
    search = BeamSearch(BeamConfig(beam_size=4, n_best=2, limits=LimitsConfig(max_length=12)))
    found = search(ToyModel(size=9, seed=seed, end_bias=1), toy_source(*sentences), requests)
    for own, request in zip(found, requests, strict=True):
        for item in own:
            assert item.finish_reason == "constraint" or all(contains(item.elements.tolist(), phrase) for phrase in request.required)
        assert own[0].finish_reason != "constraint"


def test_one_row_is_enough_to_say_a_phrase(seed):
    search = BeamSearch(BeamConfig(beam_size=1, limits=LimitsConfig(max_length=8)))
    best = search(ToyModel(size=9, seed=seed), toy_source([4, 5]), [Request(required=((8, 7, 8),))])[0][0]
    assert contains(best.elements.tolist(), (8, 7, 8))


def test_a_source_without_phrases_decodes_as_ever(seed):
    model, search = ToyModel(size=9, seed=seed), BeamSearch(BeamConfig(beam_size=4, n_best=4, limits=LimitsConfig(max_length=9)))
    mixed = search(model, toy_source([4, 5], [6, 7]), [Request(required=((8, 8),)), Request()])[1]
    alone = search(model, toy_source([6, 7]))[0]
    assert [item.elements.tolist() for item in mixed] == [item.elements.tolist() for item in alone]


def test_a_wide_constrained_beam_finds_what_enumeration_finds(seed):
    model, source, phrase = ToyModel(size=6, seed=seed), toy_source([4, 5, 4]), (5, 4)
    every = [np.array(said) for length in (2, 3) for said in itertools.product((UNKNOWN, 4, 5), repeat=length) if contains(said, phrase)]
    scored = score(model, select_rows(source, torch.zeros(len(every), dtype=torch.int64)), every)
    expected = max(scored, key=lambda item: item.log_prob)
    settings = BeamConfig(beam_size=216, length_penalty="none", limits=LimitsConfig(max_length=3))
    best = BeamSearch(settings)(model, source, [Request(required=(phrase,))])[0][0]
    assert best.elements.tolist() == expected.elements.tolist()
    assert best.score == pytest.approx(expected.log_prob, abs=1e-5)


def test_what_cannot_be_met_is_said_so():
    search = BeamSearch(BeamConfig(beam_size=3, n_best=2, limits=LimitsConfig(max_length=3)))
    found = search(ToyModel(size=9), toy_source([4, 5]), [Request(required=((8, 7), (6, 5)))])[0]
    assert [item.finish_reason for item in found] == ["constraint", "constraint"]
    blocked = search(ToyModel(size=9), toy_source([4, 5]), [Request(required=((8,),), banned=((8,),))])[0]
    assert blocked[0].finish_reason == "constraint"


def test_hypotheses_with_the_phrase_come_first():
    search = BeamSearch(BeamConfig(beam_size=6, n_best=6, limits=LimitsConfig(max_length=3)))
    found = search(ToyModel(size=9, seed=4, end_bias=-9), toy_source([4, 5]), [Request(required=((8, 7, 8),))])[0]
    lacking = [item.finish_reason == "constraint" for item in found]
    assert lacking == sorted(lacking)
    assert not lacking[0]
    assert lacking[-1]


def test_progress_is_exact():
    phrases = required_phrases([Request(required=((4, 4, 5), (5, 6)))], 1, torch.device("cpu"))
    for symbol, bank in [(4, 1), (4, 2), (4, 2), (5, 4), (7, 3), (5, 4), (6, 5)]:
        assert phrases.banks(torch.tensor([[symbol]])).item() == bank
        assert not phrases.complete.item()
        phrases = phrases.advance(torch.tensor([symbol]))
    assert phrases.complete.item()


def test_the_next_symbols_are_those_that_take_each_phrase_further():
    phrases = required_phrases([Request(required=((4, 4, 5), (5, 6), (7,)))], 1, torch.device("cpu"))
    assert phrases.next_symbols().tolist() == [[4, 5, 7]]
    for symbol in (7, 4, 4):
        phrases = phrases.advance(torch.tensor([symbol]))
    assert phrases.next_symbols().tolist() == [[5, 5, -1]]
    assert phrases.advance(torch.tensor([5])).next_symbols().tolist() == [[-1, 6, -1]]


def test_places_are_dealt_out_over_the_banks():
    scores = torch.tensor([[-1.0, -2.0, -3.0, -4.0, -5.0, -torch.inf]])
    banks = torch.tensor([[0, 0, 0, 1, 2, 3]])
    assert allocate(scores, banks, 5).tolist() == [[4, 3, 0, 1, 2]]
    assert allocate(scores, torch.zeros_like(banks), 6).tolist() == [[0, 1, 2, 3, 4, 5]]


def test_two_phrases_that_want_one_symbol_make_one_candidate():
    phrases = required_phrases([Request(required=((8,), (8, 7), (4,)))], 2, torch.device("cpu"))
    logits = torch.arange(9.0, 0, -1).repeat(2, 1)  # 8 is the least likely symbol, 4 among the likely
    scores = StepScores(logits, torch.zeros(2, 1), logits)
    wide = constrained(scores, torch.zeros(1, 2), phrases)
    finite = [pair for pair, total in zip(_pairs(wide), wide.totals.flatten().tolist(), strict=True) if total > -float("inf")]
    assert len(finite) == len(set(finite))
    assert {(0, 8), (1, 8)} <= set(finite)


def _pairs(candidates):
    return list(zip(candidates.rows.flatten().tolist(), candidates.symbols.flatten().tolist(), strict=True))


def test_groups_and_phrases_do_not_go_together():
    with pytest.raises(ConfigError, match=r"`search.groups` must be 1 where phrases are required, but is 2"):
        BeamSearch(BeamConfig(beam_size=4, groups=2))(ToyModel(), toy_source([4]), [Request(required=((4,),))])


def test_what_no_output_can_hold_is_refused():
    """All such sources of a batch are told at once, so that the others can be decoded."""
    search = BeamSearch(BeamConfig(beam_size=3, limits=LimitsConfig(max_length=3)))
    requests = [Request(required=((8, 7, 8, 7),)), Request(required=((8, 7, 8),)), Request(required=((4,), (UNKNOWN, 4)))]
    with pytest.raises(RequestError) as refused:
        search(ToyModel(size=9), toy_source([4, 5], [6], [7]), requests)
    assert list(refused.value.reasons) == [0, 2]
    assert "the required phrase must have at most 3 symbols, the limit for the source's length, but has 4." in refused.value.reasons[0]
    assert "the required phrase must be what the model can write" in refused.value.reasons[2]
