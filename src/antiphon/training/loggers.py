"""Where the events of a training run go: a file of JSON lines, the terminal, TensorBoard. An event is a plain mapping with a `kind`."""

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, final, runtime_checkable

from rich.console import Console

from antiphon.errors import CheckpointError, MissingPackageError

Event = Mapping[str, Any]


@runtime_checkable
class Logger(Protocol):
    """Takes events as they come."""

    def log(self, event: Event) -> None:
        """Take one event."""

    def close(self) -> None:
        """Take no more."""


@final
class JsonLinesLogger:
    """Appends each event to `metrics.jsonl`. On resuming, events that will happen again are removed first.

    Lines go to the system whole and unbuffered: after a kill, whatever a checkpoint knows of stands in the file. Raises CheckpointError
    when the file cannot be written.
    """

    def __init__(self, path: Path, *, keep_until: int = 0):
        self.path = path
        try:
            kept = [line + b"\n" for line in path.read_bytes().split(b"\n") if _stays(line, keep_until)] if path.exists() else []
            temporary = path.with_name(f".{path.name}.partial-{os.getpid()}")
            temporary.write_bytes(b"".join(kept))
            temporary.replace(path)
            self.file = open(path, "ab", buffering=0)  # noqa: SIM115 - closed in `close`
        except OSError as error:
            raise self._error(error) from error

    def log(self, event: Event) -> None:
        """Write a line; numbers that JSON lacks (NaN, infinity) become strings."""
        line = json.dumps({"time": round(time.time(), 3), **_without_nonfinite(event)}, ensure_ascii=False, allow_nan=False)
        rest = memoryview(line.encode("utf-8", "backslashreplace") + b"\n")
        try:
            while rest:  # a disk that is nearly full takes a part
                rest = rest[self.file.write(rest) :]
        except OSError as error:
            raise self._error(error) from error

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def _error(self, error: OSError) -> CheckpointError:
        return CheckpointError(
            f"{self.path} cannot be written: {error.strerror}. Checkpoints are intact; make room, then continue with `--resume`."
        )


def _stays(line: bytes, keep_until: int) -> bool:
    """Whether an event happened before the checkpoint. A run that goes on has not ended, and a kill may have cut the last line short."""
    try:
        event = json.loads(line)
        return 0 < event["step"] <= keep_until and event["kind"] not in ("average", "final", "end")
    except (ValueError, KeyError, TypeError):
        return False


def _without_nonfinite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _without_nonfinite(item) for key, item in value.items()}
    return [_without_nonfinite(item) for item in value] if isinstance(value, list | tuple) else value


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

    def __init__(self, folder: Path, *, keep_until: int = 0):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingPackageError("`training.tensorboard`", "tensorboard", "track") from error
        self.writer = SummaryWriter(str(folder), purge_step=keep_until + 1 if keep_until else None)

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
