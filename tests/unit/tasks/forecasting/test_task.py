"""The forecasting task: what a model reads and should say, and the way back; what is refused."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

import antiphon
from antiphon.cli.main import main
from antiphon.contracts.configuration import validate
from antiphon.contracts.limits import Limits
from antiphon.contracts.sequences import Hypothesis, Quantiles
from antiphon.data.collate import collate
from antiphon.data.records import open_records
from antiphon.data.windows import WindowCorpus
from antiphon.errors import ConfigError, DataError
from antiphon.metrics.forecasts import Actual, Forecast
from antiphon.recipe.assembly import build_corpora, fit_task, open_splits
from antiphon.recipe.recipe import recipe_from
from antiphon.tasks.forecasting import plugin
from antiphon.tasks.forecasting.config import ForecastingConfig
from antiphon.tasks.forecasting.conformal import Calibration
from antiphon.tasks.forecasting.task import Forecasting


def rows(lengths: tuple[int, ...] = (40, 30), *, future: int = 0, seed: int = 1) -> list[dict[str, Any]]:
    """Monthly series with every kind of covariate."""
    rng = np.random.default_rng(seed)
    found = []
    for number, length in enumerate(lengths):
        for step in range(length + future):
            value = (number + 1) * 100 * (1.5 + np.sin(step * np.pi / 6)) + rng.normal()
            found.append(
                {
                    "unique_id": f"s{number}",
                    "ds": str(np.datetime64("2001-01", "M") + step),
                    "y": float(value) if step < length else None,
                    "visitors": float(rng.normal()) if step < length else None,
                    "price": float(step),
                    "region": "north" if number % 2 else "south",
                }
            )
    return found


COVARIATES = {"past": ["visitors"], "known": ["price"], "static": ["region"], "calendar": ["month"]}


def task(data: Any = None, **settings: Any) -> Forecasting:
    made = Forecasting(validate(ForecastingConfig, {"horizon": 4, "context_length": 8, **settings}))
    made.fit(rows() if data is None else data)
    return made


def hypothesis(elements: np.ndarray) -> Hypothesis:
    quantiles = Quantiles(np.stack([elements - 1, elements, elements + 1], axis=-1), (0.1, 0.5, 0.9))
    return Hypothesis(elements, 0.0, 0.0, quantiles=quantiles, samples=np.stack([elements, elements]))


SCALINGS = [
    {"name": name, "over": over} for name in ("mean", "size", "standard", "robust", "min_max") for over in ("window", "series", "all")
]


@pytest.mark.parametrize("transform", ["none", "log", "log1p", "box_cox"])
@pytest.mark.parametrize("scaling", [*SCALINGS, "none", "last"], ids=str)
def test_what_is_scaled_comes_back(scaling: Any, transform: str) -> None:
    made = task(scaling=scaling, transform=transform)
    for item in made.items(rows(), scored=True):
        example = made.encode(item)
        assert example.target is not None
        prediction = made.decode([hypothesis(example.target[1:, :1])], example)
        reference = made.reference(item)
        assert isinstance(prediction.value, Forecast)
        assert isinstance(reference, Actual)
        np.testing.assert_allclose(prediction.value.point, reference.values, rtol=2e-5)
        assert prediction.value.quantiles is not None
        assert (np.diff(prediction.value.quantiles, axis=-1) > 0).all()
        np.testing.assert_allclose(prediction.value.quantiles[..., 1], reference.values, rtol=2e-5)
        assert prediction.value.samples is not None
        np.testing.assert_allclose(prediction.value.samples[1], reference.values, rtol=2e-5)


@pytest.mark.parametrize("scaling", [*SCALINGS[:2], *SCALINGS[3:5], *SCALINGS[9:11], "last"], ids=str)
def test_nothing_behind_the_origin_is_read(scaling: Any) -> None:
    data = rows((40,))
    made = task(scaling=scaling, missing="linear", data=data)
    changed = [{**row, "y": row["y"] * 9 if step >= 36 else row["y"]} for step, row in enumerate(data)]
    changed[35] = {**changed[35], "y": None}
    data[35] = {**data[35], "y": None}  # filled from the window, not from the step behind its origin
    (one,), (other,) = (list(made.items(each, scored=True)) for each in (data, changed))
    np.testing.assert_array_equal(made.encode(one).source, made.encode(other).source)
    known = [made.request(each).known for each in (one, other)]
    np.testing.assert_array_equal(known[0], known[1])


def test_channels_stand_where_the_contract_says() -> None:
    made = task(**COVARIATES, observed_mask=True, scaling="none")
    assert (made.source_spec.width, made.target_spec.channels, made.target_spec.width) == (1 + 1 + 1 + 1 + 2 + 2, 1, 4)
    item = next(iter(made.items(rows(), scored=True)))
    example, data = made.encode(item, 7), rows()[:40]
    assert example.record == 7
    assert example.source.shape == (8, 8)
    assert example.target is not None
    np.testing.assert_allclose(example.source[:, 0], [row["y"] for row in data[28:36]], rtol=1e-6)
    assert (example.source[:, 1] == 1).all()
    prices = np.array([row["price"] for row in rows()])
    scaled = (np.arange(28, 40) - prices.mean()) / prices.std()
    np.testing.assert_allclose(example.source[:, 3], scaled[:8], rtol=1e-5)
    assert example.source[:, 6:].tolist() == [[0, 1]] * 8  # categories in order: north, south
    np.testing.assert_allclose(example.target[:, 0], [row["y"] for row in data[35:]], rtol=1e-6)  # the start element first
    np.testing.assert_allclose(example.target[:4, 1], scaled[8:], rtol=1e-5)  # known of the NEXT step
    assert not example.target[4, 1:].any()
    known = made.request(item).known
    assert known is not None
    np.testing.assert_array_equal(known[:, 1:], example.target[:-1, 1:])
    np.testing.assert_array_equal(known[0], example.target[0])
    assert not known[1:, 0].any()
    assert made.pieces("target", example.target)[0] == f"{data[35]['y']:.3g}"


def test_a_forecast_goes_on_where_the_series_ends() -> None:
    made = task(**COVARIATES)
    items = list(made.items(rows((40, 7), future=4)))
    assert [item["origin"] for item in items] == [40, 7]
    example = made.encode(items[1])
    assert example.target is None
    assert len(example.source) == 7  # a history shorter than the context is no error when predicting
    forecast = made.decode([hypothesis(np.zeros((4, 1), np.float32))], example).value
    assert forecast.times == ("2001-08", "2001-09", "2001-10", "2001-11")
    assert made.source_of(items[1]) == "series s1 up to 2001-07"
    assert [row["ds"] for row in made.rows(made.decode([hypothesis(np.zeros((4, 1)))], example))] == list(forecast.times)
    collate([made.encode(item) for item in items], made.source_spec, made.target_spec)


def test_origins_of_a_backtest() -> None:
    made = task(backtest={"windows": 3})
    assert [(item["unique_id"], item["origin"]) for item in made.items(rows(), scored=True)] == [
        ("s0", 28), ("s0", 32), ("s0", 36), ("s1", 18), ("s1", 22), ("s1", 26)
    ]  # fmt: skip
    made = task(backtest={"windows": 2, "step": 1})
    assert [item["origin"] for item in made.items(rows((40,)), scored=True)] == [35, 36]


def test_missing_values_are_read_but_do_not_count() -> None:
    data = rows((40,))
    data[30]["y"] = data[37]["y"] = None
    made = task(data, missing="previous", observed_mask=True, scaling="none")
    item = next(iter(made.items(data, scored=True)))
    example = made.encode(item)
    assert example.target is not None
    assert np.isnan(example.target[:, 0]).tolist() == [False, False, True, False, False]
    assert np.isfinite(example.source).all()
    assert example.source[2, 0] == np.float32(data[29]["y"])
    assert example.source[:, 1].tolist() == [1, 1, 0, 1, 1, 1, 1, 1]
    assert np.isnan(made.reference(item).values[:, 0]).tolist() == [False, True, False, False]


def test_saved_and_loaded(tmp_path: Path) -> None:
    made = task(**COVARIATES, scaling={"name": "standard", "over": "all"}, transform="box_cox")
    made.save(tmp_path)
    again = Forecasting(made.settings)
    again.load(tmp_path)
    assert again.fingerprint == made.fingerprint
    assert again.notes == made.notes
    assert (again.source_spec, again.target_spec) == (made.source_spec, made.target_spec)
    for item in made.items(rows(), scored=True):
        np.testing.assert_array_equal(again.encode(item).source, made.encode(item).source)
        np.testing.assert_array_equal(again.encode(item).target, made.encode(item).target)
    assert task(**COVARIATES).fingerprint != made.fingerprint


def test_corpora_hold_the_same_windows_as_items(tmp_path: Path) -> None:
    made = task(**COVARIATES)
    records = open_records(rows())
    train = made.build_corpus(records, tmp_path / "train", limits=Limits(), keep_records=False)
    scored = made.build_corpus(records, tmp_path / "validation", limits=Limits(), keep_records=True)
    assert (len(train), len(scored)) == (29 + 19, 2)
    for index, item in enumerate(made.items(rows(), scored=True)):
        for example in (scored.example(index), made.encode(scored.record(index)), train.example((28, 47)[index])):
            np.testing.assert_array_equal(example.source, made.encode(item).source)
            np.testing.assert_array_equal(example.target, made.encode(item).target)
        np.testing.assert_array_equal(made.request(scored.record(index)).known, made.request(item).known)


@pytest.mark.parametrize("wide", [False, True])
def test_the_end_is_held_out_and_never_learned_from(tmp_path: Path, wide: bool) -> None:
    data: list[dict[str, Any]] = rows((40, 30))
    if wide:
        data = [{"ds": step, "first": float(step), "second": step + 0.5} for step in range(40)]
    recipe = recipe_from(
        {
            "task": {"name": "forecasting", "horizon": 4, "context_length": 8, "format": "wide" if wide else "long"},
            "data": {"validation": 6},
            "model": "lstm",
            "training": {"max_steps": 1},
        }
    )
    made = Forecasting(recipe.task)
    splits = open_splits(recipe, made, {"train": data})
    fit_task(made, splits["train"])
    (train,) = build_corpora(splits["train"], made, tmp_path, Limits(), keep_records=False)
    (held,) = build_corpora(splits["validation"], made, tmp_path, Limits(), keep_records=True)
    assert isinstance(train, WindowCorpus)
    ends = {train.name(owner): len(train.series(owner)) for owner in range(2)}
    assert sorted(ends.values()) == ([34, 34] if wide else [24, 34])
    for index in range(len(held)):
        item = held.record(index)
        assert item["origin"] >= ends[item["unique_id"]]
    with pytest.raises(ConfigError, match=r"`data.validation` must hold out at least the 4 steps"):
        made.hold_out(open_records(data), 3)


def bad(change: dict[str, Any], row: int = 5, data: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    found = rows() if data is None else data
    found[row] = {**found[row], **change}
    return found


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        (bad({"y": float("nan")}), {}, r"Series `s0` must have a number in `y` at 2001-06"),
        (bad({"y": float("-inf")}), {}, r"record 5, series `s0`: `y` must be a finite number"),
        (
            bad({"y": -1.0}),
            {"transform": "log"},
            r"Series `s0` must have values above 0 for `task.transform: log`, but `y` is -1 at 2001-06",
        ),
        (bad({"y": -1.0}), {"counts": True}, r"must have values whole numbers from 0 when `task.counts` is set, but"),
        (bad({"ds": "2001-06-17"}), {"frequency": "1mo"}, r"record 5, series `s0`: times must be one month apart"),
        (rows(), {"frequency": "1i"}, r"`task.frequency` must fit the times, but is 1i and `ds` holds dates"),
        (rows(), {"known": ["prize"]}, r"record 0 has no column `prize`; it has: unique_id"),
        ([{**row, "ds": number} for number, row in enumerate(rows((20,)))], {"calendar": ["month"]}, r"`task.calendar` needs dates"),
        ([], {}, r"There must be at least one row, but there is none\. .*name a file that has it \(`--input history\.csv`\)"),
        (bad({"region": None}, 0, rows((1,))), {"static": ["region"], "frequency": "1mo"}, r"Series `s0`: the static column `region` must"),
    ],
)
def test_data_that_cannot_be_learned_from(data: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises((DataError, ConfigError), match=message):
        task(data, **settings)


def test_series_that_cannot_be_predicted_say_so_one_by_one() -> None:
    made = task(**COVARIATES)
    data = rows((40, 30), future=4)
    data = [row for row in data if not (row["unique_id"] == "s0" and row["ds"] > "2004-05")]
    data = [{**row, "region": "west"} if row["unique_id"] == "s1" else row for row in data]
    first, second = made.items(data)
    with pytest.raises(
        DataError, match=r"Series `s0` must have `price` for all 4 steps after its last value, but has none from 2004-06 on"
    ):
        made.encode(first)
    with pytest.raises(
        DataError, match=r"Series `s1`: the static column `region` must be a category of the training data \(north, south\)"
    ):
        made.encode(second)
    made = task(shortest_context=6)
    with pytest.raises(DataError, match=r"Series `s0` must have at least 6 steps of history, but has 3"):
        made.encode(next(iter(made.items(rows((3,))))))
    with pytest.raises(DataError, match=r"Series `s0` must have 10 steps to be scored .* but has 9"):
        made.encode(next(iter(made.items(rows((9,)), scored=True))))


def test_notes_say_what_was_found() -> None:
    data = [*rows((40,)), *({"unique_id": "flat", "ds": f"2001-{month:02d}", "y": 5.0} for month in range(1, 13))]
    notes = task(data).notes
    assert notes[0] == "2 series, 52 steps of one month (inferred); season 12, context 8, horizon 4."
    assert notes[1].startswith("1 series are constant (first `flat`)")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": "ds"}, r"`ds` has two"),
        ({"categorical": ["region"]}, r"`categorical` must be columns of `static`"),
        ({"counts": True, "scaling": "mean"}, r"`counts` must stay counts: leave out `transform`, and `scaling` unless it is `none`"),
        ({"counts": True, "scaling": {"name": "size", "season": 12}}, r"or `size` without `season` or `unit`"),
        ({"counts": True, "transform": "log1p"}, r"`counts` must stay counts"),
        ({"missing": "zero", "transform": "log"}, r"`missing` cannot be zero"),
        ({"format": "wide", "past": ["x"]}, r"wide data has no columns of a single series"),
        ({"shortest_context": 9}, r"`shortest_context` must be at most"),
        ({"frequency": "monthly"}, r"must be a number and a unit"),
        ({"horizon": 0}, r"`horizon` must be at least 1"),
        ({"scaling": "zscore"}, r"scaling"),
        ({"combine": ["naive", "drift", "naive"]}, r"`combine` must name each baseline once"),
        ({"combine": ["naive"], "counts": True}, r"`combine` makes averages, which are no whole numbers"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(ForecastingConfig, {"horizon": 4, "context_length": 8, **settings})


def test_limits_have_no_effect(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`data.limits` has no effect on series"):
        task().build_corpus(open_records(rows()), tmp_path / "x", limits=Limits(max_source_length=5), keep_records=False)


def recipe(**settings: Any) -> dict[str, Any]:
    return {
        "task": {"name": "forecasting", "horizon": 4, "context_length": 8, **settings},
        "data": {"validation": 4},
        "model": {"name": "lstm", "dim": 8, "head": "gaussian"},
        "training": {"max_steps": 2},
        "evaluation": {"metrics": ["mae"], "resamples": 0},
    }


def test_a_recipe_follows_the_way_of_decoding() -> None:
    direct, rollout = recipe_from(recipe(decoding="direct")), recipe_from(recipe())
    assert (direct.search.name, direct.training.decoder_inputs.name) == ("direct", "direct")
    assert (rollout.search.name, rollout.training.decoder_inputs.name) == ("rollout", "teacher_forcing")
    given = {**recipe(decoding="direct"), "search": {"levels": [0.5]}}
    assert recipe_from(given).search.levels == (0.5,)
    assert recipe_from({**recipe(), "search": "direct"}).search.name == "direct"


@pytest.mark.parametrize("decoding", ["rollout", "direct"])
def test_from_rows_to_a_table(tmp_path: Path, decoding: str) -> None:
    data = polars.DataFrame(rows((40, 30)))
    run = antiphon.train(recipe_from(recipe(decoding=decoding, **COVARIATES)), tmp_path / "run", data={"train": data})
    model = antiphon.load(run)
    history = polars.DataFrame(rows((40, 30, 12), future=4))
    table = model.predict_table(history)
    assert table.shape[0] == 3 * 4
    assert table.columns[:4] == ["unique_id", "ds", "y", "y-lo-95"]
    assert table["ds"].to_list()[:4] == ["2004-05", "2004-06", "2004-07", "2004-08"]
    (first, *_), evaluation = model.predict(history), antiphon.evaluate(run, data, overrides=["task.backtest.windows=2"])
    assert first.value.point[:, 0].tolist() == table["y"].to_list()[:4]
    assert evaluation.records == 4
    assert np.isfinite(evaluation["mae"])
    assert evaluation.to_plain(items=True)["items"][0]["source"] == "series s0 up to 2003-08"
    shorter = antiphon.load(run, overrides=["task.horizon=2"])
    assert len(shorter.predict(history)[0].value.times) == 2
    if decoding == "direct":
        with pytest.raises(ConfigError, match=r"`task.horizon` must be at most 4, which the model was trained for"):
            antiphon.load(run, overrides=["task.horizon=5"])
    with pytest.raises(ConfigError, match=r"does not fit the changed `task`"):
        antiphon.load(run, overrides=["task.calendar=[month, quarter]"])
    with pytest.raises(DataError, match=r"must be a row with the columns"):
        model.predict("2004-05")


@pytest.mark.parametrize("head", ["point", "quantile"])
def test_intervals_are_calibrated_when_training_ends(tmp_path: Path, head: str) -> None:
    data = polars.DataFrame(rows((40,) * 12 + (30,) * 12))
    settings = {**recipe(decoding="direct", intervals=[80]), "model": {"name": "lstm", "dim": 8, "head": head}}
    run = antiphon.train(recipe_from(settings), tmp_path / "run", data={"train": data})
    saved = json.loads((run / "best" / "calibration.json").read_text())
    assert saved["percents"][-1] == 80
    model, without = antiphon.load(run), antiphon.load(run, overrides=["task.intervals=[]"])
    calibrated, plain = model.predict(data)[0].value, without.predict(data)[0].value
    np.testing.assert_array_equal(calibrated.point, plain.point)
    if head == "point":
        assert plain.quantiles is None
        assert calibrated.levels == (0.1, 0.5, 0.9)
    else:
        assert not np.array_equal(calibrated.quantiles, plain.quantiles)
    # The validation windows are those that were calibrated on: of 24 windows the ceil(25 * 0.8) = 20 nearest are covered at each step.
    found = antiphon.evaluate(run, data, overrides=["evaluation.metrics=[coverage_80]"])
    assert 100 * 20 / 24 - 0.01 <= found["coverage_80"] <= 100


@pytest.mark.parametrize("settings", [{"counts": True}, *({"transform": name} for name in ("log", "log1p", "box_cox", "none"))], ids=str)
def test_intervals_hold_nothing_that_the_target_cannot_be(settings: dict[str, Any]) -> None:
    small = [{**row, "y": 1.0 + step % 3} for step, row in enumerate(rows((20,)))]
    made = task(small, **settings)
    made.calibration = Calibration((80.0,), np.full((4, 1, 1), 50.0))
    (item,) = made.items(small)
    said = hypothesis(np.full((4, 1), 0.5, dtype=np.float32))
    forecast = made.decode([said], made.encode(item)).value
    if settings == {"transform": "none"}:
        assert forecast.quantiles.min() < 0, "what may be below zero stays there"
    else:
        assert forecast.quantiles[..., 0].tolist() == [[0.0]] * 4
        assert (forecast.quantiles[..., 2] > 10).all(), "the other end is left alone"
    below = made.decode([hypothesis(np.full((4, 1), -9.0, dtype=np.float32))], made.encode(item)).value
    assert (min(below.point.min(), below.samples.min()) >= 0) == (settings != {"transform": "none"})


def counted(means: tuple[float, ...] = (0.2, 20.0, 2000.0), length: int = 30) -> list[dict[str, Any]]:
    """Series of counts of very different sizes."""
    rng = np.random.default_rng(5)
    return [
        {"unique_id": f"s{number}", "ds": step, "y": int(value)}
        for number, mean in enumerate(means)
        for step, value in enumerate(rng.poisson(mean, size=length))
    ]


def test_counts_are_divided_by_the_size_of_their_window_and_the_decoder_is_told() -> None:
    data = counted()
    made = task(data, counts=True)
    assert (made.target_spec.width, made.target_spec.sizes) == (2, 1)
    for item in made.items(data, scored=True):
        history, future = item["series"].targets[: item["origin"]], item["series"].targets[item["origin"] :][:4]
        size = 1 + history[-8:].mean()
        example, request = made.encode(item), made.request(item)
        assert example.target is not None
        assert request.known is not None
        np.testing.assert_allclose(example.source[:, 0], history[-8:, 0] / size, rtol=1e-6)
        np.testing.assert_allclose(example.target[1:, 0], future[:, 0] / size, rtol=1e-6)
        np.testing.assert_allclose(example.target[:, 1], np.log(size), rtol=1e-6)
        np.testing.assert_allclose(request.known[:, 1], np.log(size), rtol=1e-6)
        said = hypothesis(example.target[1:, :1])
        np.testing.assert_array_equal(made.decode([said], example).value.point, future, err_msg="whole numbers come back whole")
    for over in ("series", "all"):
        assert task(data, counts=True, scaling={"name": "size", "over": over}).target_spec.sizes == 1
    plain = task(data, counts=True, scaling="none")
    assert (plain.target_spec.width, plain.target_spec.sizes) == (1, 0)
    (item, *_) = plain.items(data)
    np.testing.assert_array_equal(plain.encode(item).source[:, 0], item["series"].targets[-8:, 0])


@pytest.mark.parametrize("decoding", ["rollout", "direct"])
@pytest.mark.parametrize(
    "model", [{"name": "lstm", "dim": 8}, {"name": "transformer", "dim": 8, "heads": 2, "channels": "independent"}], ids=str
)
def test_forecasts_of_counts_are_counts(tmp_path: Path, decoding: str, model: dict[str, Any]) -> None:
    data = polars.DataFrame(counted())
    settings = {**recipe(decoding=decoding, counts=True), "model": {**model, "head": "negative_binomial"}}
    settings["training"] = {"max_steps": 3, "decoder_inputs": {"name": "scheduled_sampling", "schedule": "constant", "sample": True}}
    if decoding == "direct":
        del settings["training"]["decoder_inputs"]
    run = antiphon.train(recipe_from(settings), tmp_path / "run", data={"train": data})
    for prediction in antiphon.load(run).predict(data):
        quantiles, samples = prediction.value.quantiles, prediction.value.samples
        if decoding == "direct":
            np.testing.assert_array_equal(quantiles, np.rint(quantiles))
        else:
            np.testing.assert_array_equal(samples, np.rint(samples))
        assert (np.diff(quantiles, axis=-1) >= 0).all()
    assert np.isfinite(antiphon.evaluate(run, data)["loss"])


def test_what_was_scored_on_less_than_was_asked_is_said(tmp_path: Path) -> None:
    """Three of four series are constant, so MASE is that of one; one is too short for the second window."""
    data = [{**row, "y": row["y"] if row["unique_id"] == "s0" else 5.0} for row in rows((40, 40, 40, 13))]
    run = antiphon.train(recipe_from(recipe(decoding="direct")), tmp_path / "run", data={"train": data})
    found = antiphon.evaluate(run, data, overrides=["task.backtest.windows=2", "evaluation.metrics=[mase, mae]", "evaluation.resamples=20"])
    assert found.records == 7
    assert [score.items for score in found.scores] == [2, 7, None]
    fewer, partly = found.remarks
    assert fewer.startswith("1 of 4 series are too short for the 2 windows that `task.backtest.windows` asks for")
    assert "(first `s3`: 1): 7 forecasts in all" in fewer
    assert partly.startswith("2 of 7 forecasts took part in `mase`: the others have nothing to divide by")
    assert all(score.low is not None and np.isfinite([score.low, score.high]).all() for score in found.scores[:2])
    assert found.details["steps"]["counts"] == [7] * 4
    assert found.details["steps"]["counted"] == {"mase": [2] * 4, "smape": [7] * 4, "mae": [7] * 4}
    for stored in (run / "evaluations").iterdir():
        json.loads(stored.read_text(), parse_constant=pytest.fail)
    whole = antiphon.evaluate(run, [row for row in data if row["unique_id"] == "s0"])
    assert whole.remarks == ()


def test_rows_behind_the_horizon_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run = antiphon.train(recipe_from(recipe(decoding="direct", known=["price"])), tmp_path / "run", data={"train": rows()})
    first, second = antiphon.load(run).predict([row for row in rows(future=6) if row["unique_id"] == "s0" or row["ds"] < "2003-11"])
    assert first.details == {"remark": "2 rows of the future behind the horizon are not forecast: `task.horizon` is 4."}
    assert second.details == {}, "it has just what is needed"
    polars.DataFrame(rows(future=6)).write_csv(tmp_path / "long.csv")
    arguments = ["predict", str(run), "--input", str(tmp_path / "long.csv"), "--output", str(tmp_path / "out.csv")]
    monkeypatch.setattr("sys.argv", ["antiphon", *arguments])
    with suppress(SystemExit):
        main()
    assert "antiphon: 2 of 2 inputs: 2 rows of the future behind the horizon are not forecast" in capsys.readouterr().err


def test_merged_adapters_keep_what_was_calibrated(tmp_path: Path) -> None:
    data = polars.DataFrame(rows((40,) * 12))
    settings = {**recipe(decoding="direct", intervals=[80]), "model": {"name": "lstm", "dim": 8, "head": "quantile"}}
    base = antiphon.train(recipe_from(settings), tmp_path / "base", data={"train": data})
    adapted = {"name": "adapted", "run": str(base), "adapter": {"modules": ["combine"]}}
    run = antiphon.train(recipe_from({**settings, "model": adapted}), tmp_path / "run", data={"train": data})
    merged = antiphon.export(run, format="merged", out=tmp_path / "merged")
    assert (merged / "best" / "calibration.json").read_text() == (run / "best" / "calibration.json").read_text()
    assert antiphon.load(merged).task.calibration is not None  # type: ignore[attr-defined]


def test_what_cannot_be_calibrated_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = polars.DataFrame(rows((40, 30)))
    settings = {**recipe(decoding="direct", intervals=[80]), "model": {"name": "lstm", "dim": 8}}
    run = antiphon.train(recipe_from(settings), tmp_path / "run", data={"train": data})
    assert "Nothing was calibrated: To calibrate the 80 % interval at least 4 windows" in " ".join(capsys.readouterr().err.split())
    assert antiphon.load(run).predict(data)[0].value.quantiles is None


def test_baselines_stand_beside_the_scores(tmp_path: Path) -> None:
    data = polars.DataFrame(rows((40, 30)))
    settings = recipe(decoding="direct", baselines=["naive", "seasonal_naive"])
    run = antiphon.train(recipe_from(settings), tmp_path / "run", data={"train": data})
    found = antiphon.evaluate(run, data, overrides=["evaluation.metrics=[mae, coverage_80]", "search.levels=[0.1, 0.9]"])
    assert list(found.baselines) == ["naive", "seasonal_naive"]
    assert [score.name for score in found.baselines["naive"]] == ["mae"], "a point has no intervals"
    series = [data.filter(polars.col("unique_id") == name)["y"].to_numpy() for name in ("s0", "s1")]
    by_hand = np.mean([abs(values[-4:] - values[-5]) for values in series])
    assert found.baselines["naive"][0].value == pytest.approx(by_hand)


def test_baselines_learn_nothing_from_behind_an_origin() -> None:
    from antiphon.tasks.forecasting.baselines import baseline_forecasts

    table = rows((60, 50))
    opened = [(item["series"], item["origin"]) for item in task(table, backtest={"windows": 3}).items(table, scored=True)]
    said = baseline_forecasts(opened, ["linear"], "error", 4, 12)["linear"]
    for series, _ in opened:
        series.targets[min(origin for one, origin in opened if one.unique_id == series.unique_id) :] *= 7
    first = [number for number, (_, origin) in enumerate(opened) if origin in (60 - 12, 50 - 12)]
    again = baseline_forecasts(opened, ["linear"], "error", 4, 12)["linear"]
    assert len(first) == 2
    for number in first:
        np.testing.assert_array_equal(said[number].point, again[number].point)


@pytest.mark.parametrize("decomposition", ["none", "trend"])
def test_linear_needs_one_word(tmp_path: Path, decomposition: str) -> None:
    """Context, horizon and the way of decoding follow from the task."""
    settings = {**recipe(), "model": {"name": "linear", "decomposition": decomposition}}
    made = recipe_from(settings)
    assert (made.search.name, made.training.decoder_inputs.name) == ("direct", "direct")
    data = polars.DataFrame(rows((40, 30)))
    run = antiphon.train(made, tmp_path / "run", data={"train": data})
    assert np.isfinite(antiphon.evaluate(run, data)["mae"])


def test_the_template_is_a_recipe() -> None:
    from ruamel.yaml import YAML

    made = recipe_from(YAML(typ="safe", pure=True).load(plugin.template.format(file="recipe.yaml")))
    assert made.task.name == "forecasting"
    assert made.search.name == "direct"


def test_a_series_that_is_all_held_out_is_counted_in_training(tmp_path: Path) -> None:
    data = polars.DataFrame(rows((40, 3)))
    made = recipe_from(recipe(decoding="direct"))
    fitted = task(rows())
    train = open_splits(made, fitted, {"train": data})["train"]
    (corpus,) = build_corpora(train, fitted, tmp_path, Limits(), keep_records=False)
    assert corpus.tally["read"] == 2
    assert corpus.tally["dropped"] == {"series too short for one window": 1}
