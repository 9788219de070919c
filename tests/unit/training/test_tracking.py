"""Trackers: told what they called the run before, and no danger to a training run."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

from antiphon.contracts.tracker import TrackedRun, TrackerPlugin, flat, numbers_of
from antiphon.errors import ConfigError, MissingPackageError
from antiphon.training.settings import TrainingConfig
from antiphon.training.tracking import open_trackers


class Tracker:
    """Remembers what it was told; breaks at the event `broken`."""

    opened: list["Tracker"] = []

    def __init__(self, settings, run):
        if settings.refuse:
            raise ConfigError("refused")
        self.run, self.id, self.events, self.closed = run, run.id or f"{run.name}-1", [], 0
        Tracker.opened.append(self)

    def log(self, event):
        self.events.append(event)
        if event["kind"] == "broken":
            raise OSError("the network is away\nand more")

    def close(self):
        self.closed += 1


@pytest.fixture
def opened(monkeypatch):
    module = ModuleType("outside_trackers.ours")
    module.plugin = TrackerPlugin(name="outside_trackers.ours", summary="", Config=SimpleNamespace, open=Tracker)
    monkeypatch.setitem(sys.modules, "outside_trackers", ModuleType("outside_trackers"))
    monkeypatch.setitem(sys.modules, "outside_trackers.ours", module)
    monkeypatch.setattr(Tracker, "opened", [])
    return Tracker.opened


OURS = SimpleNamespace(name="outside_trackers.ours", refuse=False)


def test_a_resumed_run_is_the_same_for_the_tracker(tmp_path, opened):
    for step in (0, 4):
        open_trackers([OURS], TrackedRun(tmp_path, "german", {"seed": 1}, step), print)
    assert [(tracker.run.id, tracker.run.step, tracker.id) for tracker in opened] == [(None, 0, "german-1"), ("german-1", 4, "german-1")]
    assert json.loads((tmp_path / "trackers.json").read_text()) == {"outside_trackers.ours": "german-1"}


def test_a_tracker_that_fails_is_let_go_and_training_goes_on(tmp_path, opened):
    said = []
    (sink,) = open_trackers([OURS], TrackedRun(tmp_path, "german", {}), said.append)
    for kind in ("train", "broken", "train"):
        sink.log({"kind": kind, "step": 1})
    sink.close()
    assert [event["kind"] for event in opened[0].events] == ["train", "broken"]
    assert len(said) == 1
    assert "`outside_trackers.ours` has failed and gets no more events" in said[0]
    assert said[0].endswith("It said: the network is away")


def test_one_that_cannot_be_opened_closes_those_before_it(tmp_path, opened):
    with pytest.raises(ConfigError, match="refused"):
        open_trackers([OURS, SimpleNamespace(name=OURS.name, refuse=True)], TrackedRun(tmp_path, "german", {}), print)
    assert opened[0].closed == 1


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("tensorboard", "tensorboard", "track"), ("mlflow", "mlflow", "mlflow"), ("wandb", "wandb", "wandb")],
)
def test_a_missing_package_names_the_extra(tmp_path, monkeypatch, name, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    settings = TrainingConfig(max_steps=1, trackers=[name])
    with pytest.raises(MissingPackageError, match=rf"The tracker `{name}` needs .* pip install '\.\[{extra}\]'"):
        open_trackers(settings.trackers, TrackedRun(tmp_path, "german", {}), print)


def test_each_tracker_once():
    with pytest.raises(ValueError, match="must name each tracker once, but are wandb, wandb"):
        TrainingConfig(max_steps=1, trackers=["wandb", {"name": "wandb", "project": "mine"}])


def test_numbers_and_settings_by_name():
    event = {"kind": "validation", "step": 3, "time": 1.0, "scores": {"bleu": 3.5}, "best": True, "seconds": 2.0, "note": "x", "gone": None}
    assert numbers_of(event) == {"validation/bleu": 3.5, "validation/seconds": 2.0}
    assert flat({"model": {"name": "lstm", "layers": [1, 2]}, "seed": 1}) == {"model.name": "lstm", "model.layers": [1, 2], "seed": 1}
