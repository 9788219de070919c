"""Details of an evaluation of speech recognition beside its scores: errors by kind, by speaker and by length, and the worst utterances.

All of it is made of the statistics of the metrics themselves, so that no second count of errors can drift from the first.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jiwer
import numpy as np
from jaxtyping import Float

from antiphon.contracts.sequences import Prediction
from antiphon.metrics.character_error_rate import plugin as characters
from antiphon.metrics.word_error_rate import plugin as words

_PARTS = 4  # lengths are looked at in quarters
_WORST = 20
_LISTED = 1000  # speakers, the worst first

Statistics = Float[np.ndarray, "N 4"]


def speech_details(
    names: Sequence[str], speakers: Sequence[str] | None, predictions: Sequence[Prediction], references: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """The details as plain values: `errors`, `speakers` (if known), `lengths`, and `worst` with alignments.

    `names` says which recordings the predictions are for.
    """
    texts = [prediction.text for prediction in predictions]
    by_word, by_character = words.statistics(texts, references), characters.statistics(texts, references)
    seconds = np.array([float(prediction.details.get("seconds", np.nan)) for prediction in predictions])

    def row(chosen: np.ndarray) -> dict[str, Any]:
        return {
            "utterances": int(chosen.sum()),
            "seconds": round(float(np.nansum(seconds[chosen])), 2),
            **_counts(by_word[chosen].sum(axis=0)),
            "word_error_rate": float(words.aggregate(by_word[chosen].sum(axis=0))),
            "character_error_rate": float(characters.aggregate(by_character[chosen].sum(axis=0))),
        }

    everything = np.ones(len(texts), dtype=bool)
    details: dict[str, Any] = {"errors": row(everything), "lengths": _by_length(seconds, row)}
    if speakers is not None:
        details["speakers"] = _by_speaker(np.array(speakers), row)
    details["worst"] = _worst(names, texts, references, by_word)
    return details


def _counts(total: Float[np.ndarray, " 4"]) -> dict[str, int]:
    names = ("substitutions", "deletions", "insertions", "reference_words")
    return {name: int(count) for name, count in zip(names, total, strict=True)}


def _by_speaker(speakers: np.ndarray, row: Callable[[np.ndarray], dict[str, Any]]) -> list[dict[str, Any]]:
    found = [{"speaker": str(name), **row(speakers == name)} for name in np.unique(speakers)]
    return sorted(found, key=lambda entry: -entry["word_error_rate"])[:_LISTED]


def _by_length(seconds: Float[np.ndarray, " N"], row: Callable[[np.ndarray], dict[str, Any]]) -> list[dict[str, Any]]:
    """Errors by quartile of utterance length, shortest first."""
    known = seconds[~np.isnan(seconds)]
    if not len(known):
        return []
    bounds = np.quantile(known, np.linspace(0, 1, _PARTS + 1))
    parts = np.clip(np.searchsorted(bounds, seconds, side="right") - 1, 0, _PARTS - 1)
    rows = []
    for part in range(_PARTS):
        chosen = (parts == part) & ~np.isnan(seconds)
        if chosen.any():
            rows.append({"from": round(float(seconds[chosen].min()), 2), "to": round(float(seconds[chosen].max()), 2), **row(chosen)})
    return rows


def _worst(names: Sequence[str], texts: Sequence[str], references: Sequence[Sequence[str]], by_word: Statistics) -> list[dict[str, Any]]:
    """The utterances with the most wrong words, with jiwer's alignment of reference and prediction."""
    errors = by_word[:, :3].sum(axis=1)
    found = []
    for place in np.argsort(-errors, kind="stable")[:_WORST].tolist():
        if errors[place] == 0:
            break
        entry: dict[str, Any] = {"audio": names[place], "reference": references[place][0], "prediction": texts[place]}
        entry |= _counts(by_word[place])
        if references[place][0].split():
            aligned = jiwer.process_words(references[place][0], texts[place])
            entry["alignment"] = jiwer.visualize_alignment(aligned, show_measures=False, skip_correct=False)
        found.append(entry)
    return found
