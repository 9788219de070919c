"""What is written need not be what was said: a recording in one language, a text in another, with the metrics of translation."""

from typing import Any

import numpy as np
import pytest

from antiphon.contracts.asking import restored
from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Hypothesis
from antiphon.metrics.scoring import evaluate
from antiphon.recipe.recipe import recipe_from
from antiphon.tasks.speech_recognition.config import SpeechRecognitionConfig
from antiphon.tasks.speech_recognition.task import SpeechRecognition
from tests.unit.data.sounds import tone

GERMAN = ["der Gast, größer als Anna, kommt um halb vier an", "meine Schwester kommt am Freitag um halb vier zurück", "二 です 。 Ja"]


@pytest.mark.parametrize("vocabulary", [{"kind": "word"}, {"kind": "character"}, {"kind": "bpe", "size": 310}], ids=str)
def test_a_text_of_another_language_is_written_and_scored(vocabulary: dict[str, Any]) -> None:
    rows = [{"audio": tone(0.3, 300 + 300 * n), "sample_rate": 16000, "text": text, "english": "x"} for n, text in enumerate(GERMAN)]
    task = SpeechRecognition(validate(SpeechRecognitionConfig, {"features": {"bins": 20}, "vocabulary": vocabulary}))
    task.fit(rows)
    said = []
    for row in rows:
        example = task.encode(row)
        assert example.target is not None
        said.append(task.decode([Hypothesis(example.target[1:-1].astype(np.int64), 0.0, 0.0)], example).value)
        assert restored(task, row) == task.reference(row) == row["text"]
    assert said == GERMAN
    scores = evaluate(["bleu", "chrf"], said, [[task.reference(row)] for row in rows], resamples=0)
    assert [score.value for score in scores] == pytest.approx([100, 100])


def test_a_recipe_of_speech_may_be_scored_as_a_translation() -> None:
    recipe = recipe_from(
        {
            "task": "speech_recognition",
            "model": {"name": "conformer", "ctc": True},
            "training": {"max_steps": 1, "best": "bleu"},
            "evaluation": {"metrics": ["bleu", "chrf"]},
        }
    )
    assert recipe.search.name == "beam"
    assert recipe.search.ctc_weight == 0, "CTC says nothing of an order that is another than that of the sound"
