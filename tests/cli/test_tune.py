"""antiphon tune: a table for people, JSON for programs, and sentences for mistakes."""

import json
import shutil
from pathlib import Path

import pytest

from antiphon.store.checkpoint import read
from tests.cli.conftest import Command


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "copy", symlinks=True)


def test_tune_prints_scores_speed_and_the_best(antiphon: Command, run: Path) -> None:
    result = antiphon("tune", run, "--grid", "limits.max_ratio=0.5,2", "--grid", "beam_size=1,2", "--metric", "chrf")
    assert result.status == 0, result.err
    head, *rows = [line.split() for line in result.out.splitlines()[1:6]]
    assert head == ["search", "chrf", "95", "%", "interval", "records/s"]
    assert sum("best" in row[-1] or "best," in row for row in rows) == 1
    assert "best" in result.out.splitlines()[2], "the best comes first"
    assert "10 records" in result.out
    assert "\x1b" not in result.out, "plain where there is no terminal"


def test_the_best_is_what_predict_does_then(antiphon: Command, run: Path) -> None:
    plain = json.loads(antiphon("tune", run, "--grid", "limits.min_length=0,6", "--metric", "chrf", "--json").out)
    assert set(plain) == {"run", "data", "records", "metric", "trials", "best", "comparison", "stored", "remarks"}
    assert read((run / "best").resolve()).header["recipe"]["search"] == plain["best"]["search"]
    assert (len(plain["stored"]) > 0) == (plain["comparison"] is not None)
    (run.parent / "in.txt").write_text("abc1\n")
    said = [
        antiphon("predict", run, "--input", run.parent / "in.txt", *changes).out
        for changes in ((), ("--set", f"search={json.dumps(plain['best']['search'])}"))
    ]
    assert said[0] == said[1]


def test_dry_run_changes_nothing(antiphon: Command, run: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    result = antiphon("tune", run, "--grid", "limits.min_length=0,6", "--metric", "chrf", "--dry-run")
    assert result.status == 0, result.err
    assert "Nothing" in result.out
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_other_records(antiphon: Command, run: Path) -> None:
    data = run.parent / "data.tsv"
    data.write_text("en\tno\nabc\tcba\nbca\tacb\n")
    result = antiphon("tune", run, "--data", data, "--grid", "beam_size=1", "--dry-run")
    assert f"on {data}: 2 records" in result.out


@pytest.mark.parametrize(
    ("grid", "parts"),
    [
        ("beam_size", ["`--grid` must be of the form key=value,value"]),
        ("beam_size=", ["`--grid` must be of the form"]),
        ("beam_size=[1", ["`--grid beam_size`", "'[1'"]),
        ("beem_size=1", ["`search.beem_size` is not a setting. Did you mean `beam_size`?"]),
        ("model.dim=8", ["`model.dim` is decided before training"]),
    ],
)
def test_mistakes(antiphon: Command, trained: Path, grid: str, parts: list[str]) -> None:
    result = antiphon("tune", trained, "--grid", grid)
    assert result.status == 1
    assert "Traceback" not in result.err
    for part in parts:
        assert part in result.err


def test_a_setting_twice_is_refused(antiphon: Command, trained: Path) -> None:
    result = antiphon("tune", trained, "--grid", "beam_size=1", "--grid", "beam_size=2")
    assert "names `beam_size` twice" in result.err


def test_no_run(antiphon: Command, tmp_path: Path) -> None:
    assert "There is no run or checkpoint" in antiphon("tune", tmp_path / "nothing").err
