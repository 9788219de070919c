"""chrF (Popović 2015) and, with words, chrF++ (Popović 2017), equal to sacrebleu's: recall weighs twice as much as precision (chrF2)."""

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from jaxtyping import Float
from sacrebleu.metrics.chrf import CHRF

from antiphon.metrics.interface import Metric
from antiphon.metrics.sacrebleu_statistics import segment_statistics, settings_signature

_BETA_SQUARED = 4.0


@final
class Chrf(Metric):
    """F2 score over character n-grams up to 6 and word n-grams up to `word_order`, in percent.

    Statistics: for each order the n-grams of the prediction, of the reference (the best one of several), and those matched.
    """

    worthless = 0.0

    def __init__(self, name: str, word_order: int, summary: str):
        self.name, self.summary, self.higher_is_better = name, summary, True
        self._chrf = CHRF(word_order=word_order)
        self.signature = settings_signature(self._chrf)

    def statistics(self, predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> Float[np.ndarray, "N K"]:
        """N-gram counts of each item."""
        return segment_statistics(self._chrf, predictions, references)

    def aggregate(self, total: Float[np.ndarray, "... K"]) -> Float[np.ndarray, "..."]:
        """The F2 score of the mean precision and mean recall over the orders that prediction and reference both have."""
        predicted, reference, matched = total[..., 0::3], total[..., 1::3], total[..., 2::3]
        effective = (predicted > 0) & (reference > 0)
        orders = np.maximum(effective.sum(axis=-1), 1)
        precision = np.where(effective, matched / np.maximum(predicted, 1), 0.0).sum(axis=-1) / orders
        recall = np.where(effective, matched / np.maximum(reference, 1), 0.0).sum(axis=-1) / orders
        weighted = _BETA_SQUARED * precision + recall
        score = 100 * (1 + _BETA_SQUARED) * precision * recall / np.where(weighted > 0, weighted, 1.0)
        return np.asarray(score)


plugin = Chrf("chrf", 0, "chrF2, percent: F-score over character n-grams (sacrebleu)")
