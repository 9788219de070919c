"""The page of a run that forecasts: fans, errors by step, calibration, series, baselines; and nothing about texts."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import antiphon
from antiphon.recipe.recipe import recipe_from
from antiphon.report.calibration import calibration
from antiphon.report.fan_chart import MOST_BANDS, Fan, chosen_bands, fan_of
from antiphon.report.forecasts import forecasts_section
from antiphon.report.page import write_report
from antiphon.report.run_record import StoredEvaluation, read_run
from tests.unit.report.forecast_runs import AUDIT, RECIPE, details, evaluation
from tests.unit.report.runs import make_run, score
from tests.unit.report.test_page import HOSTILE, Page, check_safe, page_of


def run_with(tmp_path: Path, found: dict[str, Any] | None = None, **parts: Any) -> Path:
    return make_run(tmp_path / "run", recipe=RECIPE, evaluations={"test": evaluation(found)}, **parts)


# ------------------------------------------------------------------------------------------------------ the sections


def test_a_page_of_forecasts(tmp_path: Path) -> None:
    markup = write_report(run_with(tmp_path)).read_text(encoding="utf-8")
    page = Page(markup)
    check_safe(page, markup)
    assert page.identifiers == ["training", "data", "scores", "forecasts", "attention", "recipe"]
    assert "Forecasting of sales, 4 steps ahead: linear model." in page.said
    assert "the last 8 steps of each series of the training data" in page.said
    assert "20 forecasts, 2.0 s (10 forecasts per second)" in page.said
    for said in ("vocabular", "text", "length limit", "outputs ended", "decoded greedily"):
        assert said not in page.said.lower(), said


def test_baselines_stand_beside_the_scores(tmp_path: Path) -> None:
    page = page_of(run_with(tmp_path))
    assert "MASE ↓ 0.9000 0.8000 to 1.00 0.7000 signature-of-mase" in page.said
    assert "sMAPE ↓ 10.00 12.00 signature-of-smape" in page.said
    assert "MASE of naive (0.7000) is better than the model's (0.9000). What is simple" in page.said
    assert "sMAPE of naive" not in page.said
    assert "MASE: 0.9000, 95% interval 0.8000 to 1; naive: 0.7000" in page.titles
    assert "coverage of 80%: 70; promised: 80" in page.titles
    assert not any(title.startswith("width of 80% intervals") for title in page.titles), "there is nothing to compare a width with"
    beaten = [value for tag, name, value in page.attributes if (tag, name) == ("span", "class") and value == "beaten"]
    assert len(beaten) >= 2, "in the heading and in the section"


def test_a_model_without_a_score_is_not_called_better(tmp_path: Path) -> None:
    """A metric that is defined nowhere is NaN."""
    stored = {**evaluation(), "scores": [score("mase", float("nan"), higher=False)]}
    said = page_of(make_run(tmp_path / "run", recipe=RECIPE, evaluations={"test": stored})).said
    assert "better than every baseline" not in said
    assert "better than the model's" not in said


def test_fans_from_best_to_worst(tmp_path: Path) -> None:
    page = page_of(run_with(tmp_path))
    assert "12 of 20 forecasts of the newest evaluation, from the best to the worst by MASE" in page.said
    assert "shop 0 the best of 20, MASE 0, after t19" in page.said
    assert re.search(r"shop \d+ the worst of 20, MASE [\d.]+, after t19", page.said)
    assert page.said.index("the best of 20") < page.said.index("rank 3 of 20") < page.said.index("the worst of 20")
    assert "history and what happened forecast seasonal naive 95% interval 80% interval 50% interval" in page.said
    hovered = [title for title in page.titles if title.startswith("2024-02: forecast")]
    assert len(hovered) == 12
    assert all(re.search(r"happened [\d.]+, seasonal naive [\d.]+, 95% from [\d.]+ to", title) for title in hovered)
    fans = [value for tag, name, value in page.attributes if (tag, name) == ("figure", "class") and value == "fan"]
    assert len(fans) == 12


def test_errors_by_step_and_series(tmp_path: Path) -> None:
    found = details()
    page = page_of(run_with(tmp_path, found))
    for name, errors in found["steps"]["errors"].items():
        title = {"mase": "MASE", "smape": "sMAPE", "mae": "MAE"}[name]
        assert f"{title} by step" in page.said
        for who in ("model", "naive"):
            assert any(one.startswith(f"{who}, step 4: ") for one in page.titles), (who, errors)
    worst = found["series"]["worst"]
    assert "The hardest 12 of 20 series" in page.said
    assert page.said.index(f"{worst[0]['unique_id']} ") > 0
    assert "8 more series" in page.said
    assert re.search(r"The model is better than naive in [\d.]+% of the series", page.said)


def test_forecasts_of_points_with_holes_and_of_several_targets(tmp_path: Path) -> None:
    found = details(3, channels=("a", "b", "c", "d"), quantiles=False, holes=True)
    page = page_of(run_with(tmp_path, found))
    assert "The forecasts have no intervals" in page.said
    assert "Of 4 targets, the first 3 are drawn." in page.said
    assert "shop 0, c" in page.said
    assert "shop 0, d" not in page.said
    assert "nan" not in " ".join(str(value) for _, name, value in page.attributes if name in ("d", "cx", "cy", "x", "y")).lower()
    assert any("2024-02: forecast" in title and "happened" not in title for title in page.titles), "a missing value is not said"


def test_one_forecast(tmp_path: Path) -> None:
    page = page_of(run_with(tmp_path, details(1)))
    assert "1 of 1 forecast of the newest evaluation" in page.said
    assert "The hardest 1 of 1 series" in page.said


def test_what_is_missing_is_said_with_the_command(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", recipe=RECIPE)
    page = page_of(run)
    assert f"antiphon evaluate {run} adds drawn forecasts" in page.said
    assert "There is no checkpoint to look into yet" in page.said
    assert "validation samples" not in page.said.lower()
    page = page_of(make_run(tmp_path / "old", recipe=RECIPE, evaluations={"test": {**evaluation(), "details": {}}}))
    assert "stored without details" in page.said


def test_hostile_and_damaged_details_stay_data(tmp_path: Path) -> None:
    found = json.loads(json.dumps(details(3)).replace("shop 1", "SHOP"))
    text = json.dumps(found).replace('"SHOP"', json.dumps(HOSTILE))
    markup = write_report(run_with(tmp_path, json.loads(text))).read_text(encoding="utf-8")
    check_safe(Page(markup), markup)
    assert "<script>" in Page(markup).said


def test_damaged_details_make_no_error(tmp_path: Path, seed: int) -> None:
    """What stands in the place of each part is drawn: trying everything everywhere takes half a minute."""
    record, whole, rng = read_run(run_with(tmp_path)), details(1), np.random.default_rng(seed)
    (stored,) = record.evaluations
    (first,) = whole["forecasts"]
    (channel,) = first["channels"]
    odd: list[Any] = [None, 3, "x", ["x"], [[]], [{}], {"a": 3}, {"errors": {"mase": 3}}]

    def damaged(part: dict[str, Any]) -> list[dict[str, Any]]:
        return [{**part, key: odd[int(rng.integers(len(odd)))]} for key in part]

    cases = damaged(whole)
    cases += [{**whole, "steps": {**whole["steps"], "errors": {"mase": value}}} for value in (3, {"model": 3})]
    cases += [{**whole, "series": part} for part in damaged(whole["series"])]
    cases += [{**whole, "forecasts": [part]} for part in damaged(first)]
    cases += [{**whole, "forecasts": [{**first, "channels": [part]}]} for part in damaged(channel)]
    for case in cases:
        forecasts_section(replace(record, evaluations=[StoredEvaluation({**stored.content, "details": case}, stored.written)]))


# ------------------------------------------------------------------------------------------------------------ its parts


def points_of(markup: str, kind: str) -> list[tuple[float, float]]:
    path = re.search(rf'class="{kind}" d="M([^"Z]*)', markup)
    assert path is not None, kind
    pairs = [place.split(" ") for place in re.split("[LM]", path[1])]
    return [(float(x), float(y)) for x, y in pairs]


def test_a_fan_is_drawn_to_scale() -> None:
    band = (80.0, [1.0, 2.0], [3.0, 6.0])
    markup = str(Fan([0.0, 4.0], [2.0, 8.0], [2.0, 4.0], [1.0, 1.0], [band], ["a", "b"], ["y", "z"]).figure("title", "remark"))
    past, said, happened = (points_of(markup, kind) for kind in ("past", "said", "happened"))
    top, bottom = happened[-1][1], past[0][1]
    assert top < bottom, "8 stands above 0"
    assert past[-1] == happened[0], "what happened goes on where the history ends"
    assert said[1][1] == pytest.approx((top + bottom) / 2, abs=0.1), "4 lies halfway"
    steps = np.diff([past[0][0], past[1][0], said[0][0], said[1][0]])
    assert steps == pytest.approx([steps[0]] * 3, abs=0.11)
    over, under = points_of(markup, "band")[:2], points_of(markup, "band")[2:]
    assert [y for _, y in over] == pytest.approx([bottom - (bottom - top) * value / 8 for value in (3, 6)], abs=0.1)
    assert [y for _, y in under] == pytest.approx([bottom - (bottom - top) * value / 8 for value in (2, 1)], abs=0.1)
    assert "beyond" not in markup


def test_a_band_that_would_flatten_the_series_is_cut_and_says_so() -> None:
    band = (95.0, [-1e6], [1e6])
    markup = str(Fan([1.0, 2.0], [1.5], [1.5], [1.0], [band], ["a"], ["y", "z"]).figure("title", "remark"))
    assert "Intervals go beyond the picture." in markup
    ys = [y for _, y in points_of(markup, "past")]
    assert max(ys) - min(ys) > 10


def test_missing_values_leave_gaps() -> None:
    fan = Fan([1.0, None, 2.0, 3.0, None], [None, 2.0], [1.0, 2.0], [None, None], [], ["a", "b"], [])
    markup = str(fan.figure("t", "r"))
    path = re.search(r'class="past" d="([^"]*)"', markup)
    assert path is not None
    assert path[1].count("M") == 2
    assert 'class="repeated"' not in markup
    assert "has no values" in str(Fan([None], [None], [None], [], [], ["a"], []).figure("t", "r"))


def test_long_horizons_are_hovered_at_some_steps() -> None:
    markup = str(Fan([1.0] * 600, [1.0] * 720, [2.0] * 720, [1.5] * 720, [], [str(step) for step in range(720)], []).figure("t", "r"))
    assert 30 <= markup.count('class="column"') <= 60
    assert "happened-dot" not in markup


def test_few_bands_are_chosen_of_many() -> None:
    bands = [(percent, [0.0], [1.0]) for percent in (99.0, 95.0, 90.0, 80.0, 60.0, 50.0, 20.0)]
    assert [percent for percent, *_ in chosen_bands(bands)] == [99.0, 80.0, 50.0]
    assert len(chosen_bands(bands[:MOST_BANDS])) == MOST_BANDS
    fan = fan_of({"levels": [0.1, 0.5, 0.8, 0.9], "quantiles": [[1, 2, 3, 4], [5, 6, 7, 8]], "point": [2, 6]}, ["a", "b"], [])
    assert fan.bands == [(80.0, [1.0, 5.0], [4.0, 8.0])], "0.8 has no counterpart"


def test_calibration_says_which_side_is_wrong() -> None:
    def said(observed: float) -> str:
        own = {"channel": "y", "observed": observed, "width": 2.0}
        return str(calibration([{"nominal": 80.0, "observed": observed, "values": 40, "channels": [own]}]))

    assert "hold 60.0% of the values: they are too narrow" in said(60.0)
    assert "wider than they need to be" in said(95.0)
    assert "to within 3 points" in said(78.0)
    assert "80% interval: 60% of the values are inside" in said(60.0)


# ------------------------------------------------------------------------------------------------------------- the data


def test_the_audit_of_series(tmp_path: Path) -> None:
    page = page_of(run_with(tmp_path, audit=AUDIT))
    assert "3 series of 5 are used: 30 windows to learn from, of 8 to 12 past steps and the 4 ahead." in page.said
    assert "30 windows to score, of 12 past steps and the 4 ahead" in page.said
    assert page.said.index("Training data") < page.said.index("Validation data")
    assert "series too short 2 shop 8, shop 9" in page.said
    assert "sales 1.500 20 300 7" in page.said
    assert "2001-01 to 2004-02" in page.said
    assert "4 of 30 windows forecast times that are in the training data of their series (first shop 1)" in page.said
    assert "2 rows were odd." in page.said
    assert "Series shop 1 up to 2003-01" in page.said
    assert "Length of series" in page.said


# ------------------------------------------------------------------------------------------------------ a trained model


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny forecasting run that has hardly learned anything."""
    folder = tmp_path_factory.mktemp("series")
    data = folder / "data.csv"
    lines = [f"{name},{step},{100 + step % 6 + ord(name)}" for name in "abcde" for step in range(60)]
    data.write_text("\n".join(["unique_id,ds,y", *lines]) + "\n", encoding="utf-8")
    recipe = recipe_from(
        {
            "task": {"name": "forecasting", "horizon": 4, "context_length": 50, "season": 6, "shortest_context": 8},
            "data": {"train": str(data), "validation": 4, "test": str(data)},
            "model": {"name": "lstm", "dim": 8, "attention": "dot", "head": "gaussian"},
            "training": {"max_steps": 1, "device": "cpu", "batching": {"target_tokens": 40}},
            "search": {"samples": 5},
            "evaluation": {"resamples": 5},
        }
    )
    run = antiphon.train(recipe, folder / "run")
    antiphon.evaluate(run)
    return run


def test_a_trained_run(trained: Path) -> None:
    markup = write_report(trained).read_text(encoding="utf-8")
    page = Page(markup)
    check_safe(page, markup)
    assert "5 series of 56 steps, 280 in all." in page.said, "without an audit, the stored series tell their number"
    assert "5 of 5 forecasts of the newest evaluation" in page.said
    assert "gaussian head" in page.said
    assert "Only the last 44 of 50 past steps are shown." in page.said
    weights = [title for title in page.titles if re.fullmatch(r"\+\d ← -?\d+: .*", title)]
    assert len(weights) == 3 * 4 * 44
    assert {"+1 ← 0", "+4 ← -43"} <= {title.split(":")[0] for title in weights}


def test_weights_are_those_of_the_forecast(trained: Path) -> None:
    """Attention of step 1 is what one step of the model gives, whose rows sum to 1."""
    from antiphon.report.lags import _weights

    predictor = antiphon.load(trained)
    rows = [{"unique_id": "a", "ds": step, "y": 100.0 + step % 6} for step in range(40)]
    (item,) = predictor.task.items(rows, scored=True)
    weights = _weights(item, predictor)
    assert weights.shape == (4, 36)
    assert weights.sum(axis=1) == pytest.approx([1.0] * 4, abs=1e-5)


def test_a_series_that_is_gone_is_said(trained: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("unique_id,ds,y\n" + "".join(f"z,{step},{step % 7}\n" for step in range(60)), encoding="utf-8")
    antiphon.evaluate(trained, other)
    other.unlink()
    assert "cannot be read again" in page_of(trained).said
