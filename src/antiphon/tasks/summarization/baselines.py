"""What a summary must beat: beginnings of the source, which need no model, and the best that its sentences can do.

    lead_8_words         the first eight words; their number is the median length of the references unless it is given
    first_sentence       the first sentence
    extractive_oracle    the sentences that together are most like the reference (Nallapati et al. 2017): no baseline, for it knows the
                         answer, but the limit of what can be had by choosing sentences. A model above it does more than that.

Unusual: words are those of ROUGE (`metrics/words.py`), so a lead has as many words as the metric counts, also in scripts without spaces.
"""

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from antiphon.features.sentences import sentences
from antiphon.metrics.rouge import ngrams_of
from antiphon.metrics.words import leading, words

_ORDERS = (1, 2)
_Grams = tuple[tuple[Counter[Any], int], ...]
"""For each order the n-grams of a text, and their number."""


def summary_baselines(sources: Sequence[str], references: Sequence[Sequence[str]], *, lead: int | None = None) -> dict[str, list[str]]:
    """What each of them says for every source, by name. `references[i]` holds the alternatives for source i.

    `lead` is the number of words of the lead; the median length of the references when not given.
    """
    assert len(sources) == len(references), f"there must be references for each of {len(sources)} sources, but there are {len(references)}"
    count = median_length(references) if lead is None else lead
    return {
        f"lead_{count}_words" if count != 1 else "lead_1_word": [lead_words(source, count) for source in sources],
        "first_sentence": [first_sentence(source) for source in sources],
        "extractive_oracle": [extractive_oracle(source, known) for source, known in zip(sources, references, strict=True)],
    }


def median_length(references: Sequence[Sequence[str]]) -> int:
    """The median number of words of all references, at least 1."""
    lengths = [len(words(reference)) for alternatives in references for reference in alternatives]
    return max(1, round(statistics.median(lengths))) if lengths else 1


def lead_words(source: str, count: int) -> str:
    """The source's first `count` words, as they are written; the whole of a shorter one."""
    return leading(source, count)


def first_sentence(source: str) -> str:
    """The source's first sentence that holds a word; "" when none does."""
    return next((sentence for sentence in sentences(source) if words(sentence)), "")


def extractive_oracle(source: str, references: Sequence[str]) -> str:
    """The sentences of the source, in its order, that were chosen one by one for the highest ROUGE-1 plus ROUGE-2 F1 with a reference.

    It ends when no further sentence raises the score, and is "" when no sentence has a word of a reference. Of several references the
    one that fits best counts. Pairs of words across two sentences do not count.
    """
    found = sentences(source)
    table = [_grams(sentence) for sentence in found]
    known = [_grams(reference) for reference in references]
    vocabulary = {word for grams in known for word in grams[0][0]}
    left = [number for number, grams in enumerate(table) if not vocabulary.isdisjoint(grams[0][0])]
    chosen: list[int] = []
    so_far, best = _grams(""), 0.0
    while left:
        together = {number: _joined(so_far, table[number]) for number in left}
        scores = {number: max(_score(grams, other) for other in known) for number, grams in together.items()}
        number = max(left, key=scores.__getitem__)  # of equally good ones the first
        if scores[number] <= best:
            break
        so_far, best = together[number], scores[number]
        chosen.append(number)
        left.remove(number)
    return " ".join(found[number] for number in sorted(chosen))


def _grams(text: str) -> _Grams:
    said = words(text)
    return tuple(ngrams_of(said, order) for order in _ORDERS)


def _joined(one: _Grams, other: _Grams) -> _Grams:
    return tuple((a + b, count + more) for (a, count), (b, more) in zip(one, other, strict=True))


def _score(said: _Grams, known: _Grams) -> float:
    """The sum of the F1 scores of all orders."""
    total = 0.0
    for (own, count), (other, length) in zip(said, known, strict=True):
        shared = sum(min(times, own[gram]) for gram, times in other.items() if gram in own)
        total += 2 * shared / (count + length) if shared else 0.0
    return total
