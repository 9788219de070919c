"""What is measured when a model is exported for an engine, and when the export is refused."""

import json
import math
import shutil
from importlib import import_module
from pathlib import Path

import polars
import pytest

import antiphon
from antiphon.errors import ConfigError, ExportError
from antiphon.recipe.recipe import recipe_from
from antiphon.runs.export import export
from tests.cli.conftest import write_project
from tests.toy_engine import with_toy_engine

SHORT = ["search.limits.max_length=4"]  # an untrained model goes on to the limit


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    with_toy_engine(monkeypatch)


def parts(name: str):
    return import_module(f"antiphon.{name}.toy")


def test_an_export_ends_with_a_comparison(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = export(trained, format="toy", out=tmp_path / "out", check=7, overrides=SHORT)
    found, said = json.loads((folder / "parity.json").read_text()), capsys.readouterr().err
    assert found["records"] == 7
    assert parts("exporters").SAMPLED[-1] == 7
    assert 0 <= found["log_probability"] < 1e-4
    assert [(one["search"], one["equal"] + one["tied"], one["of"]) for one in found["outputs"]] == [("greedy", 7, 7), ("beam 2", 7, 7)]
    assert [one["name"] for one in found["scores"]] == ["chrf", "exact_match"]
    assert found["size"][1] == sum(path.stat().st_size for path in (folder / "engine").iterdir())
    assert all(speed > 0 for speed in found["speed"])
    assert "Compared with the run on 7 records of the validation data:" in said
    assert "records a second" in said
    card = (folder / "README.md").read_text()
    assert "in fp32 for the engine `toy`" in card
    assert "| outputs, greedy |  |  | 100.0% equal |" in card
    assert "* It is a toy." in card
    assert str(trained.parent) not in card
    inputs = ["abc7", "bcd"]
    assert [one.text for one in antiphon.load(folder).predict(inputs)] == [
        one.text for one in antiphon.load(trained, overrides=SHORT).predict(inputs)
    ]


def test_an_engine_that_says_something_else_is_refused(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts("engines"), "FAULT", 0.01)
    with pytest.raises(ExportError, match=r"refused: on 2 records .* differs by 0\.0\d+ in log-probability"):
        export(trained, format="toy", out=tmp_path / "out", check=2, allow_loss=True, overrides=SHORT)
    assert not (tmp_path / "out").exists()


def test_a_precision_may_lose_so_much_and_no_more(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts("exporters"), "LEVELS", 1000)
    fine = export(trained, format="toy", precision="int8", out=tmp_path / "fine", check=2, overrides=SHORT)
    apart = json.loads((fine / "parity.json").read_text())["log_probability"]
    assert apart > 1e-4  # more than fp32 may
    monkeypatch.setattr(parts("exporters"), "LEVELS", 1)
    greedy = ["search.name=greedy", "search.limits.max_length=8"]
    with pytest.raises(
        ExportError, match=r"`chrf` goes from .* to .* \(95 % interval .*\) in int8, which loses more than 0\.5\..*--allow-loss"
    ):
        export(trained, format="toy", precision="int8", out=tmp_path / "coarse", check=10, overrides=greedy)
    coarse = export(trained, format="toy", precision="int8", out=tmp_path / "coarse", check=10, allow_loss=True, overrides=greedy)
    chrf = next(one for one in json.loads((coarse / "parity.json").read_text())["scores"] if one["name"] == "chrf")
    assert chrf["lost"] == pytest.approx(chrf["before"] - chrf["after"])
    assert chrf["lost"] > chrf["allowed"] == 0.5
    assert "fp32, int8, but `--precision` is bf16" in refusal(trained, tmp_path / "out", precision="bf16")


def test_without_validation_data_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write_project(tmp_path)
    run = Path(antiphon.train(recipe, tmp_path / "run"))
    assert export(run, format="toy", out=tmp_path / "zero", check=0)
    assert "Nothing was compared: no record was asked for." in capsys.readouterr().err
    shutil.rmtree(run / "corpus")  # the recipe's files are read then
    export(run, format="toy", out=tmp_path / "one", check=3, overrides=SHORT)
    assert "on 3 records" in capsys.readouterr().err
    (tmp_path / "validation.tsv").unlink()
    folder = export(run, format="toy", out=tmp_path / "two", check=3, overrides=SHORT)
    assert "Nothing was compared: " in capsys.readouterr().err
    assert "Nothing was measured." in (folder / "README.md").read_text()
    assert not (folder / "parity.json").exists()


def test_forecasts_are_compared_as_values(tmp_path: Path) -> None:
    rows = [{"unique_id": name, "ds": step, "y": math.sin(step + len(name))} for name in ("a", "bb") for step in range(40)]
    values = {
        "task": {"name": "forecasting", "horizon": 3, "context_length": 6, "season": 1, "decoding": "direct"},
        "model": {"name": "linear", "head": {"name": "student_t"}},
        "training": {"max_steps": 2, "device": "cpu"},
        "evaluation": {"resamples": 20},
    }
    polars.DataFrame(rows).write_csv(tmp_path / "series.csv")
    values["data"] = {"train": str(tmp_path / "series.csv"), "validation": 6}
    run = antiphon.train(recipe_from(values), tmp_path / "run")
    folder = export(run, format="toy", out=tmp_path / "out", check=5)
    found = json.loads((folder / "parity.json").read_text())
    assert found["log_probability"] < 1e-4
    assert found["outputs"] == [{"search": "direct", "equal": found["records"], "tied": 0, "of": found["records"]}]
    assert "mase" in [one["name"] for one in found["scores"]]
    with pytest.raises(ConfigError, match="GraphModel cannot decode step by step, which `rollout` needs"):
        antiphon.load(folder, overrides=["search.name=rollout"])


def refusal(run: Path, out: Path, **options) -> str:
    with pytest.raises(ExportError) as raised:
        export(run, format="toy", out=out, **options)
    assert not out.exists()
    return str(raised.value)
