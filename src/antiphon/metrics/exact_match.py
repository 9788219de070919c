"""Exact match: the share of predictions that equal one of their references, character by character; one minus the word error rate of
grapheme-to-phoneme conversion, whose items are words."""

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from jaxtyping import Float

from antiphon.metrics.interface import Metric
from antiphon.metrics.items import check_texts


@final
class ExactMatch(Metric):
    """Percentage of items that are entirely correct. Nothing is normalized, not even spaces.

    Statistics: whether the prediction is right, and 1 to count the items.
    """

    name = "exact_match"
    summary = "exact match, percent: predictions that equal a reference"
    higher_is_better = True
    worthless = 0.0
    signature = "norm:none|ref:any"

    def statistics(self, predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> Float[np.ndarray, "N K"]:
        """1 for a correct item and 0 otherwise, and 1, for each item."""
        check_texts(predictions, references)
        right = [prediction in alternatives for prediction, alternatives in zip(predictions, references, strict=True)]
        return np.stack([np.array(right, dtype=np.float64), np.ones(len(right))], axis=1)

    def aggregate(self, total: Float[np.ndarray, "... K"]) -> Float[np.ndarray, "..."]:
        """The share of correct items."""
        return np.asarray(100 * total[..., 0] / total[..., 1])


plugin = ExactMatch()
