"""What runs are scored on and compared with, from the command line."""

import json
import shutil
from pathlib import Path

import pytest

from antiphon.cli.comparing import repeated
from tests.cli.conftest import Command


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("A --compare B", "A --compare B"),
        ("A --compare B C D --json", "A --compare B --compare C --compare D --json"),
        ("A --compare B --compare C --data x", "A --compare B --compare C --data x"),
        ("A --compare B --data x C", "A --compare B --data x C"),
    ],
)
def test_every_word_behind_compare_is_compared_with(given: str, taken: str) -> None:
    assert repeated(given.split()) == taken.split()


def test_several_runs_are_compared_with_one_and_never_join_it(antiphon: Command, trained: Path) -> None:
    last = trained / "last"
    plain = json.loads(antiphon("evaluate", trained, "--compare", last, trained, "--json").out)
    assert [one["run"] for one in plain["runs"]] == [str(trained), str(last), str(trained)]
    assert [one["with"] for one in plain["comparisons"]] == [str(last)] * 2 + [str(trained)] * 2
    ensemble = json.loads(antiphon("evaluate", trained, last, "--compare", trained, "--json").out)
    assert [one["run"] for one in ensemble["runs"]] == [f"{trained} + {last}", str(trained)], "runs in front of it are still an ensemble"
    before = json.loads(antiphon("evaluate", "--compare", last, trained, "--json").out)
    assert [one["run"] for one in before["runs"]] == [str(trained), str(last)]


def test_without_test_data_a_run_is_scored_on_what_it_was_validated_on(antiphon: Command, project: Path, tmp_path: Path) -> None:
    few = ("--set", "data.test=null", "--set", "data.validation=8", "--set", "training.max_steps=2")
    done = antiphon("train", project, "--out", "run", *few)
    assert done.err.splitlines()[-1] == "Wrote run. Next: antiphon evaluate run --data validation (the recipe names no `data.test`)"
    plain = json.loads(antiphon("evaluate", "run", "--data", "validation", "--json").out)
    assert (plain["data"], plain["records"]) == ("validation", 8)
    assert (tmp_path / "run" / "evaluations" / "validation.json").exists()
    assert "`--data validation` scores on the validation data" in antiphon("evaluate", "run").err
    shutil.copy(tmp_path / "test.tsv", tmp_path / "validation")
    assert "The suffix of `validation` must be" in antiphon("evaluate", "run", "--data", "validation").err, "a file of the name is meant"
