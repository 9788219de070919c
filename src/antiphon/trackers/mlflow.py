"""MLflow: runs in a database or on a server; a run's settings become MLflow parameters, the numbers of its events MLflow metrics."""

import re
import time
from typing import Any, Literal, final

from antiphon.contracts.configuration import config
from antiphon.contracts.tracker import Event, TrackedRun, TrackerPlugin, flat, numbers_of
from antiphon.errors import ConfigError

# What every MLflow takes: so many characters of a parameter, so many parameters at once, and no other characters in a name.
_LONGEST, _MOST, _STRANGE = 500, 100, re.compile(r"[^\w./ :-]")


@config
class MlflowConfig:
    """An MLflow run (needs the extra `mlflow`)."""

    name: Literal["mlflow"] = "mlflow"
    """The name of this tracker."""
    uri: str | None = None
    """Where runs are stored: a server (`http://...`) or a database (`sqlite:////path/of/mlflow.db`); None is what the environment variable
    MLFLOW_TRACKING_URI says."""
    experiment: str = "antiphon"
    """The experiment that the run belongs to; it is made if it does not exist."""
    run_name: str | None = None
    """What the run is called; None is the name of its folder."""


@final
class Mlflow:
    """Sends the numbers of events to MLflow. A resumed run continues the same MLflow run."""

    def __init__(self, settings: MlflowConfig, run: TrackedRun):
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        try:
            self.client: Any = MlflowClient(tracking_uri=settings.uri)
            self.id: str = run.id if run.id and self._continues(run.id) else self._begin(settings, run)
        except MlflowException as error:
            raise ConfigError(f"`training.trackers`: MLflow cannot be used: {str(error).splitlines()[0]}") from error

    def _continues(self, known: str) -> bool:
        """Whether the store still has the run; if so, it is marked as running again."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.update_run(known, status="RUNNING")
        except MlflowException:
            return False
        return True

    def _begin(self, settings: MlflowConfig, run: TrackedRun) -> str:
        from mlflow.entities import Param

        experiment = self.client.get_experiment_by_name(settings.experiment)
        place = experiment.experiment_id if experiment else self.client.create_experiment(settings.experiment)
        begun = str(self.client.create_run(place, run_name=settings.run_name or run.name).info.run_id)
        parameters = [Param(_STRANGE.sub("_", name), str(value)[:_LONGEST]) for name, value in flat(run.recipe).items()]
        for start in range(0, len(parameters), _MOST):
            self.client.log_batch(begun, params=parameters[start : start + _MOST])
        return begun

    def log(self, event: Event) -> None:
        """Send the numbers of the event; the last event also ends the MLflow run."""
        from mlflow.entities import Metric

        now, step = int(time.time() * 1000), event.get("step", 0)
        if metrics := [Metric(name, value, now, step) for name, value in numbers_of(event).items()]:
            self.client.log_batch(self.id, metrics=metrics)
        if event["kind"] == "end":
            self.client.set_terminated(self.id)

    def close(self) -> None:
        """Do nothing: a run that was stopped stays open until it is resumed."""


plugin = TrackerPlugin(
    name="mlflow",
    summary="A run of MLflow, in a database or on a server.",
    Config=MlflowConfig,
    open=Mlflow,
    module="mlflow",
    package="mlflow-skinny",
    extra="mlflow",
)
