"""The loggers of every training run: a file of JSON lines, the terminal, and callback functions."""

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final

from rich.cells import cell_len, set_cell_size
from rich.console import Console

from antiphon.contracts.tracker import Event
from antiphon.errors import CheckpointError
from antiphon.metrics.shown import shown
from antiphon.store.atomic import replacing

_LINE = 160  # columns, where the output is no terminal


@final
class JsonLinesLogger:
    """Appends each event to `metrics.jsonl`. When a run is resumed, events that will happen again are removed first.

    Lines go to the system whole and unbuffered: after a kill, whatever a checkpoint knows of stands in the file. Raises CheckpointError
    when the file cannot be written.

    keep_until       the step of the checkpoint
    validation_due   whether its validation will happen again, too
    """

    def __init__(self, path: Path, *, keep_until: int = 0, validation_due: bool = False):
        self.path = path
        try:
            lines = path.read_bytes().split(b"\n") if path.exists() else []
            kept = [line + b"\n" for line in lines if _stays(line, keep_until, validation_due)]
            with replacing(path, "wb") as log:
                log.writelines(kept)
            self.file = open(path, "ab", buffering=0)  # noqa: SIM115 - closed in `close`
        except OSError as error:
            raise self._error(error) from error

    def log(self, event: Event) -> None:
        """Write a line; numbers that JSON lacks (NaN, infinity) become strings."""
        line = json.dumps({"time": round(time.time(), 3), **without_nonfinite(event)}, ensure_ascii=False, allow_nan=False)
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


def last_event(path: Path) -> dict[str, Any] | None:
    """The last event of a log; None when there is none, or a kill has cut it off."""
    try:
        lines = path.read_bytes().split(b"\n")
        event = json.loads(lines[-2]) if len(lines) > 1 and not lines[-1] else None
    except (OSError, ValueError):
        return None
    return event if isinstance(event, dict) else None


def _stays(line: bytes, keep_until: int, validation_due: bool) -> bool:
    """Whether an event happened before the checkpoint. The end of a resumed run is removed, and so is a line that a kill has cut off."""
    try:
        event = json.loads(line)
        again = validation_due and event["step"] == keep_until and event["kind"] in ("validation", "sample")
        return 0 < event["step"] <= keep_until and event["kind"] not in ("average", "final", "end") and not again
    except (ValueError, KeyError, TypeError):
        return False


def without_nonfinite(value: Any) -> Any:
    """Plain values with the numbers that JSON lacks (NaN, infinity) as strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: without_nonfinite(item) for key, item in value.items()}
    return [without_nonfinite(item) for item in value] if isinstance(value, list | tuple) else value


@final
class Pace:
    """Decides when to print a line about progress on terminals without a status line: every few seconds at first, then less often, so that
    a night gives a page or two.

    shortest, longest   seconds between two lines
    share               of the time since the beginning that passes before the next line
    """

    def __init__(self, shortest: float = 3.0, longest: float = 300.0, share: float = 0.1):
        self.shortest, self.longest, self.share = shortest, longest, share
        self._began: float | None = None
        self._last = 0.0

    def is_due(self, now: float | None = None) -> bool:
        """Whether a line is due at this time, in seconds; if so, the next one is scheduled."""
        now = time.monotonic() if now is None else now
        if self._began is None:
            self._began = self._last = now
            return True
        if now - self._last < min(max(self.shortest, self.share * (now - self._began)), self.longest):
            return False
        self._last = now
        return True


@final
class ConsoleLogger:
    """Prints events as lines, with a live status line below them if the terminal supports it. In quiet mode only warnings are printed."""

    def __init__(self, console: Console):
        self.console = console
        self.width = console.width if console.is_terminal else max(console.width, _LINE)
        self.status = console.status("starting") if console.is_terminal and not console.quiet else None
        self._pace = Pace()
        if self.status:
            self.status.start()

    def log(self, event: Event) -> None:
        """Print the relevant information about the event."""
        text = _sentence(event, self.width)
        if event["kind"] == "train" and self.status:
            self.status.update(text)
        elif event["kind"] == "train" and not self._pace.is_due():
            return
        elif text and event["kind"] in ("skipped", "split"):
            warn(self.console, text)
        elif text:
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Remove the status line."""
        if self.status:
            self.status.stop()


def warn(console: Console, text: str) -> None:
    """Print a warning, also in quiet mode."""
    quiet, console.quiet = console.quiet, False
    try:
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    finally:
        console.quiet = quiet


@final
class CallbackLogger:
    """Calls a callback function with each event. An exception in it ends training."""

    def __init__(self, callback: Callable[[Event], object]):
        self.callback = callback

    def log(self, event: Event) -> None:
        """Call the function."""
        self.callback(event)

    def close(self) -> None:
        """Nothing to do."""


def _sentence(event: Event, width: int) -> str:
    kind = event["kind"]
    if kind == "train":
        return (
            f"step {event['step']:>6}  epoch {event['epoch']:.2f}  loss {shown(event['loss'])}"
            f"  {event['elements_per_second']:>6,.0f} tokens/s  gradient {event['gradient_norm']:.2f}"
            f"  rate {event['learning_rate']:.1e}  {_remaining(event.get('seconds_left'))}"
        )
    if kind == "validation":
        scores = "  ".join(f"{name} {shown(value)}" for name, value in event["scores"].items())
        return f"step {event['step']:>6}  validation: {scores}{'   <- best' if event['best'] else ''}"
    if kind == "sample":
        if not (event["source"] or event["reference"]):  # a remark on all outputs, which stands among the samples
            return f"    {event['prediction']}"
        return "\n".join(_shortened(f"    {side:<10}  {event[side]}", width) for side in ("source", "reference", "prediction"))
    if kind == "skipped":
        return (
            f"step {event['step']:>6}  skipped: loss {event['loss']}, gradient {event['gradient_norm']};"
            f" records {', '.join(map(str, event['records'][:8]))}"
        )
    if kind == "overflow":
        return f"step {event['step']:>6}  a gradient was too large for fp16: the loss is now multiplied by {event['scale']:,.0f}"
    if kind == "split":
        return f"step {event['step']:>6}  out of memory: batches done in {event['pieces']} pieces"
    return str(event.get("message", ""))


def _shortened(text: str, width: int) -> str:
    """A text on one line of limited display width; some characters take two columns. metrics.jsonl has the whole text."""
    text = " ".join(text.splitlines())
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def _remaining(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes = int(seconds // 60)
    return f"{minutes // 60}:{minutes % 60:02d} h left" if minutes >= 60 else f"{minutes}:{int(seconds % 60):02d} left"
