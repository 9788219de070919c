"""antiphon distill, from the command line."""

import shutil
from pathlib import Path

import pytest

from antiphon.distillation.teacher import Teacher
from tests.cli.conftest import Command


def test_distill(antiphon: Command, trained: Path, project: Path) -> None:
    done = antiphon("distill", trained, project, "--out", "student", "--set", "model.dim=8", "--set", "training.max_steps=4")
    assert done.status == 0, done.err
    assert "the teacher decodes 40 training records" in done.err
    assert "train: " in done.err
    assert "Next: antiphon evaluate student" in done.err
    assert antiphon("predict", "student", "--input", "test.tsv").status == 0
    again = antiphon("distill", trained, project, "--out", "student", "--set", "model.dim=8", "--set", "training.max_steps=6", "--resume")
    assert again.status == 0, again.err
    assert "the teacher decodes" not in again.err


def test_several_teachers_and_token_level(antiphon: Command, trained: Path, project: Path) -> None:
    steps = ("--set", "training.max_steps=2", "--set", "distillation.level=token")
    done = antiphon("distill", trained, trained, project, "--out", "student", *steps)
    assert done.status == 0, done.err


def test_a_stop_says_how_to_go_on(antiphon: Command, trained: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: Teacher, records: object) -> None:
        raise KeyboardInterrupt("SIGINT")

    monkeypatch.setattr(Teacher, "_decode", stop)
    stopped = antiphon("distill", trained, project, "--out", "student", "--set", "model.dim=8")
    assert stopped.status == 130
    assert f"continue with: antiphon distill {trained} {project} --out student --set model.dim=8 --resume" in stopped.err


def test_mistakes_are_one_sentence(antiphon: Command, trained: Path, project: Path) -> None:
    copy = shutil.copytree(trained, project.parent / "copy", symlinks=True)
    for arguments, sentence in (
        (("nowhere", project), "There is no run or checkpoint"),
        ((copy, project, "--out", copy), "The student's folder must be another than that of its teacher"),
        ((trained, project, "--set", "distillation.level=word"), "`distillation.level` must be 'sequence', 'token' or 'both'"),
        ((trained, project, "--set", "task.target=en"), "The teacher must turn `en` into `en`, as `task` says"),
        ((trained, project, "--set", "data.train=other.tsv"), "There is no file"),
    ):
        found = antiphon("distill", *arguments)
        assert found.status == 1, found.err
        assert sentence in found.err
        assert "Traceback" not in found.err
