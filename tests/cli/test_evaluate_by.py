"""`antiphon evaluate --by`: errors of forecasts by step and by series, as tables and as JSON."""

import json
from pathlib import Path

import pytest

import antiphon as package
from tests.cli.conftest import Command

RECIPE = """\
task: {name: forecasting, horizon: 3, context_length: 8, season: 4, baselines: [naive, seasonal_naive]}
data: {train: data.csv, validation: 3, test: data.csv}
model: {name: linear}
training: {max_steps: 2, device: cpu}
evaluation: {metrics: [mase, mae], resamples: 10}
"""


@pytest.fixture(scope="module")
def forecaster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run; `[odd] name` would be taken for a style by a careless table."""
    folder = tmp_path_factory.mktemp("forecaster")
    names = ("a", "b", "[odd] name")
    lines = [f"{name},{step},{1e6 * place + 1000 * (step % 4) + step}" for place, name in enumerate(names) for step in range(40)]
    (folder / "data.csv").write_text("\n".join(["unique_id,ds,y", *lines]) + "\n", encoding="utf-8")
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return Path(package.train(folder / "recipe.yaml", folder / "run"))


def test_by_step(antiphon: Command, forecaster: Path) -> None:
    result = antiphon("evaluate", forecaster, "--by", "step")
    assert result.status == 0, result.err
    assert "mase by step of the horizon" in result.out
    assert "mae by step of the horizon" in result.out
    assert "outputs ended by" not in result.out, "a forecast has the length that was asked for"
    plain = json.loads(antiphon("evaluate", forecaster, "--by", "step", "--json").out)
    assert list(plain["details"]) == ["steps"]
    errors = plain["details"]["steps"]["errors"]["mae"]
    assert set(errors) == {"model", "naive", "seasonal_naive"}
    assert errors["seasonal_naive"] == [4.0, 4.0, 4.0], "the series grow by 4 in a season of 4"
    whole = {score["name"]: score["value"] for score in plain["scores"]}
    assert sum(errors["model"]) / 3 == pytest.approx(whole["mae"])
    for value in errors["naive"]:
        assert f"{value:,.4g}" in result.out, "as the table has it"


def test_by_series(antiphon: Command, forecaster: Path) -> None:
    result = antiphon("evaluate", forecaster, "--by", "series")
    plain = json.loads(antiphon("evaluate", forecaster, "--by", "series", "--json").out)
    listed = plain["details"]["series"]["worst"]
    places = [result.out.index(f"│ {row['unique_id']} ") for row in listed]
    assert len(listed) == 3
    assert places == sorted(places), "the hardest first"
    assert "Better than seasonal_naive by mase in" in result.out


def test_no_number_is_cut_on_a_narrow_terminal(antiphon: Command, forecaster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = antiphon("evaluate", forecaster).out
    monkeypatch.setenv("COLUMNS", "40")
    narrow = antiphon("evaluate", forecaster).out
    assert cells(narrow) == cells(wide)
    assert len(cells(wide)) == 3, "mase, mae, loss"


def cells(out: str) -> list[list[str]]:
    """What stands in the rows of a table."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]


def test_other_tasks_have_no_steps(antiphon: Command, trained: Path) -> None:
    result = antiphon("evaluate", trained, "--by", "step")
    assert result.status == 1
    assert "`--by step` needs a run that forecasts series" in result.err
