"""A record that says nothing on one side: inspect, train, validation, evaluate and tune do the same with it, and name its file and line."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command, write_project

EMPTY = {"train": "abc\t", "validation": "\t1cba", "test": "bca\t"}


@pytest.fixture
def holed(tmp_path: Path) -> Path:
    """A project with an empty side in each of its files, in the second line, and one with an empty source at the end of the test data."""
    recipe = write_project(tmp_path)
    for name, row in EMPTY.items():
        path = tmp_path / f"{name}.tsv"
        head, *rows = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join([head, row, *rows, *([" \t1cba"] if name == "test" else [])]) + "\n", encoding="utf-8")
    return recipe


def test_empty_sides_are_left_out_counted_and_named(antiphon: Command, holed: Path) -> None:
    found = antiphon("inspect", holed).out.replace(f"{holed.parent}/", "")
    assert "  1 dropped: empty target (train.tsv:2)" in found
    assert "  1 dropped: empty source (validation.tsv:2)" in found
    learned = antiphon("train", holed, "--out", "run")
    assert learned.status == 0, learned.err
    assert "train: 40 of 41 records" in learned.err
    assert "  1 dropped: empty target (train.tsv:2)" in learned.err.replace(f"{holed.parent}/", "")
    assert "  1 dropped: empty source (validation.tsv:2)" in learned.err.replace(f"{holed.parent}/", "")
    scored = antiphon("evaluate", "run", "--data", "test.tsv", "--json")
    assert scored.status == 0, scored.err
    whole = json.loads(scored.out)
    sentence = "2 of 12 records were left out for an empty side, as `data.limits.empty` says: test.tsv:2 (target), test.tsv:13 (source)."
    assert (whole["records"], whole["remarks"][0]) == (10, sentence)
    write_project(holed.parent)
    assert json.loads(antiphon("evaluate", "run", "--data", "test.tsv", "--json").out)["scores"] == whole["scores"]


def test_tune_leaves_the_same_out(antiphon: Command, holed: Path, trained: Path) -> None:
    tuned = antiphon("tune", trained, "--data", "test.tsv", "--grid", "beam_size=1", "--dry-run")
    assert tuned.status == 0, tuned.err
    assert "test.tsv: 10 records" in tuned.out
    assert "2 of 12 records were left out for an empty side" in tuned.out


@pytest.mark.parametrize("part", EMPTY)
def test_empty_sides_may_be_an_error_everywhere(antiphon: Command, holed: Path, trained: Path, part: str) -> None:
    for other in EMPTY:
        if other != part:
            path = holed.parent / f"{other}.tsv"
            rows = [row.split("\t") for row in path.read_text(encoding="utf-8").splitlines()]
            path.write_text("".join("\t".join(row) + "\n" for row in rows if row[0].strip() and row[1]), encoding="utf-8")
    commands = [("inspect", holed), ("train", holed, "--out", "run")]
    if part == "test":
        commands = [("evaluate", trained, "--data", "test.tsv")]
    for command in commands:
        result = antiphon(*command, "--set", "data.limits.empty=error")
        assert result.status == 1, command
        side = EMPTY[part].split("\t").index("")
        assert f"{part}.tsv:2 must have a source and a target, but its {('source', 'target')[side]} is empty." in result.err


def test_nothing_left_is_said(antiphon: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "test.tsv").write_text("en\tno\nabc\t\n", encoding="utf-8")
    result = antiphon("evaluate", trained, "--data", "test.tsv")
    assert result.status == 1
    assert "antiphon: There is nothing to score: 1 of 1 records was left out for an empty side" in result.err
