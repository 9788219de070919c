"""A model's forecast averaged with those of baselines: by hand, from the past alone, and with a trained run."""

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
from antiphon.contracts.sequences import Hypothesis, Quantiles
from antiphon.errors import ConfigError
from antiphon.metrics.forecasts import Forecast
from antiphon.recipe.recipe import recipe_from
from antiphon.tasks.forecasting.config import ForecastingConfig
from antiphon.tasks.forecasting.task import Forecasting


def rows(lengths: tuple[int, ...] = (40, 30), *, seed: int = 1) -> list[dict[str, Any]]:
    """Random walks far above zero."""
    rng = np.random.default_rng(seed)
    walks = [200 + rng.normal(size=length).cumsum() for length in lengths]
    return [{"unique_id": f"s{number}", "ds": step, "y": float(y)} for number, walk in enumerate(walks) for step, y in enumerate(walk)]


def task(data: Any, **settings: Any) -> Forecasting:
    made = Forecasting(validate(ForecastingConfig, {"horizon": 4, "context_length": 8, **settings}))
    made.fit(data)
    return made


def said(made: Forecasting, item: Any, elements: np.ndarray) -> Forecast:
    quantiles = Quantiles(np.stack([elements - 1, elements, elements + 1], axis=-1), (0.1, 0.5, 0.9))
    hypothesis = Hypothesis(elements, 0.0, 0.0, quantiles=quantiles, samples=np.stack([elements, elements + 2]))
    value = made.decode([hypothesis], made.encode(item)).value
    assert isinstance(value, Forecast)
    return value


@pytest.mark.parametrize("transform", ["none", "log"])
def test_each_counts_as_much_as_the_model_and_intervals_move_along(transform: str) -> None:
    data, elements = rows(), np.array([[0.5], [0.0], [-0.5], [1.0]])
    alone, together = task(data, transform=transform), task(data, transform=transform, combine=["naive", "drift"])
    for item in alone.items(data):
        model, both = said(alone, item, elements), said(together, item, elements)
        history = item["series"].targets[:, 0]  # all of it: drift begins with its first value, far before the window
        drift = history[-1] + (history[-1] - history[0]) / (len(history) - 1) * np.arange(1, 5)
        np.testing.assert_allclose(both.point[:, 0], (model.point[:, 0] + history[-1] + drift) / 3)
        moved = both.point - model.point
        assert abs(moved).min() > 0.01
        assert model.quantiles is not None
        assert both.quantiles is not None
        assert model.samples is not None
        assert both.samples is not None
        np.testing.assert_allclose(both.quantiles, model.quantiles + moved[..., None])
        np.testing.assert_allclose(both.samples, model.samples + moved)


def test_nothing_behind_the_origin_is_read() -> None:
    data = rows((40,))
    changed = [{**row, "y": row["y"] * 9 if step >= 36 else row["y"]} for step, row in enumerate(data)]
    made, elements = task(data, combine=["theta"]), np.zeros((4, 1))
    (one,), (other,) = (list(made.items(each, scored=True)) for each in (data, changed))
    np.testing.assert_array_equal(said(made, one, elements).point, said(made, other, elements).point)


def test_nothing_that_the_target_cannot_be() -> None:
    data = [{"unique_id": "s", "ds": step, "y": 100.0 - 4 * step} for step in range(25)]
    made = task(data, transform="log", combine=["drift"])
    (item,) = made.items(data)
    found = said(made, item, np.full((4, 1), -50.0))  # the model says 0, drift 0 and then less
    assert found.quantiles is not None
    assert (found.point >= 0).all()
    assert (found.quantiles >= 0).all()


def recipe(**settings: Any) -> dict[str, Any]:
    return {
        "task": {"name": "forecasting", "horizon": 4, "context_length": 8, "decoding": "direct", **settings},
        "model": {"name": "lstm", "dim": 8, "head": "quantile"},
        "data": {"train": "given", "validation": 4},
        "training": {"max_steps": 4, "batching": {"target_tokens": 50}},
        "evaluation": {"metrics": ["mae", "coverage_80"], "resamples": 50},
    }


def test_a_trained_run_is_combined_and_compared_with_a_baseline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = polars.DataFrame(rows((40, 30, 30, 30)))
    run = antiphon.train(recipe_from(recipe(baselines=["naive"])), tmp_path / "run", data={"train": data})
    alone, both = antiphon.evaluate(run, data), antiphon.evaluate(run, data, overrides=["task.combine=[naive]"])
    for model, baseline, together in zip(alone.values, alone.said_by["naive"], both.values, strict=True):
        np.testing.assert_allclose(together.point, (model.point + baseline.point) / 2)
    data.write_csv(tmp_path / "test.csv")
    capsys.readouterr()
    command = ["evaluate", str(run), "--data", str(tmp_path / "test.csv"), "--set", "task.combine=[naive]", "--compare", "naive", "--json"]
    monkeypatch.setattr("sys.argv", ["antiphon", *command])
    with suppress(SystemExit):
        main()
    found = json.loads(capsys.readouterr().out)
    assert [one["run"] for one in found["runs"]] == [str(run)]
    (compared,) = found["comparisons"]
    assert (compared["name"], compared["with"]) == ("mae", "naive"), "a point has no intervals"
    assert compared["a"]["value"] == pytest.approx(both["mae"])
    assert compared["b"]["value"] == pytest.approx(alone.baselines["naive"][0].value)
    monkeypatch.setattr("sys.argv", ["antiphon", *command[:-3], "--compare", "naiv"])
    with suppress(SystemExit):
        main()
    assert "There is no run naiv, and no such baseline. Did you mean `naive`? Baselines here: naive." in capsys.readouterr().err


def test_intervals_are_calibrated_for_one_combination(tmp_path: Path) -> None:
    data = polars.DataFrame(rows((40, 30, 30, 30)))
    settings = {**recipe(intervals=[50], combine=["naive"]), "model": {"name": "lstm", "dim": 8}}
    run = antiphon.train(recipe_from(settings), tmp_path / "run", data={"train": data})
    assert antiphon.load(run).predict(data)[0].value.quantiles is not None
    with pytest.raises(ConfigError, match=r"calibrated with `task.combine` being \['naive'\], so it cannot be \[\]"):
        antiphon.load(run, overrides=["task.combine=[]"])
