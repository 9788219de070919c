"""Token accuracy: the share of tokens that are correct, position by position.

Tokens stand between whitespace. Position i of the prediction is compared with position i of the reference, without alignment: one missing
token makes all behind it wrong, as fits outputs whose positions mean something (labels of a sequence). For free text use an error rate.
"""

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from jaxtyping import Float

from antiphon.metrics.interface import Metric
from antiphon.metrics.items import check_texts


@final
class TokenAccuracy(Metric):
    """Percentage of correct positions, out of the positions of the longer one of prediction and reference: missing and superfluous tokens
    count as wrong.

    Statistics: positions that are right, positions. Of several references the one with the highest accuracy counts, then the longest.
    """

    name = "token_accuracy"
    summary = "token accuracy, percent: positions with the right token, without alignment"
    higher_is_better = True
    worthless = 0.0
    signature = "unit:tokens|norm:none|ref:best"

    def statistics(self, predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> Float[np.ndarray, "N K"]:
        """Correct positions, and positions, of each item."""
        check_texts(predictions, references)
        rows = []
        for prediction, alternatives in zip(predictions, references, strict=True):
            said = prediction.split()
            counts = [_positions(said, reference.split()) for reference in alternatives]
            rows.append(max(counts, key=lambda count: (count[0] / count[1] if count[1] else 1.0, count[1])))
        return np.array(rows, dtype=np.float64)

    def aggregate(self, total: Float[np.ndarray, "... K"]) -> Float[np.ndarray, "..."]:
        """The share of correct positions; 100 when both the references and the predictions are empty."""
        right, positions = total[..., 0], total[..., 1]
        return np.asarray(100 * np.where(positions > 0, right / np.maximum(positions, 1), 1.0))


def _positions(said: list[str], expected: list[str]) -> tuple[int, int]:
    right = sum(one == other for one, other in zip(said, expected, strict=False))
    return right, max(len(said), len(expected))


plugin = TokenAccuracy()
