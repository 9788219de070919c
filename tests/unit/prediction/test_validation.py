"""What references are when they reach the metrics; what is validated while a model learns, and when it has learned."""

import json
from io import StringIO
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from rich.console import Console

import antiphon
from antiphon.contracts.task import Task
from antiphon.metrics.scoring import evaluate
from antiphon.metrics.shown import shown
from antiphon.metrics.sourced import SourcedText
from antiphon.prediction.scoring import collapsed, group_references
from antiphon.prediction.validation import Validation, spread
from antiphon.recipe.recipe import recipe_from
from antiphon.tasks.speech_recognition.config import SpeechRecognitionConfig
from antiphon.tasks.speech_recognition.task import SpeechRecognition
from antiphon.tasks.translation import Translation, TranslationConfig
from antiphon.training.distributed import Ranks

RECORDS = [{"source": "a b c", "target": "a"}, {"source": "d", "target": "d"}, {"source": "a b c", "target": "b x"}]


@pytest.mark.parametrize(
    ("alternatives", "expected", "copied"), [(False, [["a"], ["d"], ["b x"]], 100 / 3), (True, [["a", "b x"], ["d"]], 25)]
)
def test_references_keep_their_sources(alternatives: bool, expected: list[list[str]], copied: float) -> None:
    """A reference that is more than a text stays what the task made it, so metrics can compare outputs with sources."""
    task = Mock(spec=Task, source_columns=("source",))
    task.source_of.side_effect = lambda record: record["source"]
    task.reference.side_effect = lambda record: SourcedText(record["target"], record["source"])
    items = group_references(task, RECORDS, alternatives=alternatives)
    references = [found for _, found in items]
    assert references == expected
    assert all(reference.source == record["source"] for record, found in items for reference in found)
    assert evaluate(["copy_rate"], ["a z"] * len(items), references, resamples=0)[0].value == pytest.approx(copied)


def test_alternatives_are_equal_in_all_that_a_model_reads() -> None:
    """A sentence that is to become German and French is two items; so are two recordings that lie in memory."""
    translation = Translation(TranslationConfig(tags=("to", "domain")))
    records = [
        {"source": "a", "target": said, "to": to, "domain": domain}
        for said, to, domain in [("b", "de", 1), ("c", "fr", 1), ("d", "de", 1), ("e", "de", 2)]
    ]
    assert [found for _, found in group_references(translation, records, alternatives=True)] == [["b", "d"], ["c"], ["e"]]
    speech = SpeechRecognition(SpeechRecognitionConfig())
    sounds = [np.zeros(9, np.float32), np.ones(9, np.float32), np.zeros(9, np.float32)]
    records = [{"audio": sound, "text": str(number)} for number, sound in enumerate(sounds)]
    assert [found for _, found in group_references(speech, records, alternatives=True)] == [["0", "2"], ["1"]]
    listed = [{"audio": {"array": [0.0, 1.0]}, "text": "x"}, {"audio": {"array": [1.0, 1.0]}, "text": "y"}]
    assert [found for _, found in group_references(speech, listed, alternatives=True)] == [["x"], ["y"]]


def test_a_collapse_is_told_from_outputs_that_are_rightly_alike() -> None:
    different = [f"reference {number}" for number in range(20)]
    assert "15 of 20 outputs are the same text, 'the'" in str(collapsed(["the"] * 15 + different[:5], different))
    assert collapsed(different, different) is None
    assert collapsed(["yes"] * 15 + ["no"] * 5, ["yes"] * 15 + ["no"] * 5) is None
    assert collapsed(["the"] * 9, different[:9]) is None  # too few to tell


# ------------------------------------------------------------------------------------------------------------------ a run

LETTERS = [{"source": f"{number:b}".replace("0", "a").replace("1", "b"), "target": f"{number:b}"} for number in range(1, 61)]


@pytest.fixture(scope="module")
def said() -> StringIO:
    return StringIO()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, said: StringIO) -> Path:
    recipe = recipe_from(
        {
            "task": {"name": "translation", "vocabulary": {"kind": "character"}},
            "model": {"name": "lstm", "dim": 8, "dropout": 0.0},
            "training": {"max_epochs": 7, "best": "chrf", "batching": {"target_tokens": 4000}, "device": "cpu"},
            "search": {"name": "beam", "beam_size": 3, "limits": {"max_length": 8}},
            "evaluation": {"metrics": ["chrf"], "resamples": 0},
        }
    )
    folder = tmp_path_factory.mktemp("validation") / "run"
    return antiphon.train(recipe, folder, data={"train": LETTERS, "validation": LETTERS}, console=Console(file=said, width=300))


def events(run: Path, kind: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def test_the_log_says_what_is_decoded_and_why(run: Path, said: StringIO) -> None:
    assert run.is_dir()
    (line,) = [line for line in said.getvalue().splitlines() if line.startswith("Validation")]
    assert "loss of all 60 records; decoded are 50 of them, evenly spread, greedily" in line
    assert "about 10% of the time (`training.validation_share`)" in line


def test_epochs_too_short_for_a_validation_share_one(run: Path) -> None:
    """One update an epoch: validated are the first five, and the last one, where the budget ends."""
    assert [event["step"] for event in events(run, "validation")] == [1, 2, 3, 4, 5, 7]


def test_the_best_checkpoint_is_scored_in_full_at_the_end(run: Path) -> None:
    (final,) = events(run, "final")
    validations = events(run, "validation")
    assert final["of"] == [event["step"] for event in validations if event["best"]][-1]
    found = antiphon.evaluate(run, LETTERS)
    assert final["scores"]["chrf"] == pytest.approx(found["chrf"])
    assert final["scores"]["loss"] == pytest.approx(found["loss"], rel=1e-4)
    assert "Best checkpoint, on all 60 records with search `beam`: " in str(final["message"])


def test_what_decides_is_of_the_same_records_and_search(run: Path) -> None:
    """The score in full belongs to another search, and so never to the question which checkpoint is best."""
    (end,) = events(run, "end")
    best = max(event["scores"]["chrf"] for event in events(run, "validation"))
    assert f"Best chrf: {shown(best)}" in str(end["message"])


def test_places_are_spread_and_the_same_each_time() -> None:
    assert spread(10, 4) == [0, 2, 5, 7]
    assert spread(3, 10) == [0, 1, 2]


def test_outputs_that_stay_one_text_are_said_once_with_what_to_change() -> None:
    said: list[str] = []
    validation = Validation.__new__(Validation)  # only what watches
    validation.ranks, validation.say, validation._alike = Ranks(0, 1, torch.device("cpu")), said.append, 0
    for sentence in ("9 of 10 outputs ...", None, *["10 of 10 outputs are the same text."] * 5):
        validation._watch(sentence)
    assert len(said) == 1, "the third in a row"
    assert said[0].startswith("10 of 10 outputs are the same text. This is the third validation in a row that says so.")
