"""Stopping by Ctrl-C and SIGTERM: signals are noticed at once, and obeyed where nothing is lost.

The first signal asks training to stop after the update in hand, with a checkpoint; within something that can be done again, such as a
validation, it stops right there. The second one stops at once, unless the checkpoint of the first is being written.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import final

import torch

HEARD = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """Training was stopped by the named signal, and can be resumed."""

    def __init__(self, number: int):
        self.signal = signal.Signals(number)
        super().__init__(self.signal.name)


@final
class StopRequest:
    """Whether a stop was requested. `say` gets a message about what will happen when the first signal arrives."""

    def __init__(self, say: Callable[[str], None]):
        self.say = say
        self.signal: signal.Signals | None = None
        self._within = "update"
        self._repeatable = False
        self._saving = False

    @contextmanager
    def heard(self) -> Iterator[None]:
        """A context in which signals are requests. Outside of the main thread the caller handles signals."""
        try:
            before = {number: signal.signal(number, self._hear) for number in HEARD}
        except ValueError:  # not in the main thread
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def repeatable(self, within: str, *, alone: bool) -> Iterator[None]:
        """A context in which stopping loses nothing: a request raises Stopped at once, also an earlier one.

        A process that is not `alone` must not leave the others waiting: there, a request waits for the end of what is done.
        """
        self._within, self._repeatable = within, alone
        try:
            if alone and self.signal:
                raise Stopped(self.signal)
            yield
        finally:
            self._within, self._repeatable = "update", False

    def obeyed(self) -> None:
        """Mark that the last checkpoint is being written from here on; further signals change nothing."""
        self._saving = True

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = signal.Signals(number)
            if self._repeatable:
                self._repeatable, self._saving = False, True
                self._tell(f"stopping now; a resumed run repeats this {self._within}")
                raise Stopped(number)
            self._tell(f"stopping after this {self._within}; a checkpoint is written; press Ctrl-C again to stop now")
        # `torchrun` passes on the Ctrl-C that its processes have had from the terminal already; a second one means nothing there.
        elif not self._saving and not torch.distributed.is_torchelastic_launched():
            raise Stopped(number)

    def _tell(self, line: str) -> None:
        with suppress(RuntimeError):  # the signal came in the middle of writing another line
            self.say(line)
