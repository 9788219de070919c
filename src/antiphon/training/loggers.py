"""Where the events of a training run go: a file of JSON lines, the terminal, TensorBoard. An event is a plain mapping with a `kind`."""

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, final

from rich.console import Console

from antiphon.errors import MissingPackageError

Event = Mapping[str, Any]


class Logger(Protocol):
    """Takes events as they come."""

    def log(self, event: Event) -> None:
        """Take one event."""

    def close(self) -> None:
        """Take no more."""


@final
class JsonLinesLogger:
    """Appends each event to `metrics.jsonl`. On resuming, events of steps that will be done again are removed first."""

    def __init__(self, path: Path, *, keep_until: int = 0):
        kept = []
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # the line that a kill cut short
                if event.get("step", 0) <= keep_until and keep_until:
                    kept.append(line + "\n")
        temporary = path.with_suffix(".partial")
        temporary.write_text("".join(kept), encoding="utf-8")
        temporary.replace(path)
        self.file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - closed in `close`

    def log(self, event: Event) -> None:
        """Write a line; numbers that JSON lacks (NaN, infinity) become strings."""
        plain = {key: str(value) if isinstance(value, float) and not math.isfinite(value) else value for key, value in event.items()}
        self.file.write(json.dumps({"time": round(time.time(), 3), **plain}, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Close the file."""
        self.file.close()


@final
class ConsoleLogger:
    """Prints events as lines, with a live status line below them when the terminal allows it."""

    def __init__(self, console: Console):
        self.console = console
        self.status = console.status("starting") if console.is_terminal else None
        if self.status:
            self.status.start()

    def log(self, event: Event) -> None:
        """Print what a person wants to see of the event."""
        text = _sentence(event)
        if event["kind"] == "train" and self.status:
            self.status.update(text)
        elif text:
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Remove the status line."""
        if self.status:
            self.status.stop()


@final
class TensorBoardLogger:
    """Writes scalars for TensorBoard."""

    def __init__(self, folder: Path):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingPackageError("`training.tensorboard`", "tensorboard", "track") from error
        self.writer = SummaryWriter(str(folder))

    def log(self, event: Event) -> None:
        """Write the numbers of the event."""
        for key, value in event.items():
            if isinstance(value, int | float) and key != "step":
                self.writer.add_scalar(f"{event['kind']}/{key}", value, event.get("step", 0))

    def close(self) -> None:
        """Flush and close."""
        self.writer.close()


def _sentence(event: Event) -> str:
    kind = event["kind"]
    if kind == "train":
        return (
            f"step {event['step']:>6}  epoch {event['epoch']:.2f}  loss {event['loss']:.3f}  {event['elements_per_second']:>6,.0f} tokens/s"
            f"  gradient {event['gradient_norm']:.2f}  rate {event['learning_rate']:.1e}  {_remaining(event.get('seconds_left'))}"
        )
    if kind == "validation":
        scores = "  ".join(f"{name} {value:.2f}" for name, value in event["scores"].items())
        return f"step {event['step']:>6}  validation: {scores}{'   <- best' if event['best'] else ''}"
    if kind == "sample":
        return f"    source      {event['source']}\n    reference   {event['reference']}\n    prediction  {event['prediction']}"
    if kind == "skipped":
        return (
            f"step {event['step']:>6}  skipped: loss {event['loss']}, gradient {event['gradient_norm']};"
            f" records {', '.join(map(str, event['records'][:8]))}"
        )
    if kind == "split":
        return f"step {event['step']:>6}  out of memory: batches done in {event['pieces']} pieces"
    return str(event.get("message", ""))


def _remaining(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes = int(seconds // 60)
    return f"{minutes // 60}:{minutes % 60:02d} h left" if minutes >= 60 else f"{minutes}:{int(seconds % 60):02d} left"
