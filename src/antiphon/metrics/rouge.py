"""ROUGE (Lin 2004): the overlap of a summary with a reference, as the F1 score of recall and precision.

    rouge1, rouge2    words, and pairs of neighbouring words
    rouge_l           the longest common subsequence of words
    rouge_lsum        the same by sentences, which stand on lines of their own: for each reference sentence the union of the subsequences
                      that it has in common with the sentences of the summary; without line breaks it is rouge_l

Each also with English endings stripped (`rouge1_stem` and so on). On ASCII text all are equal to those of the package rouge-score 0.1.2,
number for number, its 0 for a text without a word (or pair) included. They deviate where it knows no letters: with accented letters, and
in all other scripts (`metrics/words.py`).

Unusual: the score of a set is the mean of its items' scores, not one from counts summed over items. That is how ROUGE is reported.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np
from jaxtyping import Float

from antiphon.metrics import stemming, words
from antiphon.metrics.interface import Metric
from antiphon.metrics.items import check_texts
from antiphon.metrics.subsequence import common_length, common_places
from antiphon.version import __version__

Split = Callable[[str], list[str]]
Prepared = tuple[Any, int]
"""A text in the form in which it is compared, and the number of its units."""


@final
class Rouge(Metric):
    """The F1 score of shared units, in percent.

    prepare   a text, and what splits it into words -> what is compared, and its number of units
    shared    two prepared texts, the reference first -> how many units they share

    Statistics: the item's F1 score, and 1 to count the items. Of several references the one with the highest score counts.
    """

    worthless = 0.0

    def __init__(
        self, name: str, summary: str, prepare: Callable[[str, Split], Prepared], shared: Callable[[Any, Any], int], *, stem: bool
    ):
        self.name, self.summary, self.higher_is_better = name, summary, True
        endings = stemming.SIGNATURE if stem else "stem:none"
        self.signature = f"score:f1|avg:items|case:lc|{words.SIGNATURE}|{endings}|ref:best|version:{__version__}"
        self._split: Split = _stemmed_words if stem else words.words
        self._prepare, self._shared = prepare, shared

    def statistics(self, predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> Float[np.ndarray, "N K"]:
        """F1 score, and 1, for each item. Raises MissingPackageError for stemming without the extra `stemming`."""
        check_texts(predictions, references)
        known: dict[str, Prepared] = {}  # minimum Bayes risk compares the same few texts in all pairs

        def prepared(text: str) -> Prepared:
            if text not in known:
                known[text] = self._prepare(text, self._split)
            return known[text]

        best = [
            max(self._f1(prepared(prediction), prepared(reference)) for reference in alternatives)
            for prediction, alternatives in zip(predictions, references, strict=True)
        ]
        return np.stack([np.array(best, dtype=np.float64), np.ones(len(best))], axis=1)

    def aggregate(self, total: Float[np.ndarray, "... K"]) -> Float[np.ndarray, "..."]:
        """The mean of the items' scores."""
        return np.asarray(100 * total[..., 0] / total[..., 1])

    def _f1(self, prediction: Prepared, reference: Prepared) -> float:
        """Twice the number of shared units over the units of both, which is the harmonic mean of precision and recall."""
        if not prediction[1] or not reference[1]:
            return 0.0
        return 2 * self._shared(reference[0], prediction[0]) / (prediction[1] + reference[1])


def rouge_n(name: str, order: int, *, stem: bool = False) -> Rouge:
    """ROUGE-N: shared n-grams of `order` words, each as often as both texts have it."""

    def prepare(text: str, split: Split) -> Prepared:
        return ngrams_of(split(text), order)

    unit = "words" if order == 1 else "pairs of words" if order == 2 else f"{order}-grams"
    return Rouge(name, f"ROUGE-{order} F1, percent: shared {unit}{_ending(stem)}", prepare, _shared_ngrams, stem=stem)


def rouge_l(name: str, *, stem: bool = False) -> Rouge:
    """ROUGE-L: the longest common subsequence."""

    def prepare(text: str, split: Split) -> Prepared:
        found = split(text)
        return found, len(found)

    return Rouge(name, f"ROUGE-L F1, percent: longest common subsequence of words{_ending(stem)}", prepare, common_length, stem=stem)


def rouge_lsum(name: str, *, stem: bool = False) -> Rouge:
    """ROUGE-Lsum: unions of longest common subsequences, sentence by sentence."""

    def prepare(text: str, split: Split) -> Prepared:
        sentences = [found for line in text.split("\n") if (found := split(line))]
        return sentences, sum(map(len, sentences))

    return Rouge(
        name, f"ROUGE-Lsum F1, percent: ROUGE-L by sentences, one per line{_ending(stem)}", prepare, _shared_by_sentence, stem=stem
    )


def ngrams_of(found: Sequence[str], order: int) -> tuple[Counter[Any], int]:
    """The n-grams of a list of words, each with its count, and their total number."""
    grams = Counter[Any](found if order == 1 else zip(*(found[first:] for first in range(order)), strict=False))
    return grams, max(0, len(found) - order + 1)


def _shared_ngrams(reference: Counter[Any], prediction: Counter[Any]) -> int:
    few, many = (reference, prediction) if len(reference) < len(prediction) else (prediction, reference)
    return sum(min(count, many[gram]) for gram, count in few.items() if gram in many)


def _shared_by_sentence(reference: Sequence[list[str]], prediction: Sequence[list[str]]) -> int:
    """The sizes of the unions, where no word counts more often than either text has it (as in ROUGE-1.5.5)."""
    if len(reference) == len(prediction) == 1:
        return common_length(reference[0], prediction[0])
    left_in_reference = Counter(word for sentence in reference for word in sentence)
    left_in_prediction = Counter(word for sentence in prediction for word in sentence)
    shared = 0
    for sentence in reference:
        union = set[int]().union(*(common_places(sentence, other) for other in prediction))
        for word in (sentence[place] for place in sorted(union)):
            if left_in_reference[word] > 0 and left_in_prediction[word] > 0:
                left_in_reference[word] -= 1
                left_in_prediction[word] -= 1
                shared += 1
    return shared


def _stemmed_words(text: str) -> list[str]:
    return stemming.stemmed(words.words(text))


def _ending(stem: bool) -> str:
    return ", English endings stripped" if stem else ""
