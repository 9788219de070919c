"""What could not be used, told on standard error: the first few of a kind one by one, as they come, and the others together in the end.

Unusual: reasons are of a kind when they differ in numbers and in what is quoted alone, as lengths and file names do.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import final

TOLD = 3
"""How many of a kind are told one by one."""
_RANGES = 20

_OWN = re.compile(r"`[^`]*`|'[^']*'|\"[^\"]*\"|\d[\d,.]*")


@final
class Refusals:
    """Collects what could not be used.

    say    prints a sentence
    what   what was refused, of which the end tells how many: "inputs"
    """

    def __init__(self, say: Callable[[str], None], what: str = "inputs"):
        self._say, self._what = say, what
        self._kinds: dict[str, _Kind] = {}

    def add(self, number: int, place: str, reason: str) -> None:
        """Tell of one, or count it: its number from 1, what it is called (without a name "input 1" or the like), and what is wrong."""
        kind = self._kinds.setdefault(_OWN.sub("", reason), _Kind())
        kind.count += 1
        if kind.count <= TOLD:
            self._say(f"antiphon: {place}: {reason}")
            return
        kind.others.append(number)
        kind.reasons.setdefault(reason)

    def tell_others(self) -> None:
        """Tell of those that were only counted, in a sentence for each kind. Once told they are forgotten."""
        for kind in self._kinds.values():
            if kind.others:
                such = "" if len(kind.reasons) == 1 else "such as "
                self._say(f"antiphon: {len(kind.others):,} more {self._what} ({_ranges(kind.others)}): {such}{next(iter(kind.reasons))}")
        self._kinds.clear()


@final
@dataclass
class _Kind:
    """Reasons of one kind: how many, the numbers of those that were not told yet, and their different sentences in order."""

    count: int = 0
    others: list[int] = field(default_factory=list)
    reasons: dict[str, None] = field(default_factory=dict)


def _ranges(numbers: Iterable[int]) -> str:
    """Numbers as ranges: "4-50, 53"; the first ranges where there are many."""
    found = list(_runs(sorted(numbers)))
    shown = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found[:_RANGES])
    return f"{shown}, ..." if len(found) > _RANGES else shown


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """First and last of numbers that follow each other."""
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        yield members[0], members[-1]
