"""Runs of MLflow in a database in a file."""

import pytest

from antiphon.contracts.tracker import TrackedRun
from antiphon.errors import ConfigError
from antiphon.trackers.mlflow import plugin

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]


def test_a_run_and_its_continuation(tmp_path):
    tracking = pytest.importorskip("mlflow.tracking")
    pytest.importorskip("sqlalchemy")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    settings = plugin.Config(uri=uri, experiment="translations")
    recipe = {"seed": 1, "training": {"optimizer": {"factors": {"encoder.*": 0.1}}, "note": "x" * 9000}}
    tracker = plugin.open(settings, TrackedRun(tmp_path, "german", recipe))
    tracker.log({"kind": "train", "step": 1, "loss": 2.5})
    tracker.log({"kind": "sample", "step": 1, "source": "text"})
    tracker.close()
    client = tracking.MlflowClient(tracking_uri=uri)
    assert client.get_run(tracker.id).info.status == "RUNNING"

    again = plugin.open(settings, TrackedRun(tmp_path, "german", recipe, step=1, id=tracker.id))
    assert again.id == tracker.id
    again.log({"kind": "validation", "step": 2, "scores": {"bleu": 33.5}})
    again.log({"kind": "end", "step": 2, "seconds": 1.5})
    found = client.get_run(tracker.id)
    assert found.info.run_name == "german"
    assert found.info.status == "FINISHED"
    assert client.get_experiment(found.info.experiment_id).name == "translations"
    assert found.data.metrics == {"train/loss": 2.5, "validation/bleu": 33.5, "end/seconds": 1.5}
    assert found.data.params["seed"] == "1"
    assert found.data.params["training.optimizer.factors.encoder._"] == "0.1"

    lost = plugin.open(settings, TrackedRun(tmp_path, "german", {}, step=1, id="0" * 32))
    assert lost.id not in ("0" * 32, tracker.id), "a store that does not know the run gets a new one"


def test_what_cannot_be_reached_is_one_sentence(tmp_path):
    pytest.importorskip("mlflow")
    with pytest.raises(ConfigError, match=r"`training\.trackers`: MLflow cannot be used: "):
        plugin.open(plugin.Config(uri="nonsense://here"), TrackedRun(tmp_path, "german", {}))
