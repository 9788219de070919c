"""Baselines for summaries: the beginning of the source, which needs no model, and the best choice of its sentences (an oracle).

    lead_8_words         the first eight words; their number is the median length of the references unless it is given
    first_sentence       the first sentence
    extractive_oracle    the sentences that together are most like the reference (Nallapati et al. 2017): no baseline, for it knows the
                         answer, but the limit of what can be had by choosing sentences. A model above it does more than that.

Which of them are computed is `task.baselines`.

Unusual: words are those of ROUGE (`metrics/words.py`), so a lead has as many words as the metric counts, also in scripts without spaces.
"""

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, final, get_args

import numpy as np
from jaxtyping import Float, Int

from antiphon.features.sentences import sentences
from antiphon.metrics.rouge import ngrams_of
from antiphon.metrics.words import leading, words

SummaryBaseline = Literal["lead", "first_sentence", "extractive_oracle"]
EVERY: tuple[SummaryBaseline, ...] = get_args(SummaryBaseline)
_ORDERS = (1, 2)
_Grams = tuple[tuple[Counter[Any], int], ...]
"""For each order the n-grams of a text, and their number."""


def summary_baselines(
    sources: Sequence[str], references: Sequence[Sequence[str]], names: Sequence[SummaryBaseline] = EVERY, *, lead: int | None = None
) -> dict[str, list[str]]:
    """The output of each named baseline for every source. `references[i]` holds the alternatives for source i.

    `lead` is the number of words of the lead; the median length of the references when not given.
    """
    assert len(sources) == len(references), f"there must be references for each of {len(sources)} sources, but there are {len(references)}"
    found = {}
    for name in names:
        if name == "lead":
            count = median_length(references) if lead is None else lead
            shown = f"lead_{count}_words" if count != 1 else "lead_1_word"
            found[shown] = [lead_words(source, count) for source in sources]
        elif name == "first_sentence":
            found[name] = [first_sentence(source) for source in sources]
        else:
            found[name] = [extractive_oracle(source, known) for source, known in zip(sources, references, strict=True)]
    return found


def median_length(references: Sequence[Sequence[str]]) -> int:
    """The median number of words of all references, at least 1."""
    lengths = [len(words(reference)) for alternatives in references for reference in alternatives]
    return max(1, round(statistics.median(lengths))) if lengths else 1


def lead_words(source: str, count: int) -> str:
    """The source's first `count` words, as written; a shorter source as a whole."""
    return leading(source, count)


def first_sentence(source: str) -> str:
    """The source's first sentence that contains a word; "" when none does."""
    return next((sentence for sentence in sentences(source) if words(sentence)), "")


def extractive_oracle(source: str, references: Sequence[str]) -> str:
    """The source's sentences, in its order, that greedily maximize ROUGE-1 plus ROUGE-2 F1 with a reference.

    It ends when no further sentence raises the score, and is "" when no sentence has a word of a reference. Of several references the
    one that fits best counts. Pairs of words across two sentences do not count.
    """
    found = sentences(source)
    table = [_grams(sentence) for sentence in found]
    known = [_Reference(_grams(reference), table) for reference in references]
    possible = np.array([any(reference.has(number) for reference in known) for number in range(len(found))])
    chosen: list[int] = []
    best = 0.0
    while possible.any():
        scores = np.where(possible, np.max([reference.scores() for reference in known], axis=0), -1.0)
        number = int(scores.argmax())  # of equally good ones the first
        if scores[number] <= best:
            break
        best, possible[number] = float(scores[number]), False
        chosen.append(number)
        for reference in known:
            reference.take(number)
    return " ".join(found[number] for number in sorted(chosen))


@final
class _Reference:
    """A reference, and what each sentence of `table` would add to the sentences chosen so far. Scores are sums of F1 over all orders."""

    def __init__(self, grams: _Grams, table: Sequence[_Grams]):
        self._table = table
        self._orders = [_Unsaid(known, length, [one[place] for one in table]) for place, (known, length) in enumerate(grams)]

    def has(self, number: int) -> bool:
        """Whether a sentence has a word of the reference."""
        return bool(self._orders[0].gains[number])

    def scores(self) -> Float[np.ndarray, " N"]:
        """For each sentence the score of the chosen ones together with it."""
        return np.asarray(np.sum([order.scores() for order in self._orders], axis=0))

    def take(self, number: int) -> None:
        """Choose a sentence."""
        for order, (said, count) in zip(self._orders, self._table[number], strict=True):
            order.take(said, count)


@final
class _Unsaid:
    """The n-grams of one order that a reference contains and the chosen sentences do not; `gains` has the number in each sentence."""

    def __init__(self, known: Counter[Any], length: int, sentences: Sequence[tuple[Counter[Any], int]]):
        self._left, self._shared = known.copy(), 0
        self._places: dict[Any, list[tuple[int, int]]] = {gram: [] for gram in known}
        self._lengths: Int[np.ndarray, " N"] = np.array([length + count for _, count in sentences])
        self.gains: Int[np.ndarray, " N"] = np.zeros(len(sentences), dtype=np.int64)
        for number, (said, _) in enumerate(sentences):
            for gram in said.keys() & known.keys():
                self._places[gram].append((number, said[gram]))
                self.gains[number] += min(said[gram], known[gram])

    def scores(self) -> Float[np.ndarray, " N"]:
        """F1 of the chosen sentences with each further one."""
        return np.asarray(2 * (self._shared + self.gains) / np.maximum(self._lengths, 1))

    def take(self, said: Counter[Any], count: int) -> None:
        """Remove the n-grams of a chosen sentence; only sentences that share them gain less."""
        self._lengths += count
        for gram in said.keys() & self._left.keys():
            before, after = self._left[gram], max(0, self._left[gram] - said[gram])
            if after < before:
                self._left[gram], self._shared = after, self._shared + before - after
                for number, times in self._places[gram]:
                    self.gains[number] -= min(times, before) - min(times, after)


def _grams(text: str) -> _Grams:
    said = words(text)
    return tuple(ngrams_of(said, order) for order in _ORDERS)
