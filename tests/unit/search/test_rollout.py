"""Rollout: closed forms, sampled paths, real models against teacher forcing, requests, refusals."""

import numpy as np
import pytest
import torch

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.search import Search
from antiphon.contracts.sequences import Padded, Request, select_rows
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import AntiphonError, ConfigError, DataError
from antiphon.search.forecasts import summary
from antiphon.search.rollout import RolloutConfig, RolloutSearch, plugin
from tests.series_toys import AutoregressiveModel
from tests.toys import ToyModel

HEADS = [
    {"name": "point"},
    {"name": "quantile"},
    {"name": "gaussian"},
    {"name": "mixture", "of": "student_t"},
    {"name": "negative_binomial"},
]
MODELS = [("lstm", {}), ("lstm", {"attention": "none"}), ("lstm", {"input_feeding": True}), ("transformer", {"heads": 2})]


def requests(*horizons, channels=2, known=1):
    """Requests whose value channels after the start element are NaN: nobody may read them."""
    generator = np.random.default_rng(0)
    made = []
    for horizon in horizons:
        rows = generator.normal(size=(horizon, channels + known)).astype(np.float32)
        rows[1:, :channels] = np.nan
        made.append(Request(known=rows))
    return made


def source(*lengths, channels=2):
    return Padded(torch.randn(len(lengths), max(lengths), channels), torch.tensor(lengths))


def real_model(name, settings, head, seed, channels=2, known=3):
    torch.manual_seed(seed)
    found = registry.find("models", name)
    config = validate(found.Config, {"dim": 8, "dropout": 0.0, "head": head, **settings})
    return found.build(config, ValueSpec(channels), ValueSpec(channels, known)).eval()


def test_it_is_a_plugin():
    assert registry.find("search", "rollout") is plugin
    assert isinstance(plugin.build(validate(plugin.Config, {"name": "rollout"})), Search)


@pytest.mark.parametrize("kind", ["points", "quantiles"])
def test_an_autoregression_without_noise_follows_its_closed_form(kind, seed):
    model, asked = AutoregressiveModel(kind), requests(6, 3, 1)
    found = RolloutSearch(RolloutConfig())(model, source(5, 2, 4), asked)
    for request, (own,) in zip(asked, found, strict=True):
        expected = model.closed_form(torch.from_numpy(request.known))
        torch.testing.assert_close(torch.from_numpy(own.elements), expected, rtol=1e-5, atol=1e-5)
        assert own.finish_reason == "length"
        assert own.samples is None
        if kind == "quantiles":
            assert own.quantiles.levels == (0.1, 0.5, 0.8)
            np.testing.assert_allclose(own.quantiles.values, own.elements[..., None] + np.array([-1.0, 0, 2]), atol=1e-5)
        else:
            assert own.quantiles is None


def test_sample_paths_have_the_moments_of_the_process(seed):
    """Of an AR(1): mean by the closed form, variance s^2 (1 + phi^2 + ...), correlation of neighbours by phi."""
    model, (asked,) = AutoregressiveModel("normal", phi=0.8, deviation=0.3, channels=1), requests(5, channels=1)
    settings = RolloutConfig(samples=8000, levels=(0.1, 0.5, 0.9))
    ((own,),) = RolloutSearch(settings)(model, source(4, channels=1), [asked])
    assert own.samples.shape == (8000, 5, 1)
    mean = model.closed_form(torch.from_numpy(asked.known)).numpy()
    deviation = np.array([0.3 * sum(0.8 ** (2 * i) for i in range(step + 1)) ** 0.5 for step in range(5)])[:, None]
    np.testing.assert_allclose(own.elements, mean, atol=0.03)
    np.testing.assert_allclose(own.samples.std(0), deviation, rtol=0.05)
    np.testing.assert_allclose(own.elements, own.samples.mean(0), atol=1e-5)
    np.testing.assert_allclose(own.quantiles.values, mean[..., None] + deviation[..., None] * np.array([-1.2816, 0, 1.2816]), atol=0.05)
    centered = own.samples[:, :, 0] - own.samples[:, :, 0].mean(0)
    slope = (centered[:, 3] * centered[:, 4]).sum() / (centered[:, 3] ** 2).sum()
    assert slope == pytest.approx(0.8, abs=0.05), "a path reads its own last sample"
    first = own.samples[:, 0, 0]
    assert len(np.unique(first)) > 7000, "paths differ from the first step on"


def test_the_source_is_never_copied_and_the_first_step_is_taken_once(seed):
    model = AutoregressiveModel("normal")
    RolloutSearch(RolloutConfig(samples=7))(model, source(5, 2, 4), requests(4, 4, 4))
    assert model.rows == [(3, 3), (3, 21), (3, 21), (3, 21)]


def test_the_median_and_what_is_kept(seed):
    model, asked, read = AutoregressiveModel("normal"), requests(3), source(4)
    ((own,),) = RolloutSearch(RolloutConfig(samples=101, point="median"))(model, read, asked)
    np.testing.assert_allclose(own.elements, np.median(own.samples, axis=0), atol=1e-5)
    ((bare,),) = RolloutSearch(RolloutConfig(samples=101, point="median", levels=(), keep_paths=False))(model, read, asked)
    np.testing.assert_allclose(bare.elements, own.elements)
    assert bare.samples is None
    assert bare.quantiles is None


@pytest.mark.parametrize("head", HEADS, ids=[each["name"] for each in HEADS])
@pytest.mark.parametrize(("name", "settings"), MODELS, ids=["lstm", "lstm without attention", "lstm with feeding", "transformer"])
def test_paths_are_what_teacher_forcing_says_of_them(name, settings, head, seed):
    """Fed with a path that the rollout found, `decode` says at each step what the rollout said there."""
    model, asked, read = real_model(name, settings, head, seed), requests(4, 4, known=3), source(5, 3)
    found = RolloutSearch(RolloutConfig(samples=3))(model, read, asked)
    for path in range(3 if found[0][0].samples is not None else 1):
        inputs = torch.stack([torch.from_numpy(request.known) for request in asked])
        said = np.stack([own.elements if own.samples is None else own.samples[path] for (own,) in found])
        inputs[:, 1:, :2] = torch.from_numpy(said[:, :-1])
        with torch.no_grad():
            values = model.decode(Padded(inputs, torch.tensor([4, 4])), model.encode(read)).values
        if head["name"] == "point":
            torch.testing.assert_close(values, torch.from_numpy(said), rtol=1e-4, atol=1e-5)
        elif head["name"] == "quantile":
            own = np.stack([own.quantiles.values for (own,) in found])
            torch.testing.assert_close(values.values, torch.from_numpy(own), rtol=1e-4, atol=1e-5)
        else:  # the draw that these distributions give for the same uniform numbers
            again = drawn_again(values, read, 3, 4)[:, path]
            torch.testing.assert_close(again, torch.from_numpy(said), rtol=1e-3, atol=1e-4)


def drawn_again(distribution, read, samples, steps):
    """(B, W, T, C): draws of a teacher-forced distribution, with the random numbers of the rollout."""
    from antiphon.heads.draws import draw, uniforms_per_draw
    from antiphon.search.randomness import uniforms_of

    uniforms = uniforms_of(read, (steps, samples, 2, uniforms_per_draw(distribution)), 0)
    return torch.stack([draw(distribution, uniforms[:, :, path]) for path in range(samples)], dim=1)


@pytest.mark.parametrize("head", ["gaussian", "student_t", "quantile"])
@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_a_source_alone_finds_what_it_finds_in_a_batch(name, head, seed):
    model = real_model(name, {"heads": 2} if name == "transformer" else {}, {"name": head}, seed)
    read, asked, search = source(5, 2, 7), requests(3, 6, 4, known=3), RolloutSearch(RolloutConfig(samples=4))
    together = search(model, read, asked)
    backwards = search(model, select_rows(read, torch.tensor([2, 1, 0])), asked[::-1])[::-1]
    for row, (own,) in enumerate(together):
        assert own.elements.shape == (len(asked[row].known), 2)
        ((alone,),) = search(model, select_rows(read, torch.tensor([row])), [asked[row]])
        for other in (alone, backwards[row][0]):
            np.testing.assert_allclose(other.elements, own.elements, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(other.quantiles.values, own.quantiles.values, rtol=1e-4, atol=1e-4)


def test_the_seed_and_the_source_decide_the_draws(seed):
    model, asked, read = AutoregressiveModel("normal"), requests(3), source(4)

    def samples(given=read, number=0):
        return RolloutSearch(RolloutConfig(samples=5, seed=number))(model, given, asked)[0][0].samples

    np.testing.assert_array_equal(samples(), samples())
    assert not np.allclose(samples(), samples(number=1))
    assert not np.allclose(samples(), samples(given=source(4)))


def test_requests_must_say_what_is_known():
    model, read = AutoregressiveModel(), source(4, 3)
    search, good = RolloutSearch(RolloutConfig()), requests(3)[0]
    wide = Request(known=np.zeros((3, 2), dtype=np.float32))
    hole = Request(known=np.zeros((3, 3), dtype=np.float32))
    hole.known[1, 2] = np.nan
    for wrong, message in ((Request(), "are missing"), (wide, r"of shape \(3, 2\)"), (hole, "source 1 of the batch .* for step 2")):
        with pytest.raises(DataError, match=message):
            search(model, read, [good, wrong])
    with pytest.raises(DataError, match="are missing"):
        search(model, read)
    with pytest.raises(ConfigError, match="need a model that writes symbols"):
        search(model, read, [good, Request(prefix=(4,), known=good.known)])


def test_symbols_are_refused_and_the_searches_that_fit_are_named():
    with pytest.raises(ConfigError, match=r"`rollout` needs a model that writes real values, but this one writes TokenSpec.*search: beam"):
        RolloutSearch(RolloutConfig())(ToyModel(), Padded(torch.tensor([[4]]), torch.tensor([1])))
    model = AutoregressiveModel()
    model.source = TokenSpec(9, 0, 1, 2, 3)
    greedy = registry.find("search", "greedy")
    with pytest.raises(ConfigError, match=r"writes ValueSpec.*`search: rollout`"):
        greedy.build(greedy.Config())(model, source(4))


def test_paths_that_explode_are_an_error():
    model = AutoregressiveModel(phi=1e30)
    with pytest.raises(AntiphonError, match="must be finite"):
        RolloutSearch(RolloutConfig())(model, source(4), requests(5))


@pytest.mark.parametrize("levels", [[0.5, 0.1], [0.0], [1.0], [0.5, 0.5]])
def test_levels_must_ascend_within_0_and_1(levels):
    with pytest.raises(ConfigError, match="levels"):
        validate(RolloutConfig, {"name": "rollout", "levels": levels})


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_quantiles_of_paths_are_those_of_numpy(count, seed):
    samples = torch.randn(3, count, 4, 2)
    levels = (0.025, 0.5, 0.9)
    expected = np.moveaxis(np.quantile(samples.numpy(), levels, axis=1), 0, -1)
    np.testing.assert_allclose(summary(samples, levels).numpy(), expected, rtol=1e-5, atol=1e-6)
