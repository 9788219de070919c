"""Descriptive measures of outputs beside their correctness: how much they copy, how long they are, how much they repeat.

None of these has a best value, so `higher_is_better` is None: a summary that copies everything or nothing is no better for it. They
are read beside those of references and baselines. Words are those of ROUGE (`metrics/words.py`); case and punctuation do not count.

Unusual: a value is the sum of the items' counts over the sum of what they are out of, so long outputs weigh more than short ones.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, final

import numpy as np
from jaxtyping import Float

from antiphon.metrics import words
from antiphon.metrics.interface import Metric
from antiphon.metrics.items import check_texts
from antiphon.metrics.rouge import ngrams_of
from antiphon.metrics.sourced import source_of
from antiphon.version import __version__

Count = Callable[[list[str], list[str]], tuple[int, int]]
"""(words of the output, words that it is compared with) -> a count, and the total that it is out of."""


@final
class WordShare(Metric):
    """The ratio of two counts of words.

    beside   what outputs are compared with: the "source", the "reference" that is nearest in length (of equally near ones the shorter, as
             in BLEU), or "nothing"
    scale    100 for percent, 1 for a ratio

    Statistics: how many, out of how many. Items that have nothing to count, such as a pair of words in an output of one word, add nothing.
    """

    def __init__(self, name: str, summary: str, unit: str, count: Count, *, beside: Literal["source", "reference", "nothing"], scale: int):
        self.name, self.summary, self.higher_is_better = name, summary, None
        self.signature = f"unit:{unit}|beside:{beside}|avg:words|case:lc|{words.SIGNATURE}|version:{__version__}"
        self._count, self._beside, self._scale = count, beside, scale

    def statistics(self, predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> Float[np.ndarray, "N K"]:
        """The two counts of each item. Raises DataError where a source is needed but a reference does not carry it."""
        check_texts(predictions, references)
        rows = []
        for number, (prediction, alternatives) in enumerate(zip(predictions, references, strict=True), start=1):
            said = words.words(prediction)
            rows.append(self._count(said, self._compared(said, alternatives, number)))
        return np.array(rows, dtype=np.float64)

    def aggregate(self, total: Float[np.ndarray, "... K"]) -> Float[np.ndarray, "..."]:
        """The ratio of the counts; 0 where the total is 0."""
        return np.asarray(self._scale * total[..., 0] / np.maximum(total[..., 1], 1))

    def _compared(self, said: list[str], alternatives: Sequence[str], number: int) -> list[str]:
        if self._beside == "source":
            return words.words(source_of(self.name, alternatives, number))
        if self._beside == "reference":
            return min(map(words.words, alternatives), key=lambda known: (abs(len(known) - len(said)), len(known)))
        return []


def novelty(name: str, order: int) -> WordShare:
    """The share of an output's n-grams that are not in its source."""

    def count(said: list[str], source: list[str]) -> tuple[int, int]:
        (own, total), (known, _) = ngrams_of(said, order), ngrams_of(source, order)
        return sum(number for gram, number in own.items() if gram not in known), total

    what = "words" if order == 1 else "pairs of words"
    return WordShare(
        name, f"novelty, percent: {what} of the output that the source does not have", f"{order}-grams", count, beside="source", scale=100
    )


def repetition(name: str, order: int) -> WordShare:
    """The share of an output's n-grams that occurred earlier in it."""

    def count(said: list[str], _: list[str]) -> tuple[int, int]:
        own, total = ngrams_of(said, order)
        return total - len(own), total

    what = "words" if order == 1 else "pairs of words"
    return WordShare(
        name, f"repetition, percent: {what} that the output has said before", f"{order}-grams", count, beside="nothing", scale=100
    )
