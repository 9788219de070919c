"""Weights of records in training: a column of the data, such as a quality score.

A record of weight 2 pulls as hard as two of weight 1, a record of weight 0 not at all; only the proportions matter, since the update
divides by the sum. That is another thing than the weight of a file, which says how often its records are shown.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from antiphon.contracts.records import Record
from antiphon.data.folders import finish
from antiphon.errors import DataError


def weight_of(record: Record, column: str) -> float:
    """The weight of a record. Raises DataError if it is not a number from 0 up."""
    value = record.get(column)
    try:
        weight = math.nan if isinstance(value, bool) or value is None else float(value)
    except (TypeError, ValueError):
        weight = math.nan
    if not 0 <= weight < math.inf:
        what = "is missing" if value is None else f"is {value!r:.40}"
        raise DataError(f"`{column}` must be a weight, a number from 0 up, but {what}.")
    return weight


def check_all_weighed(column: str, others: bool, present: bool) -> None:
    """Raise DataError for a record that has a weight where others have none, or none where they have one."""
    if present != others:
        raise DataError(f"All records must have a weight in `{column}`, or none, but this one {'has one' if present else 'has none'}.")


@final
class WeightWriter:
    """Stores the weights of a corpus. Records may lack the column if none has it: validation records need no weights.

    `present` says whether records have weights; None until the first one has been seen.
    """

    def __init__(self, folder: Path, column: str, present: bool | None = None):
        self.column, self._file = column, open(folder / "weights.bin", "wb")  # noqa: SIM115 -- closed by `close`
        self.present = present
        self._count, self._sum, self._zeros, self._least, self._most = 0, 0.0, 0, math.inf, -math.inf

    def expect(self, present: bool) -> None:
        """Note whether the records of a block have weights. Raises DataError if the records before them had weights and these have none, or
        the other way round."""
        self.present = present if self.present is None else self.present
        check_all_weighed(self.column, self.present, present)

    def append(self, weights: Sequence[float] | np.ndarray) -> None:
        """Store the weights of a block's examples that were kept."""
        stored = np.asarray(weights, dtype=np.float32)
        self._file.write(stored.tobytes())
        self._count, self._sum = self._count + len(stored), self._sum + math.fsum(stored)
        self._zeros += int((stored == 0).sum())
        self._least, self._most = min(self._least, float(stored.min())), max(self._most, float(stored.max()))

    def close(self) -> None:
        """Write to disk and close."""
        finish(self._file)

    def facts(self) -> dict[str, Any] | None:
        """Statistics of the weights; None if no record has one. Raises DataError when all weights are 0."""
        if not self.present:
            return None
        if self._most == 0:
            raise DataError(f"At least one record must have a weight above 0 in `{self.column}`, but all are 0.")
        mean = self._sum / self._count
        return {"column": self.column, "least": self._least, "most": self._most, "mean": mean, "zeros": self._zeros}


def weights_said(facts: dict[str, Any]) -> str:
    """A remark on stored weights."""
    zeros = f"; {facts['zeros']:,} are 0 and teach nothing" if facts["zeros"] else ""
    return f"weights in `{facts['column']}` from {facts['least']:.4g} to {facts['most']:.4g}, mean {facts['mean']:.4g}{zeros}"
