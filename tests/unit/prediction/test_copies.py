"""What was copied is told to who asks for predictions, and to nobody else."""

from pathlib import Path

import pytest

import antiphon
from antiphon.prediction.predictor import Predictor
from antiphon.recipe.recipe import recipe_from


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    recipe = recipe_from(
        {
            "task": {"name": "translation", "vocabulary": {"kind": "word", "min_frequency": 2}, "open_words": 4},
            "model": {"name": "lstm", "dim": 8, "head": "pointer"},
            "data": {"validation": 2},
            "training": {"max_steps": 1, "device": "cpu", "samples": 0},
            "search": {"name": "greedy", "limits": {"max_length": 4, "min_length": 2}},
        }
    )
    rows = [{"source": f"word name{number}", "target": f"name{number} word"} for number in range(9)]
    return antiphon.load(antiphon.train(recipe, tmp_path_factory.mktemp("copies") / "run", data={"train": rows}), device="cpu")


@pytest.mark.parametrize("name", ["greedy", "beam", "mbr"])
def test_predictions_say_what_was_copied_and_scoring_does_not(model: Predictor, name: str) -> None:
    limits = {"max_length": 4, "min_length": 2}
    settings = {"candidates": {"name": "sampling", "samples": 6, "limits": limits}} if name == "mbr" else {"limits": limits}
    searching = model.with_search({"name": name, **settings})
    told, untold = searching.predict("word zork"), searching.without_copies().predict("word zork")
    assert len(told.details["copied"]) == len(told.hypothesis.elements) > 0
    assert "copied" not in untold.details
    assert (told.text, told.hypothesis.score) == (untold.text, untold.hypothesis.score)
    (scored,) = searching.predict_items([{"source": "word zork"}])
    assert "copied" not in scored.details
    assert scored.text == told.text


def test_the_command_line_asks_where_details_are_written(model: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from antiphon.cli.predict import predict

    asked: list[bool] = []
    plain = Predictor.without_copies
    monkeypatch.setattr(Predictor, "without_copies", lambda self: asked.append(True) or plain(self))
    (tmp_path / "in.txt").write_text("word zork\n", encoding="utf-8")
    for suffix in ("txt", "jsonl"):
        predict([model.trained[0].folder], input=str(tmp_path / "in.txt"), output=str(tmp_path / f"out.{suffix}"), quiet=True)
    assert asked == [True], "lines only"
    assert '"copied"' in (tmp_path / "out.jsonl").read_text(encoding="utf-8")
