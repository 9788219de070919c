"""Predictions for inputs that are not decoded: unusable ones, and empty ones."""

from dataclasses import replace
from typing import Any

import numpy as np

from antiphon.contracts.sequences import FinishReason, Hypothesis, Prediction
from antiphon.errors import DataError


def check_unicode(text: Any) -> None:
    """Raise DataError for a text that is not valid Unicode: bytes that were not UTF-8 (as `surrogateescape` keeps them), or lone
    surrogates."""
    try:
        _ = text.encode("utf-8") if isinstance(text, str) else b""
    except UnicodeEncodeError as error:
        if "\udc80" <= text[error.start] <= "\udcff":
            byte = len(text[: error.start].encode("utf-8")) + 1
            raise DataError(f"the source must be UTF-8, but its byte {byte} is not.") from error
        raise DataError(f"the source must be Unicode, but its character {error.start + 1} is half of a surrogate pair.") from error


def refused(reason: str) -> Prediction:
    """The empty prediction for an unusable input, with the reason."""
    return replace(nothing("refused"), details={"error": reason})


def nothing(reason: FinishReason) -> Prediction:
    """An empty prediction."""
    score = 0.0 if reason == "end" else float("-inf")
    return Prediction("", Hypothesis(np.zeros(0, dtype=np.int64), score, score, finish_reason=reason))
