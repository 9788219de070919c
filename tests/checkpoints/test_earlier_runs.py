"""Runs that earlier versions wrote still say what they said, and can be trained further.

`translation` and `forecasting` were written by 0.1.0, before its modules were put into rooms, and `counts` before counts were divided by
the sizes of their series; `said.json` is what they predicted then.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import antiphon
from antiphon.errors import ConfigError
from antiphon.recipe.recipe import read_recipe

HERE = Path(__file__).parent
SAID = json.loads((HERE / "said.json").read_text())


def test_a_translation_run_says_what_it_said() -> None:
    said = SAID["translation"]
    predictions = antiphon.load(HERE / "translation").predict(said["inputs"])
    assert [prediction.text for prediction in predictions] == [text for text, _ in said["outputs"]]
    found = [prediction.hypothesis.log_prob for prediction in predictions]
    np.testing.assert_allclose(found, [log_prob for _, log_prob in said["outputs"]], rtol=1e-4)


def rows(name: str = "forecasting") -> list[dict[str, object]]:
    """The series that the run learned from."""
    return [dict(zip(("unique_id", "ds", "y"), row, strict=True)) for row in SAID[name]["rows"]]


def test_a_forecasting_run_says_what_it_said() -> None:
    predictions = antiphon.load(HERE / "forecasting").predict(rows())
    for prediction, said in zip(predictions, SAID["forecasting"]["outputs"], strict=True):
        assert str(prediction.value.unique_id) == said["unique_id"]
        np.testing.assert_allclose(prediction.value.point, said["point"], rtol=1e-4)


def test_a_run_of_counts_says_what_it_said() -> None:
    model = antiphon.load(HERE / "counts")
    assert model.task.target_spec.width == 1, "nothing tells the decoder of sizes"
    for prediction, said in zip(model.predict(rows("counts")), SAID["counts"]["outputs"], strict=True):
        assert str(prediction.value.unique_id) == said["unique_id"]
        np.testing.assert_allclose(prediction.value.point, said["point"], rtol=1e-4)
        np.testing.assert_allclose(prediction.value.quantiles, said["quantiles"], rtol=1e-4)
    assert len(antiphon.load(HERE / "counts", overrides=["task.horizon=2"]).predict(rows("counts"))[0].value.times) == 2
    with pytest.raises(ConfigError, match="does not fit the changed `task`"):
        antiphon.load(HERE / "counts", overrides=["task.scaling=size"])


@pytest.mark.parametrize("name", ["translation", "forecasting", "counts"])
def test_its_recipe_is_still_read(name: str) -> None:
    assert read_recipe(HERE / name / "recipe.yaml").task.name in ("translation", "forecasting")


@pytest.mark.parametrize(("name", "validation"), [("forecasting", 12), ("counts", 3)])
def test_it_is_resumed(tmp_path: Path, name: str, validation: int) -> None:
    run = shutil.copytree(HERE / name, tmp_path / "run", symlinks=True)
    recipe = read_recipe(run / "recipe.yaml", ["training.max_steps=42"])
    assert antiphon.train(recipe, run, resume=True, data={"train": rows(name), "validation": validation}) == run
    assert json.loads((run / "last" / "checkpoint.json").read_text())["step"] == 42
