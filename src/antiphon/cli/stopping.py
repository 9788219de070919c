"""What stops a command: Ctrl-C and SIGTERM end it with one line on stderr, and with the exit status that shells give to such an end.

Both arrive as a KeyboardInterrupt, which nothing takes for an error of its own and which lets everybody tidy up: a folder that is half
written goes away. A command may note on it how much is done, or how to go on, which ends the line. Training hears them itself, and saves a
checkpoint first.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, final

import typer
from rich.console import Console
from typer.core import TyperGroup


def status_of(interruption: KeyboardInterrupt) -> int:
    """The exit status: 128 and the number of the signal, which the interruption names unless it is Ctrl-C."""
    return 128 + (signal.SIGTERM if str(interruption) == signal.SIGTERM.name else signal.SIGINT)


@final
class Commands(TyperGroup):
    """The commands, any of which may be stopped."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Exits with 130 after Ctrl-C, and with 143 after SIGTERM."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interruption:
            status = status_of(interruption)
            name = "Ctrl-C" if status == 128 + signal.SIGINT else "SIGTERM"
            line = f"antiphon: stopped by {name}{''.join(getattr(interruption, '__notes__', ['.']))}"
            Console(stderr=True).print(line, style="red", highlight=False, markup=False, soft_wrap=True)
            raise typer.Exit(status) from None


@contextmanager
def stoppable() -> Iterator[None]:
    """Within it SIGTERM interrupts this process, unless its parent has it ignored."""
    try:
        ours = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        before = signal.signal(signal.SIGTERM, _interrupting(os.getpid())) if ours else None
    except ValueError:  # not in the main thread, which alone hears signals
        yield
        return
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _interrupting(process: int) -> Any:
    def interrupt(number: int, frame: FrameType | None) -> None:
        if os.getpid() == process:
            raise KeyboardInterrupt(signal.Signals(number).name)
        signal.signal(number, signal.SIG_DFL)  # a worker that was forked just ends
        os.kill(os.getpid(), number)

    return interrupt
