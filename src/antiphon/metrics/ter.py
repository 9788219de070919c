"""Translation edit rate (Snover et al. 2006), equal to sacrebleu's: edits, including block shifts, per word of the reference; ignores
case."""

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from jaxtyping import Float
from sacrebleu.metrics.ter import TER

from antiphon.metrics.edit_distance import rate
from antiphon.metrics.interface import Metric
from antiphon.metrics.sacrebleu_statistics import segment_statistics, settings_signature


@final
class Ter(Metric):
    """TER in percent; it may exceed 100.

    Statistics: edits to the closest reference, average length of the references.
    """

    worthless = 100.0

    def __init__(self) -> None:
        self.name, self.higher_is_better = "ter", False
        self.summary = "translation edit rate, percent: edits and shifts per reference word (sacrebleu)"
        self._ter = TER()
        self.signature = settings_signature(self._ter)

    def statistics(self, predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> Float[np.ndarray, "N K"]:
        """Edits and reference length of each item."""
        return segment_statistics(self._ter, predictions, references)

    def aggregate(self, total: Float[np.ndarray, "... K"]) -> Float[np.ndarray, "..."]:
        """Edits per reference word."""
        return rate(total[..., 0], total[..., 1])


plugin = Ter()
