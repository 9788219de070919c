"""The log of a service: one line of JSON for each event, which never contains a user's text.

What is told is chosen here and where it happens: names of models, routes as they are written in code, statuses, seconds. Of an exception
that nobody expected the type and the place are told, since its words may quote what a user sent.
"""

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Literal, final

from antiphon.store.json_text import json_text

Level = Literal["info", "warning", "error"]


def say(event: str, message: str = "", *, level: Level = "info", more: dict[str, Any] | None = None) -> None:
    """Log an event as a line: `event` is a name for programs to search for, `message` a sentence for people, `more` further facts."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    told = {"time": time, "level": level, "event": event, **(more or {}), **({"message": message} if message else {})}
    print(json_text(told, ascii_only=True, default=str), file=sys.stderr, flush=True)


@final
class LinesOfJSON(logging.Handler):
    """Writes the log of the HTTP server in the same format."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a log record; of an exception only its type and where it was raised."""
        level: Level = "info" if record.levelno < logging.WARNING else "warning" if record.levelno < logging.ERROR else "error"
        more: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            frames = traceback.extract_tb(record.exc_info[2])
            more |= {"exception": record.exc_info[0].__name__, "at": [f"{one.filename}:{one.lineno}" for one in frames[-5:]]}
        say("server", record.getMessage().partition("\n")[0], level=level, more=more)


def log_as_json(name: str = "uvicorn") -> None:
    """Let a logger and its children write lines of JSON, and nothing else."""
    logger = logging.getLogger(name)
    logger.handlers, logger.propagate = [LinesOfJSON()], False
    logger.setLevel(logging.WARNING)
