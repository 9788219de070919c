"""A run that the user trains with plug-ins of their own finishes, calibrates its intervals, is resumed, and predicts."""

import math
import sys
from pathlib import Path

import pytest

import antiphon
from antiphon.errors import ConfigError
from antiphon.recipe.recipe import read_recipe, recipe_from

CODE = '''
"""The linear model under another name, as a user may have one."""
from dataclasses import replace
from typing import Literal

from antiphon.contracts.configuration import config
from antiphon.models import linear


@config
class MineConfig(linear.LinearConfig):
    """Settings."""

    name: Literal["of_the_user.model"] = "of_the_user.model"
    """The name."""


plugin = replace(linear.plugin, name="of_the_user.model", Config=MineConfig)
'''


def test_it_calibrates_is_resumed_and_predicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "of_the_user").mkdir()
    (tmp_path / "of_the_user" / "model.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("ANTIPHON_TRUST_CODE", raising=False)
    rows = [{"unique_id": name, "ds": step, "y": math.sin(step + len(name))} for name in ("a", "bb") for step in range(60)]
    values = {
        "task": {"name": "forecasting", "horizon": 3, "context_length": 6, "season": 1, "intervals": [50], "decoding": "direct"},
        "model": {"name": "of_the_user.model"},
        "training": {"max_steps": 2, "device": "cpu"},
        "evaluation": {"resamples": 0},
    }
    values["task"]["backtest"] = {"windows": 6}
    data = {"train": rows, "validation": 18}
    run = antiphon.train(recipe_from(values), tmp_path / "run", data=data)
    assert "Intervals of 50 % are calibrated" in capsys.readouterr().err
    longer = recipe_from({**values, "training": {"max_steps": 3, "device": "cpu"}})
    assert antiphon.train(longer, run, resume=True, data=data) == run
    with pytest.raises(ConfigError, match=r"of_the_user\.model.*--trust-code"):
        antiphon.load(run)
    with pytest.raises(ConfigError, match=r"of_the_user\.model.*--trust-code"):
        read_recipe(run / "recipe.yaml")
    prediction, _ = antiphon.load(run, trust_code=True).predict(rows)
    assert prediction.value.quantiles is not None
    sys.modules.pop("of_the_user.model")
