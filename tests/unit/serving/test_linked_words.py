"""Which words of a prediction belong to which of its source, and which were copied."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from antiphon.errors import ConfigError
from antiphon.prediction.loading import load
from antiphon.serving.linked_words import with_links

RUN = Path(__file__).parents[2] / "checkpoints" / "translation"


class _Task:
    target_column = "target"

    def word_places(self, record: Any) -> tuple[np.ndarray, np.ndarray]:
        return np.array([-1, 0, 1, 1, -1]), np.array([0, 0, 1, 2])


class _Predictor:
    task = _Task()

    def score(self, records: Any, **settings: Any) -> Any:
        raise ConfigError("no attention")


def copied(*found: tuple[float, int]) -> list[dict[str, Any]]:
    return [{"probability": probability, "position": position} for probability, position in found]


@pytest.mark.parametrize(
    ("symbols", "words"),
    [
        (copied((0.9, 1), (0.6, 2), (0.2, 3), (0.7, 3)), [(0, 0, 0.9), (2, 1, 0.7)]),
        (copied((0.9, 0), (0.9, 4), (0.9, -1), (0.9, 9)), []),  # a tag, the end, a word that is not there, one that was cut off
        (copied((0.9, 1)), []),  # other symbols than those of the text
    ],
)
def test_what_was_copied_is_told_in_words(symbols: Any, words: Any) -> None:
    plain = [{"prediction": "a b c", "copied": symbols}]
    found = with_links(_Predictor(), [{"source": "x y"}], plain)  # type: ignore[arg-type]
    assert [(one["word"], one["source_word"], one["probability"]) for one in found[0]["copied_words"]] == words
    assert "copied_words" not in plain[0]


def test_alternatives_are_linked_too_and_what_is_wrong_is_left_alone() -> None:
    predictor = load(RUN)
    record = {predictor.task.source_columns[0]: "abcd abcd"}
    plain = [
        {"prediction": "ab ab", "alternatives": [{"prediction": "ab"}, {"prediction": ""}]},
        {"prediction": "", "error": "the source is empty."},
    ]
    found = with_links(predictor, [record, record], plain)
    assert [len(one["word_alignment"].split()) for one in (found[0], found[0]["alternatives"][0])] == [2, 1]
    assert "word_alignment" not in found[0]["alternatives"][1]
    assert found[1] == plain[1]
    assert with_links(SimpleNamespace(task=SimpleNamespace(target_column=None)), [record], plain) is plain  # type: ignore[arg-type]
