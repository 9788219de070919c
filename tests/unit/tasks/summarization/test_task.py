"""Open words, classes of length, sources of references, and what is refused."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from antiphon.contracts.sequences import Copied, Hypothesis
from antiphon.errors import ConfigError, DataError
from antiphon.features.text_config import TextConfig
from antiphon.metrics.sourced import SourcedText
from antiphon.tasks.summarization.task import Summarization, SummarizationConfig

WORDS = TextConfig(kind="word", punctuation="split", size=14)
RECORDS = [
    {"document": "the tool reads the file. the file is read by the tool.", "summary": "the tool reads"},
    {"document": "the file is the file.", "summary": "the file is"},
]


def fitted(records: Sequence[dict[str, Any]] = RECORDS, **settings: Any) -> Summarization:
    task = Summarization(SummarizationConfig(**{"vocabulary": WORDS, **settings}))
    task.fit(records)
    return task


def test_words_that_the_vocabulary_lacks_are_numbered_in_each_source() -> None:
    task = fitted()
    size = task.target_spec.size
    example = task.encode({"document": "the zork is the blip zork.", "summary": "zork is blip quux"})
    assert example.source.tolist().count(size) == 2  # zork, twice
    assert example.source.tolist().count(size + 1) == 1  # blip
    assert example.target is not None
    assert example.target.tolist()[1:-1] == [size, example.source[2], size + 1, task.target_spec.unknown]  # quux is not in the source
    assert example.context == ("zork", "blip")
    prediction = task.decode([Hypothesis(np.array([size + 1, size]), 0.0, 0.0)], example)
    assert prediction.text == "blip zork"


def test_the_number_of_open_words_is_limited() -> None:
    task = fitted(open_words=1)
    assert task.source_spec.open_words == 1
    example = task.encode({"document": "zork blip"})
    assert example.source.tolist()[:2] == [task.target_spec.size, task.target_spec.unknown]


@pytest.mark.parametrize("vocabulary", [TextConfig(kind="unigram", size=290), TextConfig(kind="character")])
def test_vocabularies_of_smaller_units_have_no_open_words(vocabulary: TextConfig) -> None:
    assert fitted(RECORDS * 20, vocabulary=vocabulary).source_spec.open_words == 0


def test_what_was_copied_is_in_the_details() -> None:
    task = fitted()
    example = task.encode({"document": "zork is the file"})
    copied = Copied(np.array([1.0, 0.0]), np.array([0, -1]))
    prediction = task.decode([Hypothesis(np.array([task.target_spec.size, 5]), 0.0, 0.0, copied=copied)], example)
    assert prediction.details["copied"] == [{"probability": 1.0, "position": 0}, {"probability": 0.0, "position": -1}]
    assert prediction.details["source_pieces"][0] == "zork"
    assert prediction.details["target_pieces"][0] == "zork"


def test_lengths_are_learned_and_asked_for(tmp_path: Path) -> None:
    records = [{"document": "a b c d e f", "summary": " ".join("abcdef"[: 1 + number % 6])} for number in range(30)]
    task = fitted(records, length_classes=3, vocabulary=TextConfig(kind="word"))
    assert task.bounds == (2, 4)
    first = [task.pieces("source", task.encode(record).source)[0] for record in records[:6]]
    assert first == ["<length_1>"] * 2 + ["<length_2>"] * 2 + ["<length_3>"] * 2

    def asked(wish: object) -> str:
        return task.pieces("source", task.encode({"document": "a b", "length": wish}).source)[0]

    assert [asked(1), asked(4), asked("9"), asked(None)] == ["<length_1>", "<length_2>", "<length_3>", "<length_2>"]
    for wrong in (0, "short", 1.5, True):
        with pytest.raises(DataError, match="`length` must be a number of words"):
            asked(wrong)
    tmp_path.joinpath("saved").mkdir()
    task.save(tmp_path / "saved")
    again = Summarization(task.lengths)
    again.load(tmp_path / "saved")
    assert (again.bounds, again.fingerprint) == (task.bounds, task.fingerprint)
    assert any("classes of length" in note for note in again.notes)


def test_lengths_that_hardly_differ_make_no_classes() -> None:
    with pytest.raises(ConfigError, match=r"`task\.length_classes` must be fewer"):
        fitted(length_classes=3)


def test_a_reference_knows_its_document() -> None:
    reference = fitted().reference(RECORDS[0])
    assert isinstance(reference, SourcedText)
    assert (reference, reference.source) == (RECORDS[0]["summary"], RECORDS[0]["document"])


def test_simple_summaries_stand_beside() -> None:
    baselines = fitted().baselines(RECORDS)
    assert {len(said) for said in baselines.values()} == {2}
    assert "the tool reads the file." in [said[0] for said in baselines.values()]


def test_settings_without_effect_are_refused() -> None:
    with pytest.raises(ValueError, match="one class says nothing"):
        SummarizationConfig(length_classes=1)
    with pytest.raises(ValueError, match="has an effect only with `length_classes`"):
        SummarizationConfig(length=5)


def test_baselines_are_those_of_the_recipe() -> None:
    assert set(fitted().baselines(RECORDS)) == {"lead_3_words", "first_sentence", "extractive_oracle"}
    assert set(fitted(baselines=("lead",)).baselines(RECORDS)) == {"lead_3_words"}
    assert fitted(baselines=()).baselines(RECORDS) == {}
