"""Experiment trackers: where the events of a training run can be sent, beside its own log.

An event is a plain mapping with a `kind`. docs/training.md lists the kinds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from antiphon.errors import MissingPackageError

Event = Mapping[str, Any]


@runtime_checkable
class EventSink(Protocol):
    """Receives the events of a run."""

    def log(self, event: Event) -> None:
        """Receive one event."""

    def close(self) -> None:
        """Finish; no events follow."""


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker learns about a run before its first event.

    folder   the run's folder
    name     what people call the run
    recipe   every setting, as plain values
    step     where training begins: 0, or the step of the checkpoint that it continues from
    id       what the tracker called this run when it began; None for a new one
    """

    folder: Path
    name: str
    recipe: Mapping[str, Any]
    step: int = 0
    id: str | None = None


@runtime_checkable
class Tracker(EventSink, Protocol):
    """An event sink that has its own identifier for the run."""

    @property
    def id(self) -> str:
        """The tracker's identifier of the run, so that a resumed run continues the same entry."""


@dataclass(frozen=True)
class TrackerPlugin:
    """What a file in `trackers/` defines as `plugin`. `open(config, run)` begins or continues a tracked run, if `package` is installed.

    module    what is to be there, by the name under which it is imported; None when nothing is
    package   what installs it
    extra     the extra of Antiphon that it comes with

    `open` raises ConfigError when the tracker cannot be reached.
    """

    name: str
    summary: str
    Config: type[Any]
    open: Callable[[Any, TrackedRun], Tracker]
    module: str | None = None
    package: str = ""
    extra: str = ""

    def need(self) -> None:
        """Raise MissingPackageError when the package that it needs is not installed."""
        if self.module is not None and find_spec(self.module) is None:
            raise MissingPackageError(f"The tracker `{self.name}`", self.package, self.extra)


def numbers_of(event: Event) -> dict[str, float]:
    """The numbers in an event by name, such as `train/loss` and `validation/bleu`, those in nested mappings included."""
    found: dict[str, float] = {}
    for key, value in event.items():
        values = value if isinstance(value, Mapping) else {key: value}
        for name, number in values.items():
            if isinstance(number, int | float) and not isinstance(number, bool) and name not in ("step", "time"):
                found[f"{event['kind']}/{name}"] = float(number)
    return found


def flat(settings: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Nested settings flattened to dotted paths, as trackers show them in tables."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        here = f"{path}.{key}" if path else str(key)
        found.update(flat(value, here) if isinstance(value, Mapping) else {here: value})
    return found
