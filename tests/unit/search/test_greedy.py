import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.search import Search
from antiphon.contracts.sequences import Padded, Request
from antiphon.contracts.specs import ValueSpec
from antiphon.errors import AntiphonError, ConfigError
from antiphon.search.greedy import GreedyConfig, GreedySearch, plugin
from antiphon.search.limits import LimitsConfig
from tests.toys import END, START, LookUpModel, ToyModel, toy_source

SHORT = LimitsConfig(max_length=10)


def test_it_is_a_plugin():
    assert registry.find("search", "greedy") is plugin
    assert isinstance(plugin.build(validate(plugin.Config, {"name": "greedy"})), Search)


def test_against_a_plain_loop(seed):
    model = ToyModel(size=9, seed=seed)
    source = toy_source([4, 5, 6, 7])
    best = GreedySearch(GreedyConfig(limits=SHORT))(model, source)[0][0]
    said, log_prob = [START], 0.0
    while said[-1] != END and len(said) <= 10:
        inputs = Padded(torch.tensor([said]), torch.tensor([len(said)]))
        log_probs = model.decode(inputs, model.encode(source)).values[0, -1].log_softmax(-1)
        log_probs[[0, 2]] = -torch.inf
        said.append(int(log_probs.argmax()))
        log_prob += float(log_probs.max())
    assert best.elements.tolist() == [symbol for symbol in said[1:] if symbol != END]
    if best.finish_reason == "end":
        assert best.log_prob == pytest.approx(log_prob, abs=1e-4)
    assert best.score == best.log_prob == pytest.approx(sum(best.step_scores))


def test_a_batch_gives_what_each_source_gives_alone(seed):
    model = ToyModel(size=12, seed=seed)
    sentences = [[4, 5, 6], [7], [8, 9, 10, 11, 4], [5, 5], [6, 7, 8, 9]]
    search = GreedySearch(GreedyConfig(alignment=True))
    together = search(model, toy_source(*sentences))
    for sentence, own in zip(sentences, together, strict=True):
        alone = search(model, toy_source(sentence))[0][0]
        assert own[0].elements.tolist() == alone.elements.tolist()
        assert own[0].step_scores == pytest.approx(alone.step_scores, abs=1e-4)
        assert own[0].finish_reason == alone.finish_reason
        assert own[0].alignment.shape == alone.alignment.shape == (len(own[0].elements), len(sentence))


def test_required_phrases_need_the_beam_search():
    with pytest.raises(ConfigError, match=r"Required phrases need `search: \{name: beam\}`, but the search is `greedy`"):
        GreedySearch(GreedyConfig())(ToyModel(), toy_source([4]), [Request(required=((4,),))])


def test_a_model_of_values_is_refused():
    model = ToyModel()
    model.target = ValueSpec(channels=1)
    with pytest.raises(ConfigError, match="`greedy` needs a model that writes symbols, but this one writes ValueSpec"):
        GreedySearch(GreedyConfig())(model, toy_source([4]))


def test_logits_that_are_no_numbers_are_an_error():
    model = LookUpModel({(): [float("nan")] * 6}, 6)
    with pytest.raises(AntiphonError, match="must be numbers, but are NaN"):
        GreedySearch(GreedyConfig(limits=SHORT))(model, toy_source([4]))
