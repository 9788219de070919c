"""TensorBoard: curves from files in the run's folder; `tensorboard --logdir runs` shows them."""

from typing import Any, Literal, final

from antiphon.contracts.configuration import config
from antiphon.contracts.tracker import Event, TrackedRun, TrackerPlugin, numbers_of
from antiphon.store.json_text import json_text


@config
class TensorBoardConfig:
    """TensorBoard files in the run's folder (needs the extra `track`)."""

    name: Literal["tensorboard"] = "tensorboard"
    """The name of this tracker."""


@final
class TensorBoard:
    """Writes the numbers of events as scalars, and the recipe as a text."""

    id = "tensorboard"

    def __init__(self, settings: TensorBoardConfig, run: TrackedRun):
        from torch.utils.tensorboard import SummaryWriter

        self.writer: Any = SummaryWriter(str(run.folder / "tensorboard"), purge_step=run.step + 1 if run.step else None)
        if not run.step:
            self.writer.add_text("recipe", f"```json\n{json_text(dict(run.recipe), indent=1, ascii_only=True)}\n```")

    def log(self, event: Event) -> None:
        """Write the numbers of the event."""
        for name, value in numbers_of(event).items():
            self.writer.add_scalar(name, value, event.get("step", 0))

    def close(self) -> None:
        """Flush and close."""
        self.writer.close()


plugin = TrackerPlugin(
    name="tensorboard",
    summary="TensorBoard files in the run's folder.",
    Config=TensorBoardConfig,
    open=TensorBoard,
    module="tensorboard",
    package="tensorboard",
    extra="track",
)
