"""The trackers of a run: opens them, passes on the run's earlier identifier, and drops them when they fail."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

from antiphon.contracts import registry
from antiphon.contracts.tracker import Event, EventSink, TrackedRun, Tracker, TrackerPlugin
from antiphon.errors import AntiphonError, CheckpointError
from antiphon.store.checkpoint import replace_json
from antiphon.training.settings import TrainingConfig

TRACKED = "trackers.json"
"""The file in a run's folder that says what each tracker calls the run."""


def trackers_of(training: TrainingConfig) -> tuple[Any, ...]:
    """The settings of a run's trackers; `tensorboard: true` is an older way to name one."""
    named = training.tensorboard and "tensorboard" not in [one.name for one in training.trackers]
    return (*training.trackers, *([registry.find("trackers", "tensorboard").Config()] if named else []))


def open_trackers(settings: Sequence[Any], run: TrackedRun, say: Callable[[str], None]) -> list[EventSink]:
    """Begin or continue the run in each tracker; `say` gets a message if one fails later.

    Raises MissingPackageError without a tracker's package, and ConfigError when it cannot be reached: training has not begun yet.
    """
    path = run.folder / TRACKED
    known = _read(path)
    opened: list[EventSink] = []
    for one in settings:
        plugin: TrackerPlugin = registry.find("trackers", one.name)
        try:
            plugin.need()
            tracker = plugin.open(one, replace(run, id=known.get(one.name)))
        except AntiphonError:
            for earlier in opened:
                earlier.close()
            raise
        known[one.name] = tracker.id
        opened.append(Guarded(one.name, tracker, say))
    if settings:
        try:
            replace_json(path, known)
        except OSError as error:
            raise CheckpointError(f"{path} cannot be written: {error.strerror}. Make room or choose another `--out`.") from error
    return opened


@final
class Guarded:
    """A tracker that cannot end a training run: when it fails, there is one message, and it gets no more events."""

    def __init__(self, name: str, tracker: Tracker, say: Callable[[str], None]):
        self.name, self.tracker, self.say = name, tracker, say
        self.failed = False

    def log(self, event: Event) -> None:
        """Pass on an event."""
        self._try(lambda: self.tracker.log(event))

    def close(self) -> None:
        """Close the tracker."""
        self._try(self.tracker.close)

    def _try(self, call: Callable[[], None]) -> None:
        if self.failed:
            return
        try:
            call()
        except Exception as error:  # whatever a package of others raises, often because the network is away
            self.failed = True
            reason = str(error).strip().splitlines() or [type(error).__name__]
            self.say(f"The tracker `{self.name}` has failed and gets no more events; metrics.jsonl has them all. It said: {reason[0]}")


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or a file that nobody can use: the run begins anew there
        return {}
    return {str(name): str(known) for name, known in found.items()} if isinstance(found, Mapping) else {}
