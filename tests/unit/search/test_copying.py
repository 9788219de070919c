"""Every search with a model that copies: open words are said, traced to their places, scored, required and banned."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.search import RequestError
from antiphon.contracts.sequences import Padded, Request
from antiphon.contracts.specs import TokenSpec
from antiphon.models.lstm import LSTM, LSTMConfig, build
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.ensemble import Ensemble
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.limits import LimitsConfig
from antiphon.search.scoring import score

SPEC = TokenSpec(size=9, pad=0, unknown=1, start=2, end=3, fingerprint="test", open_words=3)
SOURCE = Padded(torch.tensor([[9, 10, 5, 3], [11, 6, 3, 0]]), torch.tensor([4, 3]))  # 9, 10 and 11 are open words
LIMITS = LimitsConfig(max_length=6)


def copier(head: str = "pointer", seed: int = 0, **settings: Any) -> LSTM:
    """A model that copies nearly always."""
    torch.manual_seed(seed)
    model = build(LSTMConfig(dim=16, head=registry.find("heads", head).Config(), **settings), SPEC, SPEC).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
        if head == "pointer":
            model.head.gate.bias.fill_(-6.0)
    return model


@pytest.mark.parametrize("name", ["greedy", "beam", "sampling", "mbr"])
def test_every_search_copies_and_says_from_where(name: str) -> None:
    plugin = registry.find("search", name)
    settings = plugin.Config() if name == "mbr" else plugin.Config(limits=LIMITS)
    found = plugin.build(settings).with_copies()(copier(), SOURCE)
    said = [(row, one) for row, own in enumerate(found) for one in own]
    assert any((one.elements >= SPEC.size).any() for _, one in said)
    for row, one in said:
        assert one.copied is not None
        assert one.copied.probability.shape == one.copied.position.shape == one.elements.shape
        source = SOURCE.values[row].tolist()
        for symbol, probability, place in zip(one.elements, one.copied.probability, one.copied.position, strict=True):
            assert (place < 0) == (symbol not in source)
            assert place < 0 or source[place] == symbol
            assert probability == pytest.approx(1, abs=0.01) if symbol >= SPEC.size else 0 <= probability <= 1


@pytest.mark.parametrize("name", ["greedy", "beam", "sampling", "mbr"])
def test_nothing_is_traced_unless_somebody_asks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin, model = registry.find("search", name), copier()
    passes, encoded = [], []
    decode, encode = model.decode, model.encode
    monkeypatch.setattr(model, "decode", lambda *given, **named: passes.append(1) or decode(*given, **named))
    monkeypatch.setattr(model, "encode", lambda source: encoded.append(1) or encode(source))
    settings = plugin.Config() if name == "mbr" else plugin.Config(limits=LIMITS)
    found = plugin.build(settings)(model, SOURCE)
    assert all(one.copied is None for own in found for one in own)
    assert (passes, encoded) == ([], [1])
    traced = plugin.build(settings).with_copies()(model, SOURCE)
    assert len(passes) == 1, "candidates are not traced, only what is chosen"
    assert [one.elements.tolist() for own in traced for one in own] == [one.elements.tolist() for own in found for one in own]
    assert all(one.copied is not None for own in traced for one in own)


def test_candidates_are_not_aligned_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin, model, passes = registry.find("search", "mbr"), copier(), []
    decode = model.decode
    monkeypatch.setattr(model, "decode", lambda *given, **named: passes.append(1) or decode(*given, **named))
    inner = registry.find("search", "sampling").Config(samples=6, alignment=True, limits=LIMITS)
    found = plugin.build(plugin.Config(candidates=inner))(model, SOURCE)
    assert all(own[0].alignment is not None for own in found)
    assert passes == [1]


def test_scores_of_hypotheses_are_those_of_scoring() -> None:
    model = copier()
    found = BeamSearch(BeamConfig(limits=LIMITS, length_penalty="none"))(model, SOURCE)
    scored = score(model, SOURCE, [own[0].elements for own in found])
    for own, one in zip(found, scored, strict=True):
        assert own[0].log_prob == pytest.approx(one.log_prob, abs=1e-4)


def test_open_words_can_be_asked_for() -> None:
    requests = [Request(prefix=(10,), required=((9,),)), Request(banned=((11,),))]
    found = BeamSearch(BeamConfig(limits=LIMITS))(copier(), SOURCE, requests)
    assert found[0][0].elements[0] == 10
    assert 9 in found[0][0].elements
    assert 11 not in found[1][0].elements


def test_a_model_that_does_not_copy_takes_them_for_unknown() -> None:
    model, search = copier("categorical"), GreedySearch(GreedyConfig(limits=LIMITS))
    with pytest.raises(RequestError, match="Source 0 of the batch: the prefix must be what the model can write") as refused:
        search(model, SOURCE, [Request(prefix=(10,)), Request()])
    assert list(refused.value.reasons) == [0]
    asked, free = search(model, SOURCE, [Request(banned=((10,),)), Request()]), search(model, SOURCE)
    assert asked[0][0].elements.tolist() == free[0][0].elements.tolist(), "what it cannot say need not be banned"
    assert asked[0][0].copied is None
    assert (
        score(model, SOURCE, [np.array([9]), np.array([5])])[0].log_prob == score(model, SOURCE, [np.array([1]), np.array([5])])[0].log_prob
    )


def test_an_ensemble_copies_where_one_of_its_members_does() -> None:
    for others in ({}, {"attention": "none"}):  # no alignment is asked for
        ensemble = Ensemble([copier(), copier("categorical", seed=1, **others)])
        found = GreedySearch(GreedyConfig(limits=LIMITS))(ensemble, SOURCE, [Request(prefix=(10,)), Request()])
        assert found[0][0].elements[0] == 10


@pytest.mark.parametrize("search", [GreedySearch(GreedyConfig(limits=LIMITS)), BeamSearch(BeamConfig(limits=LIMITS))])
def test_an_ensemble_with_a_model_without_attention_says_what_it_found(search: GreedySearch | BeamSearch) -> None:
    torch.manual_seed(1)
    blind = build(LSTMConfig(dim=16, attention="none"), SPEC, SPEC).eval()
    ensemble = Ensemble([copier(), blind])
    found, traced = search(ensemble, SOURCE), search.with_copies()(ensemble, SOURCE)
    assert [one.elements.tolist() for own in traced for one in own] == [one.elements.tolist() for own in found for one in own]
    assert all(math.isfinite(own[0].score) for own in found)


def test_open_words_are_read_as_unknown() -> None:
    model = copier()
    known = Padded(SPEC.known(SOURCE.values), SOURCE.lengths)
    torch.testing.assert_close(model.encode(SOURCE).states, model.encode(known).states)
    assert replace(SPEC, open_words=0) != SPEC  # so vocabularies with and without are told apart
