"""Records held out by speaker, so that validation is with voices that training never heard."""

import numpy as np

from antiphon.contracts.records import Records
from antiphon.data.records import ChosenRecords
from antiphon.errors import DataError

_SEED = 0x53504B
_NAMED = 10


def hold_out_speakers(records: Records, column: str, wanted: int) -> tuple[Records, Records, str]:
    """What is kept, what is held out (whole speakers with about `wanted` records together), and a sentence about it.

    Raises DataError when there are fewer than two speakers.
    """
    numbers: dict[str, list[int]] = {}
    for number, record in records():
        numbers.setdefault(str(record.get(column)), []).append(number)
    if len(numbers) < 2:
        raise DataError(
            f"`{column}` must name at least two speakers, so that one can be held out, but names {len(numbers)}. Name a file in"
            " `data.validation`, or leave `task.speaker` out."
        )
    names = sorted(numbers)
    chosen: list[str] = []
    count = 0
    for place in np.random.default_rng(_SEED).permutation(len(names)):
        size = len(numbers[names[place]])
        if count + size <= wanted and len(chosen) < len(names) - 1:
            chosen.append(names[place])
            count += size
    chosen = sorted(chosen) or [min(names, key=lambda name: len(numbers[name]))]
    held = frozenset(number for name in chosen for number in numbers[name])
    listed = ", ".join(chosen[:_NAMED]) + (", ..." if len(chosen) > _NAMED else "")
    note = f"{len(held):,} records of {len(chosen):,} of {len(names):,} speakers are held out: {listed}."
    return ChosenRecords(records, held, keep=False), ChosenRecords(records, held, keep=True), note
