"""Direct search is one call of `decode`; its quantiles are those of what the head says."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.search import Search
from antiphon.contracts.sequences import Padded, Request, select_rows
from antiphon.contracts.specs import ValueSpec
from antiphon.errors import ConfigError
from antiphon.search.direct import DirectConfig, DirectSearch, plugin, without_values
from tests.toys import ToyModel, toy_source

HEADS = ["point", "quantile", "gaussian", "student_t", "mixture", "negative_binomial"]
HORIZONS = (4, 2, 6)


def real_model(name, head, seed):
    torch.manual_seed(seed)
    found = registry.find("models", name)
    settings = {"dim": 8, "dropout": 0.0, "head": {"name": head}} | ({"heads": 2} if name == "transformer" else {})
    return found.build(validate(found.Config, settings), ValueSpec(3), ValueSpec(2, known=1)).eval()


def data(seed):
    generator = torch.Generator().manual_seed(seed)
    read = Padded(torch.randn(3, 5, 3, generator=generator), torch.tensor([5, 2, 4]))
    asked = [Request(known=torch.randn(horizon, 3, generator=generator).numpy()) for horizon in HORIZONS]
    inputs = torch.zeros(3, 6, 3)
    for row, request in enumerate(asked):
        inputs[row, : len(request.known)] = torch.from_numpy(request.known)
    inputs[:, 1:, :2] = 0
    return read, asked, Padded(inputs, torch.tensor(HORIZONS))


def test_it_is_a_plugin():
    assert registry.find("search", "direct") is plugin
    assert isinstance(plugin.build(validate(plugin.Config, {"name": "direct"})), Search)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_it_is_one_decode_of_what_is_known(name, head, seed):
    model, (read, asked, inputs) = real_model(name, head, seed), data(seed)
    found = DirectSearch(DirectConfig(samples=20))(model, read, asked)
    with torch.no_grad():
        values = model.decode(inputs, model.encode(read)).values
    for row, (own,) in enumerate(found):
        steps = HORIZONS[row]
        assert own.elements.shape == (steps, 2)
        assert own.samples is None
        if head == "point":
            expected = values
            assert own.quantiles is None
        elif head == "quantile":
            expected = values.values[..., 5]
            np.testing.assert_allclose(own.quantiles.values, values.values[row, :steps].numpy(), rtol=1e-4, atol=1e-5)
            assert own.quantiles.levels == values.levels
        else:
            expected = values.mean
            assert own.quantiles.values.shape == (steps, 2, 11)
            assert bool((np.diff(own.quantiles.values) >= 0).all())
        np.testing.assert_allclose(own.elements, expected[row, :steps].numpy(), rtol=1e-4, atol=1e-5)


def test_quantiles_of_a_normal_distribution(seed):
    model, (read, asked, inputs) = real_model("lstm", "gaussian", seed), data(seed)
    settings = DirectConfig(point="median", levels=(0.1, 0.8))
    with torch.no_grad():
        values = model.decode(inputs, model.encode(read)).values
    ((own,), *_) = DirectSearch(settings)(model, read, asked)
    z = Normal(0.0, 1.0).icdf(torch.tensor([0.1, 0.8]))
    expected = values.mean.unsqueeze(-1) + values.stddev.unsqueeze(-1) * z
    np.testing.assert_allclose(own.quantiles.values, expected[0, :4].numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(own.elements, values.mean[0, :4].numpy(), rtol=1e-4, atol=1e-5)
    ((bare,), *_) = DirectSearch(DirectConfig(levels=()))(model, read, asked)
    assert bare.quantiles is None


def test_quantiles_of_counts_are_exact(seed):
    model, (read, asked, inputs) = real_model("lstm", "negative_binomial", seed), data(seed)
    with torch.no_grad():
        values = model.decode(inputs, model.encode(read)).values
    ((own,), *_) = DirectSearch(DirectConfig(samples=1, levels=(0.1, 0.5, 0.9)))(model, read, asked)
    cumulative = values.log_prob(torch.arange(2000.0).view(-1, 1, 1, 1)).double().exp().cumsum(0)[:, 0, :4]
    for index, level in enumerate((0.1, 0.5, 0.9)):
        low, high = ((cumulative < level + shift).sum(0).numpy() for shift in (-1e-5, 1e-5))
        assert bool((own.quantiles.values[..., index] >= low).all())
        assert bool((own.quantiles.values[..., index] <= high).all())


@pytest.mark.parametrize("head", ["negative_binomial", "mixture"])
def test_a_source_alone_finds_what_it_finds_in_a_batch(head, seed):
    model, (read, asked, _) = real_model("transformer", head, seed), data(seed)
    search = DirectSearch(DirectConfig(samples=15, point="median"))
    for row, (own,) in enumerate(search(model, read, asked)):
        ((alone,),) = search(model, select_rows(read, torch.tensor([row])), [asked[row]])
        np.testing.assert_allclose(alone.quantiles.values, own.quantiles.values, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(alone.elements, own.elements, rtol=1e-3, atol=1e-4)


def test_values_after_the_start_element_are_zeroed_and_the_rest_stays():
    given = Padded(torch.ones(2, 3, 3), torch.tensor([3, 2]))
    zeroed = without_values(given, 2).values
    assert zeroed[0].tolist() == [[1, 1, 1], [0, 0, 1], [0, 0, 1]]
    assert bool((given.values == 1).all()), "the batch is not written to"


def test_symbols_are_refused():
    with pytest.raises(ConfigError, match="`direct` needs a model that writes real values, but this one writes TokenSpec"):
        DirectSearch(DirectConfig())(ToyModel(), toy_source([4]))
