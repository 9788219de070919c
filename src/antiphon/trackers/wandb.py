"""Weights & Biases: runs on its servers, or offline in the run's folder (environment variable WANDB_MODE=offline, or `mode`)."""

from typing import Any, Literal, final

from antiphon.contracts.configuration import config
from antiphon.contracts.tracker import Event, TrackedRun, TrackerPlugin, numbers_of
from antiphon.errors import ConfigError


@config
class WandbConfig:
    """A run in Weights & Biases (needs the extra `wandb`)."""

    name: Literal["wandb"] = "wandb"
    """The name of this tracker."""
    project: str = "antiphon"
    """The project that the run belongs to."""
    entity: str | None = None
    """The user or team; None is the one that is logged in."""
    run_name: str | None = None
    """What the run is called; None is the name of its folder."""
    mode: Literal["online", "offline"] | None = None
    """Whether to send, or to write to the run's folder for `wandb sync`; None is what the environment variable WANDB_MODE says."""


@final
class Wandb:
    """Sends the numbers of events. A resumed run continues the same run in Weights & Biases.

    Unusual here: `step` is a number beside the others, and the axis of all, since the tracker's own steps can never go back, as they do
    when a run continues from an earlier checkpoint.
    """

    def __init__(self, settings: WandbConfig, run: TrackedRun):
        import wandb

        try:
            self.run: Any = wandb.init(
                project=settings.project,
                entity=settings.entity,
                name=settings.run_name or run.name,
                id=run.id,
                resume="allow",
                dir=str(run.folder),
                config=dict(run.recipe),
                mode=settings.mode,
                settings=wandb.Settings(silent=True, console="off"),
            )
        except wandb.Error as error:
            raise ConfigError(f"`training.trackers`: Weights & Biases cannot be used: {error}") from error
        self.id: str = self.run.id
        self.run.define_metric("step")
        self.run.define_metric("*", step_metric="step")
        self.finished = False

    def log(self, event: Event) -> None:
        """Send the numbers of the event."""
        numbers = numbers_of(event)
        if numbers:
            self.run.log({"step": event.get("step", 0), **numbers})
        self.finished = self.finished or event["kind"] == "end"

    def close(self) -> None:
        """Send what is left. A run that has not finished is marked so, until it is resumed."""
        self.run.finish(exit_code=0 if self.finished else 1)


plugin = TrackerPlugin(
    name="wandb",
    summary="A run of Weights & Biases, online or offline.",
    Config=WandbConfig,
    open=Wandb,
    module="wandb",
    package="wandb",
    extra="wandb",
)
