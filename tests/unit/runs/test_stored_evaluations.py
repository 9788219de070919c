"""Every evaluation is kept under a name of its own, whole at every moment, in JSON that any program reads."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from antiphon.contracts.files import FileConfig
from antiphon.errors import CheckpointError
from antiphon.runs.stored_evaluations import store


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make(tmp_path / "run")


def make(run: Path) -> Path:
    """A run with two checkpoints, the second of which is the best."""
    for step in (10, 20):
        (run / "checkpoints" / f"step-{step}").mkdir(parents=True)
        (run / "checkpoints" / f"step-{step}" / "checkpoint.json").write_text("{}")
    (run / "best").symlink_to("checkpoints/step-20")
    (run / "recipe.yaml").write_text("task: translation\n")
    return run


def evaluation(data: object, score: float = 1.0, source: str = "a") -> dict[str, Any]:
    return {"data": str(data), "scores": [{"name": "chrf", "value": score}], "items": [{"source": source, "references": ["b"]}]}


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "evaluations").iterdir())


def test_two_files_of_one_name_are_kept_apart(run: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one" / "test.tsv", tmp_path / "two" / "test.tsv"
    first, second = store(evaluation(one, 1.0), [run], one), store(evaluation(two, 2.0), [run], two)
    assert first is not None
    assert second is not None
    assert first.name == "test.tsv.json"
    assert second.name.startswith("test.tsv-")
    assert store(evaluation(one, 3.0), [run], str(one)) == first, "the newest of a data set replaces the one before"
    assert store(evaluation(two, 4.0), [run], (FileConfig(path=str(two)),)) == second, "however it is named"
    assert [json.loads(path.read_text())["scores"][0]["value"] for path in (first, second)] == [3.0, 4.0]
    assert len(names(run)) == 2


def test_what_an_older_version_kept_is_replaced_by_its_own_data(run: Path, tmp_path: Path) -> None:
    (run / "evaluations").mkdir()
    old = run / "evaluations" / "test.tsv.json"
    old.write_text(json.dumps(evaluation("data/test.tsv")))
    assert store(evaluation("data/test.tsv", 2.0), [run], "data/test.tsv") == old
    old.write_text(json.dumps(evaluation("data/test.tsv")))
    assert store(evaluation("other/test.tsv", 2.0), [run], "other/test.tsv") != old


def test_records_are_told_apart_by_what_they_say(run: Path) -> None:
    first = store(evaluation("records", source="a"), [run], [{"source": "a"}])
    second = store(evaluation("records", source="c"), [run], [{"source": "c"}])
    assert first != second
    assert store(evaluation("records", source="a"), [run], [{"source": "a"}]) == first


def test_a_checkpoint_and_an_ensemble_leave_the_evaluation_of_the_run(run: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other")
    store(evaluation("test.tsv"), [run], "test.tsv")
    store(evaluation("test.tsv"), [run / "checkpoints" / "step-10"], "test.tsv")
    store(evaluation("test.tsv"), [run / "best"], "test.tsv")
    store(evaluation("test.tsv"), [run, other], "test.tsv")
    store(evaluation("test.tsv"), [run, other / "checkpoints" / "step-10"], "test.tsv")
    found = names(run)
    assert len(found) == 4
    assert {"test.tsv.json", "test.tsv@step-10.json"} < set(found)
    assert sum("@ensemble-" in name for name in found) == 2
    of = {name: json.loads((run / "evaluations" / name).read_text())["of"] for name in found}
    assert of["test.tsv.json"] is None
    assert of["test.tsv@step-10.json"] == "checkpoint step-10"
    assert f"ensemble of {run} + {other}" in of.values()
    assert not (other / "evaluations").exists()


def test_other_settings_of_the_task_leave_the_evaluation_of_the_run(run: Path) -> None:
    first = store(evaluation("test.csv"), [run], "test.csv")
    other = store(evaluation("test.csv", 9.0), [run], "test.csv", ["task.backtest.windows=12"])
    assert first is not None
    assert other is not None
    assert first != other
    assert json.loads(first.read_text())["scores"][0]["value"] == 1.0
    assert json.loads(other.read_text())["of"] == "task.backtest.windows=12"
    assert store(evaluation("test.csv", 8.0), [run], "test.csv", ["task.backtest.windows=12"]) == other


def test_a_checkpoint_alone_has_no_place_for_it(tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "checkpoint.json").write_text("{}")
    assert store(evaluation("test.tsv"), [tmp_path / "alone"], "test.tsv") is None


def test_it_is_whole_or_as_before(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(evaluation("test.tsv", 1.0), [run], "test.tsv")

    def refused(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(CheckpointError, match="cannot be written: No space left"):
        store(evaluation("test.tsv", 2.0), [run], "test.tsv")
    (kept,) = (run / "evaluations").iterdir()
    assert json.loads(kept.read_text())["scores"][0]["value"] == 1.0


def test_json_has_no_nan(run: Path) -> None:
    path = store(evaluation("test.tsv", math.nan), [run], "test.tsv")
    assert path is not None
    assert "NaN" not in path.read_text()
