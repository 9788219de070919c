import math
from typing import Any

import numpy as np
import pytest
import torch

from antiphon.contracts.sequences import Padded, Request
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError
from antiphon.heads.gaussian import GaussianConfig
from antiphon.heads.point import PointConfig
from antiphon.heads.quantile import QuantileConfig
from antiphon.losses.ctc import CTCLoss
from antiphon.models.encoder_only import EncoderOnly, EncoderOnlyConfig, RecurrentEncoderConfig
from antiphon.models.linear import LinearConfig
from antiphon.models.linear import build as linear
from antiphon.models.lstm import LSTM, LSTMConfig
from antiphon.search.beam import BeamConfig, BeamSearch
from antiphon.search.ctc import CTCSearch, CTCSearchConfig
from antiphon.search.direct import DirectConfig, DirectSearch
from antiphon.search.ensemble import Ensemble, together
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.rollout import RolloutConfig, RolloutSearch
from antiphon.search.scoring import score
from tests.toys import END, PAD, START, UNKNOWN, LookUpModel, ToyModel, toy_source

SENTENCES = [[4, 5, 6], [7], [6, 4, 4, 5]]


@pytest.mark.parametrize("average", ["probability", "log_probability"])
def test_copies_of_a_model_are_the_model(average, seed):
    model, source = ToyModel(size=9, seed=seed), toy_source(*SENTENCES)
    search = BeamSearch(BeamConfig(beam_size=3, n_best=3, coverage_penalty=0.1, alignment=True))
    together, alone = search(Ensemble([model, model], average), source), search(model, source)
    for one, other in zip(together, alone, strict=True):
        assert [item.elements.tolist() for item in one] == [item.elements.tolist() for item in other]
        assert [item.score for item in one] == pytest.approx([item.score for item in other], abs=1e-4)
        np.testing.assert_allclose(one[0].alignment, other[0].alignment, atol=1e-5)


@pytest.mark.parametrize("average", ["probability", "log_probability"])
def test_two_models_by_hand(average, seed):
    first, second = ToyModel(size=9, seed=seed), LookUpModel({}, 9)  # of different architecture
    second.source = second.target = first.target
    table = torch.randn(9).tolist()
    second.table = {(): table, (5,): table}
    ensemble, source = Ensemble([first, second], average), toy_source([4, 5])
    members = []
    for model in (first, second):
        memory = model.project(model.encode(source))
        output, _ = model.step(torch.tensor([START]), memory, model.init_state(memory, 1, 2))
        members.append(output.values.log_softmax(-1))
    expected = (members[0].exp() + members[1].exp()).div(2).log() if average == "probability" else (members[0] + members[1]) / 2
    memory = ensemble.project(ensemble.encode(source))
    output, _ = ensemble.step(torch.tensor([START]), memory, ensemble.init_state(memory, 1, 2))
    torch.testing.assert_close(output.values, expected)
    greedy = GreedySearch(GreedyConfig())(ensemble, source)[0][0]
    assert score(ensemble, source, [greedy.elements])[0].log_prob == pytest.approx(greedy.log_prob, abs=1e-4), "decode is step repeated"
    assert math.isfinite(greedy.log_prob)


def test_a_batch_gives_what_each_source_gives_alone(seed):
    ensemble = Ensemble([ToyModel(size=9, seed=seed), ToyModel(size=9, seed=seed + 1, dim=3)])
    search = BeamSearch(BeamConfig(beam_size=3))
    for sentence, own in zip(SENTENCES, search(ensemble, toy_source(*SENTENCES)), strict=True):
        assert own[0].elements.tolist() == search(ensemble, toy_source(sentence))[0][0].elements.tolist()


def test_members_are_registered_modules():
    assert len(list(Ensemble([ToyModel(), ToyModel()]).children())) == 1
    assert not Ensemble([ToyModel()]).eval().models[0].training


def test_members_must_agree():
    with pytest.raises(ConfigError, match="must have at least one model"):
        Ensemble([])
    with pytest.raises(ConfigError, match="Model 1 of the ensemble must read and write what model 0 does"):
        Ensemble([ToyModel(size=7), ToyModel(size=8)])
    other = ToyModel(size=7)
    other.target = TokenSpec(7, PAD, UNKNOWN, START, END, "another vocabulary")
    with pytest.raises(ConfigError, match="same vocabulary"):
        Ensemble([ToyModel(size=7), other])
    other.target = ValueSpec(1)
    with pytest.raises(ConfigError, match="Model 1 of the ensemble must read and write what model 0 does"):
        Ensemble([ToyModel(size=7), other])


def value_model(head: Any) -> LSTM:
    config = LSTMConfig(dim=4, attention="none", bidirectional=False, dropout=0.0, head=head)
    return LSTM(config, ValueSpec(2), ValueSpec(1, 1)).eval()


@pytest.mark.parametrize("search", [DirectSearch(DirectConfig()), RolloutSearch(RolloutConfig())])
@pytest.mark.parametrize("head", [PointConfig(), QuantileConfig(levels=(0.1, 0.5, 0.9))])
def test_values_are_averaged(head, search, seed):
    members = [value_model(head) for _ in range(3)]
    source = Padded(torch.randn(2, 5, 2), torch.tensor([5, 3]))
    requests = [Request(known=np.ones((steps, 2), dtype=np.float32)) for steps in (4, 1)]
    together = search(Ensemble(members), source, requests)
    alone = [search(member, source, requests) for member in members]
    for row in range(2):
        first = slice(None) if isinstance(search, DirectSearch) else slice(0, 1)  # later steps read the average, not a member's own
        points = np.mean([found[row][0].elements for found in alone], axis=0)
        np.testing.assert_allclose(together[row][0].elements[first], points[first], atol=1e-5)
        if isinstance(head, QuantileConfig):
            quantiles = np.mean([found[row][0].quantiles.values for found in alone], axis=0)
            np.testing.assert_allclose(together[row][0].quantiles.values[first], quantiles[first], atol=1e-5)


@pytest.mark.parametrize(
    ("heads", "said"),
    [
        ((GaussianConfig(), GaussianConfig()), "they give Normal"),
        ((QuantileConfig(), PointConfig()), "they give Quantiles and Tensor"),
        ((QuantileConfig(), QuantileConfig(levels=(0.5,))), "they give Quantiles"),
    ],
)
def test_values_that_have_no_average(heads, said):
    ensemble = Ensemble([value_model(head) for head in heads])
    requests = [Request(known=np.ones((4, 2), dtype=np.float32))]
    with pytest.raises(ConfigError, match=f"quantiles at the same levels, but {said}"):
        DirectSearch(DirectConfig())(ensemble, Padded(torch.randn(1, 5, 2), torch.tensor([5])), requests)


def test_attention_is_given_when_all_members_have_it():
    ensemble = Ensemble([ToyModel(), ToyModel(has_attention=False)])
    with pytest.raises(ConfigError, match=r"`search.alignment` needs a model with attention"):
        GreedySearch(GreedyConfig(alignment=True))(ensemble, toy_source([4, 5]))


def encoder(seed: int, subsampling: int = 2) -> EncoderOnly:
    torch.manual_seed(seed)
    settings = EncoderOnlyConfig(encoder=RecurrentEncoderConfig(dim=6, layers=1), subsampling=subsampling, subsampling_width=2)
    return EncoderOnly(settings, ValueSpec(8), TokenSpec(9, PAD, UNKNOWN, START, END, "letters")).eval()


@pytest.mark.parametrize("beam_size", [1, 3])
def test_encoders_with_ctc(beam_size, seed):
    first, second = encoder(seed), encoder(seed + 1)
    source = Padded(torch.randn(2, 24, 8), torch.tensor([24, 15]))
    search = CTCSearch(CTCSearchConfig(beam_size=beam_size, spans=True))
    twice, once = search(together([first, first]), source), search(first, source)
    assert [own[0].elements.tolist() for own in twice] == [own[0].elements.tolist() for own in once]
    assert [own[0].score for own in twice] == pytest.approx([own[0].score for own in once], abs=1e-4)
    both = together([first, second])
    expected = torch.stack([model.frames(model.encode(source)).logits.softmax(-1) for model in (first, second)]).mean(0).log()
    output = both(source, Padded(torch.zeros(2, 1, dtype=torch.int64), torch.ones(2, dtype=torch.int64)))
    torch.testing.assert_close(output.frames.logits, expected)
    labels = Padded(torch.tensor([[4, 5, END], [6, END, PAD]]), torch.tensor([3, 2]))
    assert bool(CTCLoss(both.target)(output, labels).rows.isfinite().all())


def test_encoders_that_do_not_fit(seed):
    source, search = Padded(torch.randn(1, 24, 8), torch.tensor([24])), CTCSearch(CTCSearchConfig())
    with pytest.raises(ConfigError, match=r"the same `model.subsampling` where CTC takes part, but have 2 and 4"):
        search(together([encoder(seed), encoder(seed, 4)]), source)
    with pytest.raises(ConfigError, match="or none of them, but ToyModel does and EncoderOnly does not"):
        together([encoder(seed), ToyModel()])


def test_forecasters_without_steps(seed):
    members = [linear(LinearConfig(context_length=6, horizon=4, head=PointConfig()), ValueSpec(1), ValueSpec(1)).eval() for _ in range(2)]
    source, requests = Padded(torch.randn(1, 6, 1), torch.tensor([6])), [Request(known=np.ones((4, 1), dtype=np.float32))]
    search = DirectSearch(DirectConfig())
    mean = np.mean([search(member, source, requests)[0][0].elements for member in members], axis=0)
    np.testing.assert_allclose(search(together(members), source, requests)[0][0].elements, mean, atol=1e-5)


@pytest.mark.parametrize("average", ["probability", "log_probability"])
def test_weights_by_hand(average, seed):
    models, source = [ToyModel(size=9, seed=seed + number) for number in range(3)], toy_source([4, 5], [7])
    inputs = Padded(torch.tensor([[START, 4], [START, 8]]), torch.tensor([2, 2]))
    outputs = [model.decode(inputs, model.encode(source), attention=True) for model in models]
    shares = torch.tensor([0.2, 0.5, 0.3]).view(3, 1, 1, 1)
    log_probs = torch.stack([output.values.log_softmax(-1) for output in outputs])
    expected = (shares * log_probs.exp()).sum(0).log() if average == "probability" else (shares * log_probs).sum(0)
    ensemble = Ensemble(models, average, weights=[2.0, 5.0, 3.0])
    found = ensemble.decode(inputs, ensemble.encode(source), attention=True)
    torch.testing.assert_close(found.values, expected)
    torch.testing.assert_close(found.attention, (shares * torch.stack([output.attention for output in outputs])).sum(0))
    alike = Ensemble(models, average, weights=[0.7, 0.7, 0.7]).decode(inputs, ensemble.encode(source)).values
    torch.testing.assert_close(alike, Ensemble(models, average).decode(inputs, ensemble.encode(source)).values)


def test_weights_and_averages_that_mean_nothing_are_refused():
    models = [ToyModel(seed=1), ToyModel(seed=2)]
    with pytest.raises(ConfigError, match=r"`weights` must be a positive number for each of the 2 models, but are 0\.6, 0\.3, 0\.1"):
        together(models, weights=[0.6, 0.3, 0.1])
    for wrong in ([1.0, 0.0], [1.0, -1.0], [1.0, math.inf], []):
        with pytest.raises(ConfigError, match="`weights` must be a positive number"):
            together(models, weights=wrong)
    for name, given in (("weights", {"weights": [1.0]}), ("average", {"average": "probability"})):
        with pytest.raises(ConfigError, match=f"`{name}` must be left out unless several runs"):
            together(models[:1], **given)
    assert together(models[:1]) is models[0]
