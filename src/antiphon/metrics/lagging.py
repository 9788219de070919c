"""Lagging metrics: how many words a simultaneous translation lags behind its source; the mean over sentences, equal to SimulEval's on
words.

Average lagging (Ma et al. 2019, STACL, section 4.2) compares how much had been read when each word was said with a translator that says all
words at an even pace from the first moment; what is said once the source has ended does not count, but for its first word. It favours
outputs that are too long, which seem to keep a faster pace; so its length-adaptive form (LAAL, Papi et al. 2022) takes the pace of the
reference where that is longer.

Unusual: the pace is that of the output, as in the paper; SimulEval's AL takes the reference's.
"""

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from jaxtyping import Float

from antiphon.errors import DataError
from antiphon.metrics.interface import Metric
from antiphon.metrics.items import check_texts
from antiphon.metrics.timed import TimedText


@final
class Lagging(Metric):
    """The lag in words of the source. Statistics: the lag of an item, and 1; both 0 for an item with an empty output."""

    def __init__(self, name: str, summary: str, *, adaptive: bool):
        self.name, self.summary, self.higher_is_better = name, summary, False
        self.signature = f"unit:words|pace:{'longer of output and reference' if adaptive else 'output'}"
        self._adaptive = adaptive

    def statistics(self, predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> Float[np.ndarray, "N K"]:
        """The lag of each item. Raises DataError for a prediction without the times of its words."""
        check_texts(predictions, references)
        rows = np.zeros((len(predictions), 2))
        for number, (prediction, alternatives) in enumerate(zip(predictions, references, strict=True)):
            if not isinstance(prediction, TimedText):
                raise DataError(
                    f"The prediction of item {number + 1} must have the times of its words for the metric `{self.name}`, but has none. A"
                    " model with `model.wait_k` gives them for texts of one line; in Python pass antiphon.metrics.timed.TimedText."
                )
            if prediction.read and prediction.source_length:
                length = max([len(prediction.read), *(len(str(one).split()) for one in alternatives)] if self._adaptive else [0])
                rows[number] = lagging(prediction.read, prediction.source_length, length or len(prediction.read)), 1
        return rows

    def aggregate(self, total: Float[np.ndarray, "... K"]) -> Float[np.ndarray, "..."]:
        """The mean over the items with an output; NaN where there are none."""
        return np.where(total[..., 1] > 0, total[..., 0] / np.maximum(total[..., 1], 1), np.nan)

    def taking_part(self, statistics: Float[np.ndarray, "N K"]) -> int:
        """The number of items with an output."""
        return int(statistics[:, 1].sum())


def lagging(read: Sequence[int], source_length: int, target_length: int) -> float:
    """The mean number of words read beyond an even pace, over the words up to the first that is output once all is read.

    read             words of the source read when each word was said, at least one
    source_length    words of the source
    target_length    words that set the pace
    """
    known = next((place for place, words in enumerate(read, 1) if words >= source_length), len(read))
    pace = source_length / target_length
    return sum(words - place * pace for place, words in enumerate(read[:known])) / known
