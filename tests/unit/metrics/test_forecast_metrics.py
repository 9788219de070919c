"""Metrics of forecasts: by hand, against closed forms, and against utilsforecast where it is installed."""

import math

import numpy as np
import pytest

from antiphon.contracts import registry
from antiphon.errors import ConfigError, DataError
from antiphon.metrics.breakdown import breakdown
from antiphon.metrics.forecast_metric import ForecastMetric
from antiphon.metrics.forecasts import Actual, Forecast, insample_errors
from antiphon.metrics.interface import better
from antiphon.metrics.scoring import evaluate
from antiphon.metrics.significance import compare

NAMES = [name for name in registry.names("metrics") if isinstance(registry.find("metrics", name), ForecastMetric)]
every_metric = pytest.mark.parametrize("name", NAMES)
LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)


def forecast(point, quantiles=None, levels=(), samples=None, unique_id="a"):
    point = np.array(point, dtype=float)
    return Forecast(unique_id, tuple(range(len(point))), point, quantiles, levels, samples)


def actual(values, mae=1.0, mse=1.0):
    values = np.array(values, dtype=float)
    channels = values.shape[1]
    return Actual(values, np.resize(np.array(mae, dtype=float), channels), np.resize(np.array(mse, dtype=float), channels))


def value(name, predictions, actuals):
    metric = registry.find("metrics", name)
    return float(metric.aggregate(metric.statistics(predictions, [[each] for each in actuals]).sum(0)))


def some(seed, items=6, *, missing=True):
    """Forecasts with quantiles, of horizons 4 and 2 and two channels, and what happened."""
    generator = np.random.default_rng(seed)
    said, happened = [], []
    for item in range(items):
        horizon = 2 if item % 3 == 1 else 4
        values = 5 + generator.normal(size=(horizon, 2))
        point = values + generator.normal(size=values.shape)
        quantiles = point[..., None] + np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
        if missing:
            values[generator.integers(horizon), 0] = np.nan
        said.append(forecast(point, quantiles, LEVELS, unique_id=f"series {item % 4}"))
        happened.append(actual(values, (1.0, 2.0), (1.5, 6.0)))
    return said, happened


def test_which_there_are():
    expected = {"mae", "mse", "rmse", "mase", "rmsse", "smape", "pinball", "crps"}
    assert set(NAMES) == expected | {f"{kind}_{percent}" for kind in ("coverage", "interval_width") for percent in (80, 95)}


# --------------------------------------------------------------------------------------------------------------- by hand


def test_point_metrics_by_hand():
    said = [forecast([[1.0], [2.0]]), forecast([[10.0]])]
    happened = [actual([[2.0], [4.0]], mae=0.5, mse=0.25), actual([[6.0]], mae=2.0, mse=8.0)]
    assert value("mae", said, happened) == pytest.approx((1 + 2 + 4) / 3)
    assert value("mse", said, happened) == pytest.approx((1 + 4 + 16) / 3)
    assert value("rmse", said, happened) == pytest.approx(math.sqrt(7))
    assert value("mase", said, happened) == pytest.approx((1.5 / 0.5 + 4 / 2) / 2)
    assert value("rmsse", said, happened) == pytest.approx((math.sqrt(2.5 / 0.25) + math.sqrt(16 / 8)) / 2)
    assert value("smape", said, happened) == pytest.approx(((200 / 3 + 400 / 6) / 2 + 800 / 16) / 2)


def test_smape_is_0_where_both_are_0_and_200_at_most():
    assert value("smape", [forecast([[0.0], [1.0]])], [actual([[0.0], [-1.0]])]) == pytest.approx(100.0)


def test_missing_values_do_not_count():
    said = [forecast([[1.0, 1.0], [2.0, 5.0]])]
    happened = [actual([[np.nan, 2.0], [4.0, np.nan]], mae=(1.0, 4.0))]
    assert value("mae", said, happened) == pytest.approx(1.5)
    assert value("mase", said, happened) == pytest.approx((2 / 1 + 1 / 4) / 2)
    nothing = [actual([[np.nan, np.nan], [np.nan, np.nan]])]
    assert value("mae", said * 2, happened + nothing) == pytest.approx(1.5)
    assert value("mase", said * 2, happened + nothing) == pytest.approx(1.125)
    assert math.isnan(value("mase", said, nothing))


def test_series_without_a_scale_do_not_count_and_are_counted():
    said = [forecast([[1.0]]), forecast([[1.0], [3.0]])]
    happened = [actual([[2.0]]), actual([[2.0], [np.nan]], mae=0.0, mse=np.nan)]
    references = [[each] for each in happened]
    for name in ("mase", "rmsse"):
        assert value(name, said, happened) == pytest.approx(1.0)
        assert registry.find("metrics", name).left_out(said, references) == 1
    assert registry.find("metrics", "mae").left_out(said, references) == 0


def test_rmsse_is_that_of_m5():
    """Leading zeros are not yet sold, changes are those from step to step whatever the season, and zeros later on count."""
    history = np.array([[0.0], [0.0], [3.0], [5.0], [0.0], [2.0], [np.nan], [4.0]])
    _, mse = insample_errors(history, 2)
    assert mse.tolist() == [(2**2 + 5**2 + 2**2) / 3]
    assert value("rmsse", [forecast([[7.0]])], [actual([[4.0]], mse=mse)]) == pytest.approx(3 / math.sqrt(11))
    both = np.concatenate([history, np.zeros_like(history)], axis=1)
    mae, mse = insample_errors(both, 2)
    assert mse[0] == 11
    assert math.isnan(mse[1]), "a series of zeros gives nothing to divide by"
    assert mae[0] == np.mean([3, 5, 3, 3, 2]), "MASE keeps the season, and leading zeros"
    assert "lag1,from_first_nonzero" in registry.find("metrics", "rmsse").signature


def test_a_score_says_how_many_took_part_and_its_interval_is_of_numbers():
    """With one of four series that count, a third of the resamples have none of it; they say nothing of the score."""
    said = [forecast([[1.0], [2.0]], unique_id=str(number)) for number in range(4)]
    happened = [[actual([[2.0], [4.0]], mae=0.5 if number == 2 else 0.0)] for number in range(4)]
    mase, mae = evaluate(["mase", "mae"], said, happened, resamples=200)
    assert (mase.value, mase.low, mase.high, mase.items) == (3.0, 3.0, 3.0, 1)
    assert mae.items == 4
    nothing = evaluate(["mase"], said[:2], happened[:2], resamples=50)[0]
    assert math.isnan(nothing.value)
    assert (nothing.low, nothing.high, nothing.items) == (None, None, 0)
    better = [forecast([[2.0], [4.0]], unique_id=str(number)) for number in range(4)]
    found = compare(registry.find("metrics", "mase"), said, better, happened, resamples=200, trials=100)
    assert (found.difference, found.low, found.high) == (-3.0, -3.0, -3.0)
    assert found.randomization_p == 1.0, "one series that counts proves nothing"
    undefined = compare(registry.find("metrics", "mase"), said[:2], better[:2], happened[:2], resamples=50, trials=100)
    assert (undefined.low, undefined.high) == (None, None)


def test_interval_metrics_by_hand():
    quantiles = np.array([[[0.0, 1.0, 2.0]], [[1.0, 2.0, 4.0]]])
    said = [forecast([[1.0], [2.0]], quantiles, (0.1, 0.5, 0.9))]
    happened = [actual([[2.0], [5.0]])]
    assert value("coverage_80", said, happened) == pytest.approx(50.0), "the ends belong to an interval"
    assert value("interval_width_80", said, happened) == pytest.approx(2.5)
    losses = [0.2, 0.5, 0.0, 0.4, 1.5, 0.9]
    assert value("pinball", said, happened) == pytest.approx(sum(losses) / 6)
    weights = [0.3, 0.4, 0.3] * 2
    assert value("crps", said, happened) == pytest.approx(sum(2 * w * loss for w, loss in zip(weights, losses, strict=True)) / 2)


def test_intervals_from_samples():
    samples = np.arange(101.0).reshape(101, 1, 1)
    said, happened = [forecast([[50.0]], samples=samples)], [actual([[95.0]])]
    assert value("coverage_80", said, happened) == 0.0
    assert value("coverage_95", said, happened) == 100.0
    assert value("interval_width_80", said, happened) == pytest.approx(80.0)


# ----------------------------------------------------------------------------------------------------------------- CRPS


def normal_crps(y):
    """CRPS of a standard normal distribution (Gneiting et al. 2005)."""
    density, below = math.exp(-y * y / 2) / math.sqrt(2 * math.pi), (1 + math.erf(y / math.sqrt(2))) / 2
    return y * (2 * below - 1) + 2 * density - 1 / math.sqrt(math.pi)


@pytest.mark.parametrize("y", [-1.7, 0.0, 0.4, 2.5])
def test_crps_of_a_normal_distribution(y):
    from statistics import NormalDist

    levels = tuple((number + 0.5) / 400 for number in range(400))
    quantiles = np.array([NormalDist().inv_cdf(level) for level in levels])
    happened = [actual([[y]])]
    assert value("crps", [forecast([[0.0]], quantiles.reshape(1, 1, -1), levels)], happened) == pytest.approx(normal_crps(y), abs=2e-3)
    assert value("crps", [forecast([[0.0]], samples=quantiles.reshape(-1, 1, 1))], happened) == pytest.approx(normal_crps(y), abs=2e-3)


def test_crps_of_samples_is_that_of_all_pairs(seed):
    samples = np.random.default_rng(seed).normal(size=(7, 3, 2))
    happened = actual(np.zeros((3, 2)))
    pairs = np.abs(samples[:, None] - samples[None]).mean(axis=(0, 1))
    expected = (np.abs(samples).mean(axis=0) - pairs / 2).mean()
    assert value("crps", [forecast(np.zeros((3, 2)), samples=samples)], [happened]) == pytest.approx(expected)


def test_crps_of_a_point_is_its_absolute_error():
    said, happened = some(0)
    points = [forecast(each.point) for each in said]
    assert value("crps", points, happened) == pytest.approx(value("mae", points, happened))
    medians = [forecast(each.point, each.point[..., None], (0.5,)) for each in said]
    assert value("crps", medians, happened) == pytest.approx(value("mae", points, happened))


# ------------------------------------------------------------------------------------------------------- what all promise


@every_metric
def test_a_function_of_summed_statistics(name, seed):
    metric, (said, happened) = registry.find("metrics", name), some(seed)
    references = [[each] for each in happened]
    table = metric.statistics(said, references)
    one_by_one = np.concatenate([metric.statistics([p], [r]) for p, r in zip(said, references, strict=True)])
    np.testing.assert_array_equal(table, one_by_one)
    resamples = metric.aggregate(np.stack([table.sum(0), table[:3].sum(0)]))
    assert resamples.shape == (2,)
    assert np.isfinite(resamples).all()
    assert metric.signature
    (score,) = evaluate([name], said, references, resamples=40)
    assert score.low <= score.value <= score.high


@every_metric
def test_a_perfect_forecast_scores_best(name, seed):
    said, happened = some(seed)
    truth = [np.where(np.isnan(each.values), 0.0, each.values) for each in happened]
    perfect = [forecast(values, np.repeat(values[..., None], len(LEVELS), axis=-1), LEVELS) for values in truth]
    best, worse = value(name, perfect, happened), value(name, said, happened)
    if registry.find("metrics", name).target is not None:  # intervals without width that hold everything promise too little
        assert best == pytest.approx(100.0)
        return
    assert best == pytest.approx(0.0)
    assert worse > best


@pytest.mark.parametrize("percent", [80, 95])
def test_a_coverage_is_best_where_it_was_promised(percent: int) -> None:
    """Twenty values; one system's interval holds as many as promised, the other's all of them."""
    metric = registry.find("metrics", f"coverage_{percent}")
    happened = [[actual([[float(number)]])] for number in range(20)]

    def holding(count: int) -> list[Forecast]:
        ends = [(number - 1.0, number + 1.0) if number < count else (100.0, 101.0) for number in range(20)]
        middle = (0.5 - percent / 200, 0.5 + percent / 200)
        return [forecast([[low]], np.array([[[low, high]]]), middle) for low, high in ends]

    promised, all_of_them, none = holding(20 * percent // 100), holding(20), holding(0)
    assert better(float(percent), 100.0, metric)
    assert not better(100.0, float(percent), metric)
    found = compare(metric, none, promised, happened, resamples=100, trials=1000)
    assert (found.better(), found.difference) == ("b", pytest.approx(percent))
    if percent == 80:
        assert compare(metric, promised, all_of_them, happened, resamples=100, trials=200).better() != "b"
        assert compare(metric, none, all_of_them, happened, resamples=100, trials=1000).better() == "b"


def test_paired_significance(seed):
    said, happened = some(seed, items=40)
    better = [forecast(0.5 * each.point + 0.5 * np.nan_to_num(truth.values, nan=5.0)) for each, truth in zip(said, happened, strict=True)]
    references = [[each] for each in happened]
    for name in ("mase", "rmse"):
        found = compare(registry.find("metrics", name), said, better, references, resamples=200, trials=500)
        assert found.difference < 0
        assert found.better() == "b"


# -------------------------------------------------------------------------------------------------------------- breakdown


@every_metric
def test_parts_are_the_metric_of_the_part(name, seed):
    said, happened = some(seed)
    metric = registry.find("metrics", name)
    found = breakdown(metric, said, [[each] for each in happened])
    assert list(found.series) == [f"series {number}" for number in range(4)]
    for series, part in found.series.items():
        chosen = [item for item, each in enumerate(said) if each.unique_id == series]
        assert part == pytest.approx(value(name, [said[item] for item in chosen], [happened[item] for item in chosen]))
    for step in range(4):
        reach = [item for item, each in enumerate(said) if len(each.point) > step]
        cut = [forecast(said[i].point[step : step + 1], said[i].quantiles[step : step + 1], LEVELS) for i in reach]
        futures = [actual(happened[i].values[step : step + 1], happened[i].insample_mae, happened[i].insample_mse) for i in reach]
        assert found.steps[step] == pytest.approx(value(name, cut, futures))
        assert found.counts[step] == len(reach), "one of two channels is observed at least"


def test_only_forecasts_have_steps():
    with pytest.raises(ConfigError, match="Only metrics of forecasts have steps, but `bleu` is none"):
        breakdown(registry.find("metrics", "bleu"), ["a"], [["a"]])


# ------------------------------------------------------------------------------------------------------------- bad input


def test_refused():
    fine, future = forecast([[1.0]]), actual([[1.0]])
    with pytest.raises(DataError, match=r"must have the shape of what happened \(2, 1\), but has \(1, 1\)"):
        value("mae", [fine], [actual([[1.0], [2.0]])])
    with pytest.raises(DataError, match="series `a` must be finite"):
        value("mae", [forecast([[np.inf]])], [future])
    with pytest.raises(DataError, match="pinball loss needs quantiles"):
        value("pinball", [fine], [future])
    with pytest.raises(DataError, match=r"needs the quantiles 0.025 and 0.975, but the forecast of series `a` has levels 0.1, 0.9"):
        value("coverage_95", [forecast([[1.0]], np.array([[[0.0, 2.0]]]), (0.1, 0.9))], [future])
    with pytest.raises(DataError, match="has no quantiles"):
        value("interval_width_80", [fine], [future])
    with pytest.raises(DataError, match="Item 1 must be a forecast and the one future"):
        value("mae", ["text"], ["text"])
    with pytest.raises(DataError, match="Item 1 must be a forecast and the one future"):
        registry.find("metrics", "mae").statistics([fine], [[future, future]])


# ------------------------------------------------------------------------------------------------ against utilsforecast


def test_against_utilsforecast(seed):
    """Means over series of its values by series; it scales as we do, and its sMAPE is a two-hundredth of ours."""
    losses = pytest.importorskip("utilsforecast.losses")
    import polars

    generator = np.random.default_rng(seed)
    rows, past, said, happened = [], [], [], []
    for series in range(5):
        history, future = generator.normal(10, 2, size=30), generator.normal(10, 2, size=6)
        point = future + generator.normal(size=6)
        quantiles = point[:, None] + np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
        past += [{"unique_id": series, "ds": step, "y": y} for step, y in enumerate(history)]
        columns = ("m-lo-95", "m-lo-80", "m-median", "m-hi-80", "m-hi-95")
        for step in range(6):
            named = dict(zip(columns, quantiles[step], strict=True))
            rows.append({"unique_id": series, "ds": 30 + step, "y": future[step], "m": point[step], **named})
        said.append(forecast(point[:, None], quantiles[:, None], LEVELS))
        happened.append(Actual(future[:, None], *insample_errors(history[:, None], 4)))
    frame, train = polars.DataFrame(rows), polars.DataFrame(past)

    def theirs(name, **settings):
        models = settings.pop("models", ["m"])
        return getattr(losses, name)(frame, models=models, **settings)["m"].mean()

    for name in ("mae", "mse"):
        assert value(name, said, happened) == pytest.approx(theirs(name))
    for name, season in (("mase", 4), ("rmsse", 1)):
        assert value(name, said, happened) == pytest.approx(theirs(name, seasonality=season, train_df=train))
    assert value("smape", said, happened) == pytest.approx(200 * theirs("smape"))
    for percent in (80, 95):
        assert value(f"coverage_{percent}", said, happened) == pytest.approx(100 * theirs("coverage", level=percent))
    models = {"m": ["m-lo-95", "m-lo-80", "m-median", "m-hi-80", "m-hi-95"]}
    assert value("pinball", said, happened) == pytest.approx(theirs("mqloss", models=models, quantiles=np.array(LEVELS)))
