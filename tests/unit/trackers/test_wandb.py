"""Runs of Weights & Biases, offline."""

import pytest

from antiphon.contracts.tracker import TrackedRun
from antiphon.trackers.wandb import plugin

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]


def test_a_run_and_its_continuation(tmp_path, capfd):
    pytest.importorskip("wandb")
    settings = plugin.Config(project="translations", mode="offline")
    tracker = plugin.open(settings, TrackedRun(tmp_path, "german", {"seed": 1}))
    assert tracker.run.name == "german"
    assert tracker.run.config["seed"] == 1
    tracker.log({"kind": "train", "step": 5, "loss": 2.5})
    tracker.log({"kind": "sample", "step": 5, "source": "text"})
    assert tracker.run.summary["train/loss"] == 2.5
    tracker.close()
    again = plugin.open(settings, TrackedRun(tmp_path, "german", {"seed": 1}, step=3, id=tracker.id))
    assert again.id == again.run.id == tracker.id
    again.log({"kind": "train", "step": 4, "loss": 2.0})
    again.log({"kind": "end", "step": 4})
    again.close()
    written = list((tmp_path / "wandb").glob(f"offline-run-*-{tracker.id}/run-{tracker.id}.wandb"))
    assert written, "what `wandb sync` sends"
    assert capfd.readouterr().out == ""
