"""Streams: what is ready is delivered, whatever becomes of the source."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import antiphon
from antiphon.errors import ConfigError, DataError
from antiphon.layers import linear
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


def test_packed_copies_of_weights_are_made_only_where_they_are_wanted(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this build of torch has no oneDNN")
    monkeypatch.setattr(linear, "_prefers_onednn", lambda: True)
    found = {}
    for wanted in (True, False):
        model = antiphon.load(run, device="cpu", packed_weights=wanted)
        text = model.predict("ab1").text
        layers = [layer for layer in model.model.modules() if isinstance(layer, linear.Product)]
        found[wanted] = text, any(layer._packed is not None for layer in layers)
    assert found[True][0] == found[False][0]
    assert (found[True][1], found[False][1]) == (True, False)


@pytest.fixture(scope="module")
def beam(model: Predictor) -> Predictor:
    return model.with_search({"name": "beam", "beam_size": 2, "limits": {"max_length": 3}})


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"required": "az"}, "`required` must be what the vocabulary can write, but 'az' is not."),
        ({"prefix": "zz"}, "`prefix` must be what the vocabulary can write, but 'zz' is not."),
        ({"required": ["a", "1baba"]}, "the required phrase must have at most 3 symbols, the limit for the source's length, but has 5."),
        ({"prefix": "1bab"}, "the prefix must have at most 3 symbols, the limit for the source's length, but has 4."),
        ({"hot_words": ["a", "az"]}, "`hot_words` must be what the vocabulary can write, but 'az' is not."),
    ],
)
def test_what_cannot_be_said_refuses_its_input_alone(beam: Predictor, wish: dict[str, str], reason: str) -> None:
    plain = [{"source": f"ab{number}"} for number in range(4)]
    wishes = [plain[0], {**plain[1], **wish}, *plain[2:]]
    found, free = beam.predict(wishes, on_error="keep"), beam.predict(plain)
    assert reason in found[1].details["error"]
    assert (found[1].text, found[1].hypothesis.finish_reason) == ("", "refused")
    assert [one.text for one in (found[0], *found[2:])] == [one.text for one in (free[0], *free[2:])]
    answers = beam.predict(iter(wishes))
    assert next(answers).text == free[0].text
    with pytest.raises(DataError, match="Input 2: ") as raised:
        next(answers)
    assert reason in str(raised.value)


@pytest.mark.parametrize("search", [{"name": "greedy"}, {"name": "beam"}, {"name": "sampling"}, {"name": "mbr"}])
def test_hot_words_of_a_recipe_and_of_a_record_are_said(model: Predictor, search: dict[str, Any]) -> None:
    inner = {"name": "sampling", "samples": 4} if search["name"] == "mbr" else {}
    heavy = {"hot_words": {"weight": 9.0}, "limits": {"max_length": 3}}

    def text(record: dict[str, Any], phrases: Sequence[str] = ()) -> str:
        own = {**heavy, "hot_words": {"weight": 9.0, "phrases": list(phrases)}}
        settings = {**search, "candidates": {**inner, **own}} if inner else {**search, **own}
        return model.with_search(settings).predict(record).text

    assert "b1a" in text({"source": "ab1", "hot_words": "b1a"})
    assert "1bb" in text({"source": "ab1"}, ["1bb"])
    assert text({"source": "ab1", "hot_words": ["aa"]}, ["a"]) == "aaa", "both count"
    with pytest.raises(ConfigError, match=r"`search\.hot_words\.phrases` must be what the vocabulary can write, but 'xyz' is not"):
        text({"source": "ab1"}, ["a", "xyz"])


def test_a_ban_of_what_cannot_be_said_changes_nothing(beam: Predictor) -> None:
    plain, banned = (beam.task.request({"source": "ab1", **wish}) for wish in ({}, {"banned": ["z", "az"]}))
    assert plain == banned
    assert beam.task.request({"source": "ab1", "banned": ["z", "a"]}) == beam.task.request({"source": "ab1", "banned": "a"})


def test_an_opening_that_cannot_be_said_is_refused(run: Path) -> None:
    with pytest.raises(DataError, match=r"Input 1: `task.target_prefix` must be what the vocabulary can write"):
        antiphon.load(run, device="cpu", overrides=["task.target_prefix='zz'"]).predict("ab1")


def test_unknown_symbols_of_a_source_are_counted(model: Predictor) -> None:
    found = model.predict(["ab1", "azyb", "ab2"])
    assert [prediction.details.get("source_unknown") for prediction in found] == [None, 2, None]


def test_a_blank_source_is_refused_or_answered_with_nothing(model: Predictor) -> None:
    with pytest.raises(DataError, match="Input 2: the source is empty"):
        model.predict(["ab1", " \u00a0"])
    first, second = model.predict(["ab1", " \u00a0"], blank="answer")
    assert first.text == model.predict("ab1").text
    assert (second.text, second.hypothesis.finish_reason, second.details) == ("", "end", {})


def test_lines_are_predicted_one_by_one_and_joined_as_they_were(model: Predictor) -> None:
    one, two = (prediction.text for prediction in model.predict(["ab1", "ab2"]))
    found = model.predict(["\u00a0ab1", "ab1\r\n\r\n  ab2 ", "ab2"])
    assert [prediction.text for prediction in found] == [f"\u00a0{one}", f"{one}\r\n\r\n  {two} ", two]
    [table] = model.predict_items([{"source": "ab1\nab2\nab1"}])
    assert table.text == f"{one}\n{two}\n{one}"


def test_lines_may_be_predicted_together(run: Path) -> None:
    together = antiphon.load(run, device="cpu", overrides=["task.lines=together"])
    found = together.predict("ab1\nab2")
    assert "\n" not in found.text
    assert len(found.hypothesis.elements) <= 3, "the limit of one output"
    assert found.details["source_unknown"] == 1, "the line end"


def test_an_opening_is_that_of_the_first_line_and_what_must_be_said_that_of_none(beam: Predictor) -> None:
    found = beam.predict({"source": "ab1\nab2", "prefix": "b"})
    assert found.text.startswith("b")
    assert found.text.split("\n")[1] == beam.predict("ab2").text
    with pytest.raises(DataError, match="Input 1: `required` must be left out of a text of several lines"):
        beam.predict({"source": "ab1\nab2", "required": "b"})
    long = beam.predict([{"source": "ab1\nab2", "prefix": "1bab"}, "ab1"], on_error="keep")
    assert "the prefix must have at most 3 symbols" in long[0].details["error"]
    assert long[1].text == beam.predict("ab1").text


def test_what_stands_before_every_text_is_learned(tmp_path: Path) -> None:
    """A vocabulary of characters knows those of the prefixes, though no text of the data has them."""
    recipe = {
        "task": {
            "name": "translation",
            "source_prefix": "<q>",
            "target_prefix": "=> ",
            **{f"{side}_vocabulary": {"kind": "character"} for side in ("source", "target")},
        },
        "data": {"validation": 2},
        "model": {"name": "lstm", "dim": 8},
        "training": {"max_steps": 1, "device": "cpu", "samples": 0},
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    rows = [{"source": f"ab{number}", "target": f"{number}ba"} for number in range(12)]
    model = antiphon.load(antiphon.train(tmp_path / "recipe.yaml", tmp_path / "run", data={"train": rows}), device="cpu")
    found = model.predict("ab1")
    assert "source_unknown" not in found.details
    assert model.task.pieces("target", found.hypothesis.elements[:2]) == ["=", ">"]
    assert not found.text.startswith("=>")
