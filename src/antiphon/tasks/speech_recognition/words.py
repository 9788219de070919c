"""The words of a hypothesis, with the model's confidence in each, and when it is spoken.

Times come from the alignment of CTC where the hypothesis has spans (in frames of the source), or else from where attention looks, which is
rougher.
"""

from collections.abc import Callable
from math import exp
from typing import Any

import numpy as np

from antiphon.contracts.sequences import Hypothesis
from antiphon.tasks.growing_words import GrowingWords


def words_of(
    hypothesis: Hypothesis, decode: Callable[[np.ndarray], str], start: float, end: float, frame: float, filled: float | None = None
) -> list[dict[str, Any]]:
    """`word`, `confidence` (its probability given what comes before) and, if known, `start` and `end` in seconds.

    start, end   where the part that was decoded lies in its recording
    frame        seconds of a frame of the source
    filled       where the silence ends that a recording is filled up with; None is `end`
    """
    times = _times(hypothesis, start, end, frame, end if filled is None else filled)
    closed, last = GrowingWords(decode).extend(hypothesis.elements)
    found: list[dict[str, Any]] = []
    for word in (*closed, *last):
        entry: dict[str, Any] = {"word": word.text}
        scores = [hypothesis.step_scores[place] for place in word.elements if place < len(hypothesis.step_scores)]
        if scores:
            entry["confidence"] = round(exp(min(0.0, sum(scores))), 4)
        found.append(entry if times is None else entry | word.lasts(times))
    return found


def _times(hypothesis: Hypothesis, start: float, end: float, frame: float, filled: float) -> np.ndarray | None:
    """The times (T, 2) in seconds of each element, or None if they are unknown."""
    times: np.ndarray
    if hypothesis.spans is not None:
        times = np.minimum(start + np.asarray(hypothesis.spans, dtype=np.float64) * frame, end)
        return times
    if hypothesis.alignment is not None and hypothesis.alignment.size:
        column = (filled - start) / hypothesis.alignment.shape[1]
        peaks = np.maximum.accumulate(hypothesis.alignment[: len(hypothesis.elements)].argmax(axis=1))
        times = np.minimum(start + np.stack([peaks, peaks + 1], axis=1) * column, end)
        return times
    return None
