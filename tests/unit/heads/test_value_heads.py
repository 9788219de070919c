"""Heads of real values: densities, draws, quantiles, extremes, refusals."""

import math

import pytest
import torch
from torch.distributions import MixtureSameFamily, Normal

from antiphon.contracts import registry
from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Output, Padded
from antiphon.contracts.specs import TokenSpec, ValueSpec
from antiphon.errors import ConfigError, DataError
from antiphon.heads.choice import build_head
from antiphon.heads.draws import draw, quantiles_of, uniforms_per_draw
from antiphon.heads.mixture import Mixture
from antiphon.heads.negative_binomial import NegativeBinomial
from antiphon.heads.quantile import QuantileConfig, median_of
from antiphon.heads.student_t import StudentT
from antiphon.losses.negative_log_likelihood import negative_log_likelihood
from antiphon.losses.pinball import pinball

SYMBOLS, VALUES = TokenSpec(size=7, pad=0, unknown=1, start=2, end=3), ValueSpec(channels=2, known=3)
CONTINUOUS = [("gaussian", {}), ("student_t", {}), ("mixture", {}), ("mixture", {"of": "student_t", "components": 2})]
DISTRIBUTIONS = [*CONTINUOUS, ("negative_binomial", {})]
ids = ["gaussian", "student_t", "mixture", "mixture of student_t"]


def make(name, settings, spec=VALUES, dim=8):
    return build_head(validate(registry.find("heads", name).Config, {"name": name, **settings}), spec, dim)


def numbers(distribution, shape=(), dtype=torch.float32):
    mean = distribution.mean
    drawn = torch.rand(*shape, *mean.shape, uniforms_per_draw(distribution), dtype=dtype)
    return drawn.clamp(2**-25, 1 - 2**-24)


@pytest.mark.parametrize(("name", "settings"), [*DISTRIBUTIONS, ("quantile", {})])
def test_shapes_of_sequences_and_steps(name, settings, seed):
    head, features = make(name, settings), torch.randn(3, 4, 8)

    def values(said):
        return said.values if name == "quantile" else said.mean

    whole, step = values(head(features)), values(head(features[:, 1]))
    assert whole.shape[:3] == (3, 4, 2)
    torch.testing.assert_close(whole[:, 1], step)
    if name != "quantile":
        said = head(features)
        assert said.batch_shape == (3, 4, 2)
        assert draw(said, numbers(said)).shape == said.sample().shape == (3, 4, 2)


@pytest.mark.parametrize(("name", "settings"), CONTINUOUS, ids=ids)
def test_densities_integrate_to_the_distribution_function(name, settings, seed):
    """The density over a grid of angles, so that heavy tails are inside: it sums to 1, and up to a point to cdf, whose inverse is icdf."""
    said = make(name, settings, dim=4).double()(torch.randn(1, 4, dtype=torch.float64))
    angles = torch.linspace(-math.pi / 2 + 1e-4, math.pi / 2 - 1e-4, 40001, dtype=torch.float64)
    points = angles.tan().view(-1, 1, 1)
    density = said.log_prob(points.expand(-1, 1, 2)).exp() / angles.cos().view(-1, 1, 1) ** 2
    summed = torch.cumulative_trapezoid(density, angles, dim=0)
    torch.testing.assert_close(summed[-1], torch.ones(1, 2, dtype=torch.float64), atol=2e-3, rtol=0)
    for place in (12000, 20000, 25000):
        found = said.cdf(points[place + 1].expand(1, 2))
        torch.testing.assert_close(summed[place], found, atol=2e-3, rtol=0)
    for level in (0.01, 0.3, 0.5, 0.975):
        found = quantiles_of(said, (level,))[..., 0]
        torch.testing.assert_close(said.cdf(found), torch.full((1, 2), level, dtype=torch.float64), atol=2e-6, rtol=0)


def test_student_t_against_closed_forms():
    """With 4 degrees of freedom the distribution function is an algebraic one, and so is its inverse at some levels."""
    one = torch.ones((), dtype=torch.float64)
    said = StudentT(4 * one, 3 * one, 2 * one, validate_args=False)
    z = torch.linspace(-6, 6, 25, dtype=torch.float64)
    expected = 0.5 + 3 / 8 * z / (1 + z**2 / 4).sqrt() * (1 - z**2 / (1 + z**2 / 4) / 12)
    torch.testing.assert_close(said.cdf(3 + 2 * z), expected, atol=1e-8, rtol=0)
    torch.testing.assert_close(said.icdf(expected), 3 + 2 * z, atol=1e-5, rtol=0)
    assert said.icdf(0.975 * one).item() == pytest.approx(3 + 2 * 2.776445105, abs=1e-6)


@pytest.mark.parametrize("dispersion", [1e-4, 0.3, 5.0])
@pytest.mark.parametrize("mean", [0.02, 3.0, 400.0])
def test_negative_binomial_against_its_sums(mean, dispersion):
    """The probabilities over all counts sum to 1, and give the mean and the variance."""
    said = NegativeBinomial(torch.tensor([mean], dtype=torch.float64), torch.tensor([dispersion], dtype=torch.float64))
    counts = torch.arange(0, 400_000 if dispersion > 1 and mean > 100 else 40_000, dtype=torch.float64)
    probabilities = said.log_prob(counts).exp()
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-5)
    assert (probabilities * counts).sum().item() == pytest.approx(mean, rel=1e-3)
    assert (probabilities * (counts - mean) ** 2).sum().item() == pytest.approx(said.variance.item(), rel=5e-3)
    # torch's own, by its parameters: failures 1/a, and odds a m
    other = torch.distributions.NegativeBinomial(1 / said.dispersion, logits=(said.dispersion * said.mean).log())
    some = torch.tensor([0.0, 1.0, 2.0, 5.0, 50.0, 500.0], dtype=torch.float64)
    torch.testing.assert_close(said.log_prob(some), other.log_prob(some), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("mean", "dispersion"), [(0.3, 0.01), (0.3, 4.0), (7.0, 0.5), (5000.0, 0.02)])
def test_negative_binomial_draws_follow_the_probabilities(mean, dispersion, seed):
    said = NegativeBinomial(torch.full((60_000,), mean), torch.full((60_000,), dispersion))
    drawn = said.sample()
    assert bool((drawn >= 0).all())
    assert torch.equal(drawn, drawn.round())
    deviation = said.variance[0].item() ** 0.5
    assert drawn.mean().item() == pytest.approx(mean, abs=5 * deviation / 60_000**0.5)
    exact = NegativeBinomial(torch.tensor([mean], dtype=torch.float64), torch.tensor([dispersion], dtype=torch.float64))
    cumulative = exact.log_prob(torch.arange(30_000, dtype=torch.float64)).exp().cumsum(0)
    for level in (0.2, 0.5, 0.8, 0.97):
        count = int((cumulative < level).sum())
        assert (drawn <= count).double().mean().item() == pytest.approx(cumulative[count].item(), abs=0.011)


@pytest.mark.parametrize("dispersion", [1e-4, 0.3, 5.0])
@pytest.mark.parametrize("mean", [1e-6, 0.02, 3.0, 400.0])
def test_negative_binomial_quantiles_are_exact(mean, dispersion):
    said = NegativeBinomial(torch.tensor([mean], dtype=torch.float64), torch.tensor([dispersion], dtype=torch.float64))
    cumulative = said.log_prob(torch.arange(60_000, dtype=torch.float64)).exp().cumsum(0)
    levels = (1e-3, 0.025, 0.1, 0.5, 0.9, 0.975, 0.999)
    assert quantiles_of(said, levels)[0].tolist() == [float((cumulative < level).sum()) for level in levels]


def test_negative_binomial_quantiles_of_geometric_and_of_large_counts():
    """With dispersion 1 it is a geometric distribution: P(count <= k) = 1 - (m / (1 + m))^(k + 1); a level that is reached is reached."""
    ones = torch.ones(4, dtype=torch.float64)
    assert NegativeBinomial(ones, ones).icdf(torch.tensor([0.5, 0.75, 0.875, 0.876], dtype=torch.float64)).tolist() == [0, 1, 2, 3]
    large = NegativeBinomial(1e6 * ones[0], ones[0]).icdf(0.9 * ones[0]).item()
    assert large == math.ceil(math.log(0.1) / math.log(1e6 / (1 + 1e6))) - 1
    # Nearly Poisson and heavy at the largest means, from scipy 1.16: stats.nbinom.ppf(level, 1 / a, 1 / (1 + a m))
    extreme = NegativeBinomial(torch.tensor([1e7, 1e7, 3e3]).double(), torch.tensor([1e-4, 1e4, 1e-4]).double())
    assert extreme.icdf(torch.tensor([0.9, 0.9, 0.9]).double()).tolist() == [10128432, 0, 3080]


def test_counts_of_series_that_were_divided(seed):
    """Mean nu m and dispersion a / sqrt(nu) (Salinas et al. 2020), and everything in units of nu."""
    sizes = torch.tensor([1.0, 7.3, 2500.0], dtype=torch.float64)
    mean, dispersion = torch.tensor([0.8, 1.2, 0.9]), torch.tensor([0.3, 2.0, 0.5])
    said = NegativeBinomial(mean, dispersion).of_sizes(sizes)
    counts = NegativeBinomial(mean.double() * sizes, dispersion.double() / sizes.sqrt())
    torch.testing.assert_close(said.mean, mean, rtol=0, atol=0)
    torch.testing.assert_close(said.variance.double() * sizes**2, counts.variance, rtol=1e-5, atol=0)
    some = torch.tensor([0.0, 5.0, 2411.0], dtype=torch.float64)
    torch.testing.assert_close(said.log_prob((some / sizes).float()).double(), counts.log_prob(some), rtol=1e-5, atol=1e-5)
    for level in (0.1, 0.5, 0.9):
        found = said.icdf(torch.full((3,), level)).double() * sizes
        torch.testing.assert_close(found, counts.icdf(torch.full((3,), level)), rtol=1e-6, atol=0)
    many = NegativeBinomial(mean.expand(4000, 3), dispersion.expand(4000, 3), sizes.expand(4000, 3))
    drawn = many.sample()
    assert bool(many.support.check(drawn).all())
    assert not bool(many.support.check(drawn + 0.3 / sizes).any())
    torch.testing.assert_close(drawn.mean(0), mean, rtol=0.15, atol=0)


def test_the_loss_of_divided_counts_is_that_of_the_counts(seed):
    spec = ValueSpec(channels=1, known=2, sizes=1)
    size = torch.tensor([[3.0], [900.0]], dtype=torch.float64).log().float()
    counts = torch.tensor([[0.0, 4.0], [1000.0, 750.0]], dtype=torch.float64)
    sizes = size.double().exp()
    labels = torch.stack([(counts / sizes).float(), torch.zeros(2, 2), size.expand(2, 2)], dim=-1)
    head, features = make("negative_binomial", {}, spec), torch.randn(2, 2, 8)
    found = negative_log_likelihood(Output(features, head), Padded(labels, torch.tensor([2, 2])), target=spec)
    said = head(features)
    expected = -NegativeBinomial(said.mean[..., 0] * sizes, said.dispersion[..., 0] / sizes.sqrt()).log_prob(counts)
    torch.testing.assert_close(found.rows.double(), expected.sum(1), rtol=1e-4, atol=1e-4)
    labels[0, 1, 0] += 0.1
    with pytest.raises(DataError, match=r"Labels must be counts .* or `task.counts`"):
        negative_log_likelihood(Output(features, head), Padded(labels, torch.tensor([2, 2])), target=spec)


@pytest.mark.parametrize(("name", "settings"), CONTINUOUS, ids=ids)
def test_draws_follow_the_distribution_function(name, settings, seed):
    head, features = make(name, settings), torch.randn(8)
    many = head(features.expand(20_000, 8))
    drawn = draw(many, numbers(many))
    for level in (0.05, 0.3, 0.5, 0.9):
        found = (drawn <= quantiles_of(head(features), (level,))[..., 0]).double().mean(0)
        torch.testing.assert_close(found, torch.full_like(found, level), atol=0.02, rtol=0)


def test_mixture_draws_take_components_by_their_weights(seed):
    component = Normal(torch.tensor([[-50.0, 0.0, 50.0]]), 1.0)
    said = Mixture(torch.distributions.Categorical(probs=torch.tensor([[0.2, 0.5, 0.3]])), component)
    many = said.expand((4000, 1))
    drawn = draw(many, numbers(many))
    for low, high, share in ((-60, -40, 0.2), (-10, 10, 0.5), (40, 60, 0.3)):
        assert ((drawn > low) & (drawn < high)).double().mean().item() == pytest.approx(share, abs=0.04)
    assert draw(said, torch.tensor([[1 - 2**-24, 0.5]])).item() == pytest.approx(50)
    same = MixtureSameFamily(said.mixture_distribution, component)
    torch.testing.assert_close(said.log_prob(torch.tensor([3.0])), same.log_prob(torch.tensor([3.0])))


def test_a_draw_is_a_function_of_its_numbers(seed):
    for name, settings in DISTRIBUTIONS:
        said = make(name, settings)(torch.randn(5, 8))
        uniforms = numbers(said)
        torch.testing.assert_close(draw(said, uniforms), draw(said, uniforms), rtol=0, atol=0)
        assert bool(draw(said, torch.full_like(uniforms, 2**-25)).isfinite().all()), name
        assert bool(draw(said, torch.full_like(uniforms, 1 - 2**-24)).isfinite().all()), name


@pytest.mark.parametrize("size", [0.0, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("label", [0.0, 1.0, 1e6])
@pytest.mark.parametrize(("name", "settings"), [*DISTRIBUTIONS, ("quantile", {})], ids=[*ids, "negative_binomial", "quantile"])
def test_loss_and_gradient_are_finite_at_extremes(name, settings, label, size, seed):
    head = make(name, settings)
    features = (torch.randn(3, 4, 8).sign() * size).requires_grad_()
    labels = Padded(torch.full((3, 4, 5), label), torch.tensor([4, 2, 3]))
    output = Output(features, head)
    loss = pinball(output, labels, channels=2) if name == "quantile" else negative_log_likelihood(output, labels, target=VALUES)
    loss.total.backward()
    assert bool(features.grad.isfinite().all())
    assert all(bool(parameter.grad.isfinite().all()) for parameter in head.parameters())


@pytest.mark.parametrize(("name", "settings"), DISTRIBUTIONS, ids=[*ids, "negative_binomial"])
def test_densities_are_computed_in_single_precision_under_autocast(name, settings, seed):
    head, features = make(name, settings), torch.randn(3, 4, 8)
    with torch.autocast("cpu", torch.bfloat16):
        said = head(features)
        assert said.mean.dtype == torch.float32
        assert said.log_prob(torch.ones(3, 4, 2)).dtype == torch.float32


def test_quantiles_ascend_and_begin_as_those_of_a_normal_distribution(seed):
    head = make("quantile", {})
    said = head(torch.randn(50, 8) * 100)
    assert bool((said.values.diff(dim=-1) >= 0).all())
    assert said.levels == QuantileConfig().levels
    start = head(torch.zeros(8)).values[0]
    torch.testing.assert_close(start, Normal(0.0, 1.0).icdf(torch.tensor(said.levels)), atol=1e-4, rtol=0)
    torch.testing.assert_close(median_of(said), said.values[..., 5])


def test_any_levels_around_the_median(seed):
    for levels in ((0.5,), (0.1, 0.5), (0.5, 0.51, 0.99)):
        said = make("quantile", {"levels": levels})(torch.randn(2, 8))
        assert said.values.shape == (2, 2, len(levels))
        assert bool((said.values.diff(dim=-1) > 0).all())


@pytest.mark.parametrize("levels", [(), (0.1, 0.9), (0.5, 0.2), (0.5, 0.5), (0.0, 0.5), (0.5, 1.0), (0.5, float("nan"))])
def test_levels_that_are_none_are_refused(levels):
    with pytest.raises(ConfigError, match="levels"):
        validate(QuantileConfig, {"name": "quantile", "levels": list(levels)})


@pytest.mark.parametrize("name", ["gaussian", "student_t", "mixture", "negative_binomial", "quantile"])
def test_symbols_are_refused(name):
    with pytest.raises(ConfigError, match=f"must be `categorical` when the target is made of symbols, but is `{name}`"):
        make(name, {}, spec=SYMBOLS)


def test_a_distribution_that_cannot_be_inverted_gives_no_paths():
    gamma = torch.distributions.Gamma(torch.ones(2), torch.ones(2))
    with pytest.raises(ConfigError, match="Gamma cannot give sample paths"):
        draw(gamma, torch.full((2, 1), 0.5))
    assert quantiles_of(gamma, (0.5,)) is None
