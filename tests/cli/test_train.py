"""antiphon train, from the command line: what it prints where, and how it ends."""

import json
import os
import signal
from pathlib import Path

import pytest

from antiphon.prediction.validation import Validation
from antiphon.training.step import Update
from tests.cli.conftest import Command


def test_json_is_one_document_on_standard_output(antiphon: Command, project: Path) -> None:
    done = antiphon("train", project, "--out", "run", "--json")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert (found["run"], found["steps"], found["reason"]) == ("run", 12, "12 steps done")
    assert found["best"]["score"] == found["scores"]["loss"]
    assert "validation: loss" in done.err
    again = antiphon("train", project, "--out", "run", "--json", "--resume")
    assert json.loads(again.out) == found, "one command serves a job that is started again, however often"
    assert "The run in run is complete: 12 steps done." in again.err


def test_quiet(antiphon: Command, project: Path) -> None:
    done = antiphon("train", project, "--out", "run", "--quiet")
    assert (done.status, done.out, done.err) == (0, "", "")
    wrong = antiphon("train", project, "--out", "run", "--quiet")
    assert wrong.status == 1
    assert wrong.err.count("\n") == 1
    assert "already holds a run" in wrong.err


@pytest.mark.parametrize(("number", "status", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")])
def test_a_stop_says_what_happens_and_how_to_go_on(
    antiphon: Command, project: Path, monkeypatch: pytest.MonkeyPatch, number: int, status: int, name: str
) -> None:
    call = Update.begin

    def stopping(self: Update, batches: object, step: int, factor: float, scale: object) -> object:
        if step == 3:
            os.kill(os.getpid(), number)
        return call(self, batches, step, factor, scale)  # type: ignore[arg-type]

    monkeypatch.setattr(Update, "begin", stopping)
    stopped = antiphon("train", project, "--out", "run", "--json")
    assert stopped.status == status
    assert stopped.out == ""
    assert "stopping after this update; a checkpoint is written; press Ctrl-C again to stop now" in stopped.err
    assert f"antiphon: stopped by {name}; continue with: antiphon train {project} --out run --resume\n" in stopped.err
    monkeypatch.undo()


def test_a_stop_of_a_quiet_run_still_says_how_to_go_on(antiphon: Command, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):
            pass

    monkeypatch.setattr(Validation, "__call__", stop)
    stopped = antiphon("train", project, "--out", "run", "--quiet")
    assert stopped.status == 143
    assert stopped.err == f"antiphon: stopped by SIGTERM; continue with: antiphon train {project} --out run --resume\n"


def test_a_stop_before_there_is_a_run(antiphon: Command, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.runs.train.resolved", lambda recipe, _: signal.raise_signal(signal.SIGINT) or recipe)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let programs in the background ignore it
    stopped = antiphon("train", project, "--out", "run")
    signal.signal(signal.SIGINT, before)
    assert (stopped.status, stopped.err) == (130, "antiphon: stopped by Ctrl-C before anything was done.\n")


def test_the_command_of_a_requeued_job(antiphon: Command, project: Path) -> None:
    done = antiphon("train", project, "--out", "run", "--resume")
    assert done.status == 0, done.err
    assert "There is no checkpoint in run to resume from: the run begins." in done.err


def test_trackers_are_listed(antiphon: Command) -> None:
    listed = antiphon("list", "trackers")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["mlflow", "tensorboard", "wandb"]


def test_a_run_is_resumed_with_the_recipe_that_it_has(antiphon: Command, project: Path) -> None:
    small = ("--set", "model.dim=8")
    assert antiphon("train", project, "--out", "run", *small).status == 0
    changed = antiphon("train", project, "--out", "run", "--resume", "--set", "training.max_steps=13")
    assert (
        "differs from that of the run in run: `model.dim` (8 there, 16 now). To go on as it began: antiphon train run --resume."
        in changed.err
    )
    resumed = antiphon("train", "run", "--resume", "--set", "training.max_steps=13", "--json")
    assert json.loads(resumed.out)["steps"] == 13
