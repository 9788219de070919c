"""Jobs that wait for a worker, and their sizes."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from antiphon.serving.worker import Answer, Asked


@dataclass(eq=False)
class Job:
    """Records that wait for a worker, and the future of their predictions."""

    asked: Asked
    answer: "asyncio.Future[Answer]"
    size: int  # how many predictions there will be
    longest: int  # elements of its longest record
    born: float = field(default_factory=time.monotonic)
    tries: int = 0


def elements_of(record: Mapping[str, Any]) -> int:
    """The size of a record in elements: one for each character of text, and one for each 320 bytes of sound, which is 10 ms at 16 kHz and
    16 bits."""
    values = (value for value in record.values() if isinstance(value, str | bytes))
    return max((len(value) if isinstance(value, str) else len(value) // 320 for value in values), default=1) or 1
