"""TensorBoard files, read again by TensorBoard itself."""

import pytest

from antiphon.contracts.tracker import TrackedRun
from antiphon.trackers.tensorboard import plugin


def test_scalars_of_events(tmp_path):
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tracker = plugin.open(plugin.Config(), TrackedRun(tmp_path, "german", {"seed": 1}))
    tracker.log({"kind": "train", "step": 1, "loss": 2.5})
    tracker.log({"kind": "validation", "step": 2, "scores": {"bleu": 33.5}, "best": True})
    tracker.close()
    found = reading.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(found.Tags()["scalars"]) == {"train/loss", "validation/bleu"}
    assert [(event.step, event.value) for event in found.Scalars("validation/bleu")] == [(2, 33.5)]
