"""Attention and CTC in one beam, against the exhaustive sum of both."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Frames, Memory, select_rows
from antiphon.errors import ConfigError
from antiphon.search.beam import BeamConfig, BeamSearch, plugin
from antiphon.search.ensemble import Ensemble
from antiphon.search.limits import LimitsConfig
from antiphon.search.scoring import score
from tests.toys import PAD, UNKNOWN, ToyModel, toy_source

SENTENCES = [[4, 5, 4, 5, 4], [5], [4, 4, 5]]
LONGEST = 3
EVERY = [said for length in range(LONGEST + 1) for said in itertools.product((UNKNOWN, 4, 5), repeat=length)]


class Hearing(ToyModel):
    """A toy that says something of each state of its memory."""

    def __init__(self, size=6, seed=0):
        super().__init__(size=size, seed=seed)
        self.said_of = torch.randn(5, size, generator=torch.Generator().manual_seed(seed + 1))

    def frames(self, memory: Memory) -> Frames:
        return Frames(memory.states, memory.mask, lambda states: states @ self.said_of)


def ctc(model, sentence, said):
    """The log-probability of a sequence by torch's own."""
    source = toy_source(sentence)
    log_probs = model.frames(model.encode(source)).logits.double().log_softmax(-1)
    sizes = torch.tensor([len(sentence)]), torch.tensor([len(said)])
    return -float(torch.nn.functional.ctc_loss(log_probs.transpose(0, 1), torch.tensor([said]).long(), *sizes, blank=PAD, reduction="sum"))


@pytest.mark.parametrize("penalty", ["none", "average"])
@pytest.mark.parametrize("weight", [0.0, 0.3, 0.9])
def test_a_wide_beam_finds_what_enumeration_finds(weight, penalty, seed):
    model = Hearing(seed=seed)
    limits = LimitsConfig(max_length=LONGEST)
    settings = BeamConfig(beam_size=60, n_best=6, ctc_weight=weight, length_penalty=penalty, limits=limits)
    found = BeamSearch(settings)(model, toy_source(*SENTENCES))
    for sentence, own in zip(SENTENCES, found, strict=True):
        repeated = select_rows(toy_source(sentence), torch.zeros(len(EVERY), dtype=torch.int64))
        spoken = score(model, repeated, [np.array(said, dtype=np.int64) for said in EVERY])
        ranked = []
        for item, said in zip(spoken, EVERY, strict=True):
            total = (1 - weight) * item.log_prob + (weight * ctc(model, sentence, said) if weight else 0)
            ranked.append((total if penalty == "none" else total / (len(said) + 1), said, item))
        ranked = sorted(ranked, key=lambda entry: -entry[0])[:6]
        possible = [entry for entry in ranked if entry[0] > -1e4]
        assert [item.score for item in own][: len(possible)] == pytest.approx([entry[0] for entry in possible], abs=1e-4)
        assert tuple(own[0].elements.tolist()) == possible[0][1]
        assert own[0].step_scores == pytest.approx(possible[0][2].step_scores, abs=1e-4), "step scores are the decoder's"


def test_a_source_alone_finds_what_it_finds_in_a_batch(seed):
    model = Hearing(size=9, seed=seed)
    search = BeamSearch(BeamConfig(beam_size=4, n_best=3, ctc_weight=0.4, spans=True, limits=LimitsConfig(max_length=6)))
    for sentence, own in zip(SENTENCES, search(model, toy_source(*SENTENCES)), strict=True):
        (alone,) = search(model, toy_source(sentence))
        assert [item.elements.tolist() for item in alone] == [item.elements.tolist() for item in own]
        assert [item.score for item in alone] == pytest.approx([item.score for item in own], abs=1e-4)
        for one, other in zip(alone, own, strict=True):
            np.testing.assert_array_equal(one.spans, other.spans)


def test_spans_of_what_attention_found(seed):
    model = Hearing(seed=seed)
    limits = LimitsConfig(max_length=3, min_length=1)
    found = BeamSearch(BeamConfig(beam_size=8, n_best=8, spans=True, limits=limits))(model, toy_source(*SENTENCES))
    for sentence, own in zip(SENTENCES, found, strict=True):
        for item in own:
            symbols = item.elements.tolist()
            needed = len(symbols) + sum(one == other for one, other in itertools.pairwise(symbols))
            assert (item.spans is None) == (needed > len(sentence)), "spans are missing only where there are too few frames"
            if item.spans is not None:
                assert item.spans.shape == (len(symbols), 2)
                assert bool((item.spans[:, 0] < item.spans[:, 1]).all())
                assert bool((item.spans[1:, 0] >= item.spans[:-1, 1]).all())
                assert item.spans.max() <= len(sentence)


def test_requests_hold_in_joint_decoding(seed):
    from antiphon.contracts.sequences import Request

    model = Hearing(size=9, seed=seed)
    requests = [Request(prefix=(5, 4)), Request(required=((6, 7),)), Request(banned=((4,), (5,)))]
    found = BeamSearch(BeamConfig(beam_size=6, ctc_weight=0.5, limits=LimitsConfig(max_length=6)))(model, toy_source(*SENTENCES), requests)
    first, second, third = (own[0].elements.tolist() for own in found)
    assert first[:2] == [5, 4]
    assert (6, 7) in list(itertools.pairwise(second))
    assert not {4, 5} & set(third)


def test_models_without_frames_and_impossible_weights_are_refused():
    for settings in ({"ctc_weight": 0.3}, {"spans": True}):
        with pytest.raises(ConfigError, match=f"`search.{next(iter(settings))}` needs a model with an output for each frame"):
            BeamSearch(replace(BeamConfig(), **settings))(ToyModel(), toy_source([4, 5]))
    with pytest.raises(ConfigError, match=r"`search\.ctc_weight` must be less than 1"):
        validate(plugin.Config, {"ctc_weight": 1.0}, path="search")


@pytest.mark.parametrize("average", ["probability", "log_probability"])
def test_an_ensemble_hears_what_its_members_hear(average, seed):
    models = [Hearing(seed=seed), Hearing(seed=seed + 7)]
    both, source = Ensemble(models, average), toy_source(*SENTENCES)
    log_probs = torch.stack([model.frames(model.encode(source)).logits.log_softmax(-1) for model in models])
    expected = log_probs.exp().mean(0).log() if average == "probability" else log_probs.mean(0)
    torch.testing.assert_close(both.frames(both.encode(source)).logits, expected)
    search = BeamSearch(BeamConfig(beam_size=4, ctc_weight=0.4, limits=LimitsConfig(max_length=4)))
    twice, once = search(Ensemble([models[0], models[0]], average), source), search(models[0], source)
    assert [own[0].elements.tolist() for own in twice] == [own[0].elements.tolist() for own in once]
    assert [own[0].score for own in twice] == pytest.approx([own[0].score for own in once], abs=1e-3)
    deaf = Ensemble([models[0], ToyModel(size=6, seed=seed)])
    assert deaf.frames(deaf.encode(source)) is None
