"""Checks that every metric applies to its items: as many references as predictions, and no item without a reference.

Unusual: the arguments have loose types, since it is their contents that are in question.
"""

from collections.abc import Sequence
from typing import Any

from antiphon.errors import DataError


def check_items(predictions: Sequence[Any], references: Sequence[Any]) -> None:
    """Raise DataError unless there are items, each with a prediction and one reference or several."""
    if isinstance(predictions, str) or isinstance(references, str):
        raise DataError("Predictions and references must be lists with an entry per item, but one of them is a single text.")
    if len(predictions) == 0:
        raise DataError("A metric needs at least one prediction, but there are none.")
    if len(references) != len(predictions):
        raise DataError(f"There must be references for each of the {len(predictions)} predictions, but there are {len(references)}.")
    for number, alternatives in enumerate(references, start=1):
        if isinstance(alternatives, str):
            raise DataError(f"The references of item {number} must be a list, but are the text {alternatives!r:.80}. Put it in a list.")
        if alternatives is None or len(alternatives) == 0:
            raise DataError(f"Item {number} must have at least one reference, but has none.")


def check_texts(predictions: Sequence[Any], references: Sequence[Any]) -> None:
    """Like `check_items`; also raise DataError unless all predictions and references are texts. An empty text is allowed."""
    check_items(predictions, references)
    for number, (prediction, alternatives) in enumerate(zip(predictions, references, strict=True), start=1):
        if not isinstance(prediction, str):
            raise DataError(f"The prediction of item {number} must be a text, but is {prediction!r:.80}.")
        for reference in alternatives:
            if not isinstance(reference, str):
                raise DataError(f"The references of item {number} must be texts, but one is {reference!r:.80}.")
