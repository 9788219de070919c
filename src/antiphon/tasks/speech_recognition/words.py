"""The words of a hypothesis: how sure the model is of each, and when it is said.

Times come from the alignment of CTC where the hypothesis has spans (in frames of the source), or else from where attention looks, which is
rougher. Unusual here: which symbols make a word is found by decoding longer and longer beginnings, so it serves every kind of vocabulary.
"""

from collections.abc import Callable
from math import exp
from typing import Any

import numpy as np

from antiphon.contracts.sequences import Hypothesis


def words_of(
    hypothesis: Hypothesis, decode: Callable[[np.ndarray], str], start: float, end: float, frame: float, filled: float | None = None
) -> list[dict[str, Any]]:
    """`word`, `confidence` (its probability given what comes before) and, where they are known, `start` and `end` in seconds.

    start, end   where the part that was decoded lies in its recording
    frame        seconds of a frame of the source
    filled       where the silence ends that a recording is filled up with; None is `end`
    """
    text, owners = _owners(hypothesis.elements, decode)
    times = _times(hypothesis, start, end, frame, end if filled is None else filled)
    found: list[dict[str, Any]] = []
    position = 0
    for word in text.split():
        begin = text.index(word, position)
        position = begin + len(word)
        inside = [place for place, (first, last) in enumerate(owners) if first < position and last > begin]
        entry: dict[str, Any] = {"word": word}
        scores = [hypothesis.step_scores[place] for place in inside if place < len(hypothesis.step_scores)]
        if scores:
            entry["confidence"] = round(exp(min(0.0, sum(scores))), 4)
        if times is not None and inside:
            entry["start"], entry["end"] = round(float(times[inside[0], 0]), 3), round(float(times[inside[-1], 1]), 3)
        found.append(entry)
    return found


def _owners(elements: np.ndarray, decode: Callable[[np.ndarray], str]) -> tuple[str, list[tuple[int, int]]]:
    """The text, and for each element the part of it (first character, the one behind the last) that came with it."""
    text, owners, reached = decode(elements), list[tuple[int, int]](), 0
    for count in range(1, len(elements) + 1):
        behind = min(len(text), len(decode(elements[:count]).rstrip()))
        owners.append((reached, max(reached, behind)))
        reached = owners[-1][1]
    return text, owners


def _times(hypothesis: Hypothesis, start: float, end: float, frame: float, filled: float) -> np.ndarray | None:
    """(T, 2) seconds of each element, or None when nothing tells."""
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
