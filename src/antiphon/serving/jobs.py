"""What waits for a worker, and how long it is."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from antiphon.serving.worker import Answer, Asked


@dataclass(eq=False)
class Job:
    """Records that wait for a worker, and their answer."""

    asked: Asked
    answer: "asyncio.Future[Answer]"
    size: int  # how many predictions there will be
    longest: int  # elements of its longest record
    born: float = field(default_factory=time.monotonic)
    tries: int = 0


def elements_of(record: Mapping[str, Any]) -> int:
    """How long a record is: a character of a text is an element, and so are 320 bytes of sound, 10 ms of it at 16 kHz and 16 bits."""
    values = (value for value in record.values() if isinstance(value, str | bytes))
    return max((len(value) if isinstance(value, str) else len(value) // 320 for value in values), default=1) or 1
