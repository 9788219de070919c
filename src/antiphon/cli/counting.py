"""How far a command is, on one line of a terminal's standard error."""

import sys
from collections.abc import Callable


def counter(what: str, *, quiet: bool = False) -> Callable[[int, int], None] | None:
    """Shows "12 of 1,000 WHAT", over and over on the same line; None where nobody looks, or nobody wants it."""
    if quiet or not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        print(f"\r{done:,} of {total:,} {what}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show


def teller(*, quiet: bool = False) -> Callable[[str], None]:
    """Prints sentences on standard error, unless nobody wants them."""

    def say(sentence: str) -> None:
        if not quiet:
            print(sentence, file=sys.stderr, flush=True)

    return say
