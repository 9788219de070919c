"""Determines how many inputs are read before they are decoded.

Many at once decode faster than few, since those of like length share a batch. But somebody may wait for the first answer: so what comes
one by one is decoded in windows that begin small and double, and a window ends early when its source stalls or fails.
"""

import time
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Protocol, TypeVar, runtime_checkable

WINDOW = 16  # the most batches that are read ahead and sorted by length
_OLDEST = 1.0  # seconds that an input of a live source waits for others

Entry = TypeVar("Entry")


@runtime_checkable
class Live(Protocol):
    """Inputs that arrive one by one, such as the lines of a pipe."""

    def is_ready(self) -> bool:
        """Whether the next input, or the end, is available; may wait a moment for it. If not, the inputs read before are decoded."""


def full(batch_size: int) -> Iterator[int]:
    """The sizes of windows over inputs that are all available from the beginning."""
    return repeat(batch_size * WINDOW)


def growing(batch_size: int) -> Iterator[int]:
    """The sizes of windows over inputs that arrive one by one: a batch, two, four, up to `WINDOW`."""
    doubled = (batch_size * (1 << power) for power in range(WINDOW.bit_length() - 1))
    return chain(doubled, full(batch_size))


def windows(
    entries: Iterator[Entry], sizes: Iterator[int], size_of: Callable[[Entry], int], live: Live | None = None
) -> Iterator[list[Entry]]:
    """Entries in lists, each with the next of `sizes` entries or slightly more.

    When `entries` raises, those before are yielded first. With `live`, a window is yielded as soon as no more are ready.
    """
    window: list[Entry] = []
    size, most, began = 0, next(sizes), 0.0
    while True:
        stalls = bool(window) and live is not None and (time.monotonic() - began > _OLDEST or not live.is_ready())
        if window and (size >= most or stalls):
            yield window
            window, size, most = [], 0, next(sizes)
        try:
            entry = next(entries)
        except StopIteration:
            break
        except Exception:
            if window:
                yield window
            raise
        began = began if window else time.monotonic()
        window.append(entry)
        size += size_of(entry)
    if window:
        yield window
