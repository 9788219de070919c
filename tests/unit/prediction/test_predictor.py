"""Streams: what is ready is delivered, whatever becomes of the source."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import antiphon
from antiphon.errors import ConfigError, DataError
from antiphon.prediction.predictor import Predictor


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streams")
    rows = [{"source": f"ab{number}", "target": f"{number}ba"} for number in range(12)]
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        json.dumps(
            {
                "task": {"name": "translation", "vocabulary": {"kind": "character"}},
                "data": {"validation": 2},
                "model": {"name": "lstm", "dim": 8},
                "training": {"max_steps": 1, "device": "cpu", "samples": 0},
                "search": {"name": "greedy", "limits": {"max_length": 3}},
                "evaluation": {"batch_size": 2},
            }
        ),
        encoding="utf-8",
    )
    return Path(antiphon.train(recipe, folder / "run", data={"train": rows}))


@pytest.fixture(scope="module")
def model(run: Path) -> Predictor:
    return antiphon.load(run, device="cpu")


def test_the_first_answer_comes_after_one_batch(model: Predictor) -> None:
    taken: list[str] = []

    def source() -> Iterator[str]:
        for number in range(100):
            taken.append(str(number))
            yield f"ab{number}"

    answers = model.predict(source())
    first = next(answers)
    assert len(taken) == 2, "one batch"
    assert first.text == model.predict("ab0").text
    assert len([first, *answers]) == 100


def test_an_error_of_the_source_comes_after_what_it_gave_before(model: Predictor) -> None:
    def source() -> Iterator[str]:
        yield from ("ab1", "ab2", "ab3")
        raise OSError("the line is dead")

    answers = model.predict(source())
    assert [next(answers).text for _ in range(3)] == [prediction.text for prediction in model.predict(["ab1", "ab2", "ab3"])]
    with pytest.raises(OSError, match="the line is dead"):
        next(answers)


def test_a_refused_input_comes_after_what_was_before(model: Predictor) -> None:
    answers = model.predict(iter(["ab1", ""]))
    assert next(answers).text == model.predict("ab1").text
    with pytest.raises(DataError, match="Input 2: the source is empty"):
        next(answers)


def test_a_source_that_stalls_gets_its_answers(model: Predictor) -> None:
    class Asking:
        """Somebody who asks the next question once the last is answered."""

        answered = True

        def __iter__(self) -> "Asking":
            return self

        def __next__(self) -> str:
            assert self.answered, "two questions without an answer"
            self.answered = False
            return "ab1"

        def is_ready(self) -> bool:
            return self.answered

    asking = Asking()
    for number, _ in enumerate(model.predict(asking), 1):
        asking.answered = True
        if number == 5:
            break


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("aä\udcff", "must be UTF-8, but its byte 4 is not"),
        ("ab\ud800", "but its character 3 is half of a surrogate pair"),
    ],
)
def test_what_no_text_can_hold_is_refused(model: Predictor, text: str, reason: str) -> None:
    first, second = model.predict(iter([text, "ab1"]), on_error="keep")
    assert reason in first.details["error"]
    assert second.text == model.predict("ab1").text


def test_a_setting_without_effect_is_refused(run: Path) -> None:
    with pytest.raises(ConfigError, match=r"`training.max_steps` must not be set here"):
        antiphon.load(run, overrides=["training.max_steps=3"])
    with pytest.raises(ConfigError, match=r"`data.train` must not be set here"):
        antiphon.evaluate(run, [], overrides=["data.train=x"])
    assert antiphon.load(run, overrides=["evaluation.batch_size=7"]).recipe.evaluation.batch_size == 7
