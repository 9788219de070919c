"""`--compare B C`: an option that takes all runs that stand behind it. Left to itself, it would take the first, and the second would join
the runs in front of it as an ensemble, which nobody meant."""

from collections.abc import Sequence
from typing import Any, final

from typer.core import TyperCommand

OPTION = "--compare"


@final
class Comparing(TyperCommand):
    """A command whose runs may be followed by `--compare` and several others."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Arguments with `--compare` before each run that is to be compared with."""
        return super().parse_args(ctx, repeated(args) if OPTION in args and self._has_runs(ctx, args[: args.index(OPTION)]) else args)

    def _has_runs(self, ctx: Any, before: list[str]) -> bool:
        """Whether a run is named in front of the option: otherwise the words behind it begin with the one that it belongs to."""
        given, _, _ = self.make_parser(ctx).parse_args(args=list(before))
        return bool(given.get("run"))


def repeated(args: Sequence[str]) -> list[str]:
    """The arguments with the option before each word that follows it, up to the next option."""
    found: list[str] = []
    taking = False
    for number, word in enumerate(args):
        if word.startswith("-") and word != "-":
            taking = word == OPTION
        elif taking and args[number - 1] != OPTION:
            found.append(OPTION)
        found.append(word)
    return found
