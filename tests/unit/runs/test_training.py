"""Training from Python: callbacks, trackers, and what a resumed run takes for the same data."""

import io
import json
import sys
from types import ModuleType

import pytest
from rich.console import Console

import antiphon
from antiphon.contracts.tracker import TrackerPlugin
from antiphon.errors import CheckpointError
from antiphon.recipe.recipe import recipe_from
from antiphon.runs.summary import summary_of
from antiphon.store import checkpoint

ROWS = [{"source": f"{word} {other}", "target": f"{other} {word}"} for word in ("ara", "beko", "cita") for other in ("dola", "efu", "gami")]
DATA = {"train": ROWS, "validation": ROWS[:4]}


def recipe(**training):
    """Four tiny updates."""
    return recipe_from(
        {
            "task": {"name": "translation", "vocabulary": {"kind": "word"}},
            "data": {"train": "unused.tsv", "validation": "unused.tsv"},
            "model": {"name": "lstm", "dim": 8},
            "training": {
                "max_steps": 4,
                "validate_every": 2,
                "batching": {"target_tokens": 20},
                "device": "cpu",
                "log_every": 1,
                **training,
            },
        }
    )


def go(out, *, data=DATA, resume=False, callbacks=(), **training):
    """Train; returns what was said."""
    said = io.StringIO()
    console = Console(file=said, width=200)
    antiphon.train(recipe(**training), out, data=data, resume=resume, console=console, callbacks=callbacks)
    return said.getvalue()


def kinds(out):
    return [json.loads(line)["kind"] for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_callbacks_hear_every_event_and_may_end_training(tmp_path):
    heard, other = [], []
    go(tmp_path / "run", callbacks=[heard.append, lambda event: other.append(event["kind"])])
    assert [event["kind"] for event in heard] == other == kinds(tmp_path / "run")
    assert heard[-1]["kind"] == "end"

    def enough(event):
        if event["kind"] == "train" and event["step"] == 3:
            raise LookupError("that is enough")

    with pytest.raises(LookupError, match="that is enough"):
        go(tmp_path / "ended", callbacks=[enough])
    assert checkpoint.read((tmp_path / "ended" / "last").resolve()).header["step"] == 2, "the last checkpoint is what resuming starts from"
    go(tmp_path / "ended", resume=True)
    assert kinds(tmp_path / "ended") == kinds(tmp_path / "run")
    weights = [checkpoint.digest(tmp_path / name / "last" / checkpoint.WEIGHTS) for name in ("run", "ended")]
    assert weights[0] == weights[1]


def changed(rows, number, **columns):
    return [{**row, **columns} if index == number else row for index, row in enumerate(rows)]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_resuming_notices_other_contents_of_the_same_lengths(tmp_path, split):
    go(tmp_path / "run")
    other = {**DATA, split: changed(DATA[split], 2, target="cita beko")}
    name = {"train": "training", "validation": "validation"}[split]
    with pytest.raises(CheckpointError, match=rf"The {name} data is not what the run in .* began with: \d examples then, \d now, but not"):
        go(tmp_path / "run", data=other, resume=True, max_steps=6)
    go(tmp_path / "run", resume=True, max_steps=6)


def test_a_checkpoint_of_an_older_version_resumes_by_the_older_rule(tmp_path):
    go(tmp_path / "run")
    last = (tmp_path / "run" / "last").resolve()
    header = checkpoint.read(last).header
    data = {key: header["data"][key] for key in ("examples", "lengths")}
    checkpoint.amend(last, {**header, "data": data})
    other = {**DATA, "train": changed(ROWS, 2, target="cita beko"), "validation": ROWS[:3]}
    go(tmp_path / "run", data=other, resume=True, max_steps=6)


def test_resuming_nothing_begins_and_resuming_what_is_complete_says_so(tmp_path):
    said = go(tmp_path / "run", resume=True)
    assert f"There is no checkpoint in {tmp_path / 'run'} to resume from: the run begins." in said
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    said = go(tmp_path / "run", resume=True)
    assert said == f"The run in {tmp_path / 'run'} is complete: 4 steps done. Raise the budget to train on.\n"
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before
    go(tmp_path / "run", resume=True, max_steps=6)
    assert summary_of(tmp_path / "run")["steps"] == 6


def test_a_run_that_was_stopped_before_its_end_was_logged_is_not_complete(tmp_path):
    go(tmp_path / "run")
    log = tmp_path / "run" / "metrics.jsonl"
    whole = kinds(tmp_path / "run")
    log.write_text("".join(line + "\n" for line in log.read_text().splitlines()[:-1]))
    assert "is complete" not in go(tmp_path / "run", resume=True)
    assert kinds(tmp_path / "run") == whole


def test_a_summary(tmp_path):
    with pytest.raises(CheckpointError, match="has not come to its end"):
        summary_of(tmp_path)
    go(tmp_path / "run")
    found = summary_of(tmp_path / "run")
    best = checkpoint.read((tmp_path / "run" / "best").resolve()).header
    assert found.pop("seconds") > 0
    assert found == {
        "run": str(tmp_path / "run"),
        "steps": 4,
        "reason": "4 steps done",
        "best": {"metric": "loss", "score": best["scores"]["loss"], "step": best["step"]},
        "scores": best["scores"],
    }


class Tracker:
    """Keeps what it is told."""

    told: list["Tracker"] = []

    def __init__(self, settings, run):
        self.run, self.id, self.kinds = run, run.id or "7", []
        Tracker.told.append(self)

    def log(self, event):
        self.kinds.append(event["kind"])

    def close(self):
        self.kinds.append("closed")


def test_trackers_hear_every_event_of_the_same_run(tmp_path, monkeypatch):
    from antiphon.contracts.configuration import config

    @config
    class Settings:
        """Settings of a tracker from elsewhere."""

        name: str = "tracker_elsewhere.one"
        """The name of this tracker."""
        colour: str = "red"
        """A setting."""

    module = ModuleType("tracker_elsewhere.one")
    module.plugin = TrackerPlugin(name="tracker_elsewhere.one", summary="", Config=Settings, open=Tracker)
    monkeypatch.setitem(sys.modules, "tracker_elsewhere", ModuleType("tracker_elsewhere"))
    monkeypatch.setitem(sys.modules, "tracker_elsewhere.one", module)
    monkeypatch.setattr(Tracker, "told", [])
    go(tmp_path / "german", trackers=["tracker_elsewhere.one"])
    go(tmp_path / "german", trackers=[{"name": "tracker_elsewhere.one", "colour": "blue"}], resume=True, max_steps=6)
    first, second = Tracker.told
    assert first.kinds[-2:] == ["end", "closed"]
    before = [kind for kind in first.kinds[:-1] if kind not in ("final", "end")]
    assert [*before, *second.kinds[:-1]] == kinds(tmp_path / "german"), "those of the log, where a resumed run has one end"
    assert (first.run.name, first.run.step, first.run.id) == ("german", 0, None)
    assert first.run.recipe["training"]["trackers"] == [{"name": "tracker_elsewhere.one", "colour": "red"}]
    assert (second.run.step, second.run.id) == (4, "7")


def test_the_older_setting_is_the_tracker_tensorboard(tmp_path, monkeypatch):
    from antiphon.trackers import tensorboard

    opened = []
    plugin = TrackerPlugin(
        name="tensorboard",
        summary="",
        Config=tensorboard.plugin.Config,
        open=lambda settings, run: opened.append(settings) or Tracker(0, run),
    )
    monkeypatch.setattr(tensorboard, "plugin", plugin)
    go(tmp_path / "run", tensorboard=True)
    go(tmp_path / "both", tensorboard=True, trackers=["tensorboard"])
    assert len(opened) == 2
