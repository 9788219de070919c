"""A trained model that reads matches finds them: in its training data when it is evaluated, in what is named when it predicts."""

from pathlib import Path

import pytest

import antiphon
from antiphon.contracts.abilities import ReadsMatches
from antiphon.contracts.asking import items_of
from antiphon.prediction.helped import HelpedPredictor, open_memory
from antiphon.prediction.predictor import Predictor
from antiphon.recipe.assembly import build_task, open_splits
from antiphon.recipe.recipe import read_recipe

RECIPE = """\
task: {name: translation, vocabulary: {kind: word}, matches: {}}
data: {train: train.tsv, validation: 4}
model: {name: lstm, dim: 8}
training: {max_steps: 1, samples: 0}
search: {name: greedy, limits: {max_length: 3}}
evaluation: {resamples: 2}
"""
PAIRS = [f"open the {word} door\töffne die {word}X tür" for word in "abcdefgh"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("matches")
    (folder / "train.tsv").write_text("\n".join(["source\ttarget", *PAIRS]) + "\n", encoding="utf-8")
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    return antiphon.train(folder / "recipe.yaml", folder / "run")


def test_evaluation_finds_matches_in_what_was_learned_from(run: Path) -> None:
    recipe = read_recipe(run.parent / "recipe.yaml")
    splits = open_splits(recipe, build_task(recipe))
    learned, held = ([record["target"] for record in splits[name]] for name in ("train", "validation"))
    model = antiphon.load(run)
    records = [{"source": "open the z door", "target": "x"}, {"source": "nothing", "target": "x"}]
    assert "1 of 2 records were read with a match." in antiphon.evaluate(model, records).remarks
    for name in ("train", "validation"):
        for record in splits[name]:
            assert record["match"] in learned
            assert record["match"] not in {*held, record["target"]}


def test_what_is_named_is_read_as_context(run: Path, tmp_path: Path) -> None:
    (tmp_path / "memory.tsv").write_text("source\ttarget\nopen the z door\ta b c d\n", encoding="utf-8")
    plain = antiphon.load(run)
    assert isinstance(plain.task, ReadsMatches)
    assert plain.task.lacks_memory
    model: Predictor = antiphon.load(run)
    helped = HelpedPredictor(model, memory=open_memory(str(tmp_path / "memory.tsv"), model.task))
    record = {"source": "open the y door", "match": "a b c d"}
    assert list(items_of(model.task, ["open the y door"])) == [record]
    (found,) = helped.predict(["open the y door"])
    own, without = plain.predict([record, "open the y door"])
    assert found.hypothesis.log_prob == pytest.approx(own.hypothesis.log_prob, abs=1e-5)
    assert found.hypothesis.log_prob != pytest.approx(without.hypothesis.log_prob, abs=1e-5)
    assert found.details["memory"]["target"] == "a b c d"


def test_without_the_training_data_nothing_is_remembered(run: Path) -> None:
    said: list[str] = []
    kept = run.parent / "train.tsv"
    kept.rename(run.parent / "gone.tsv")
    try:
        found = antiphon.evaluate(antiphon.load(run), [{"source": "open the z door", "target": "x"}], say=said.append)
    finally:
        (run.parent / "gone.tsv").rename(kept)
    assert "0 of 1 records were read with a match." in found.remarks
    assert len([one for one in said if one.startswith("Records are read without matches, since the training data cannot be read")]) == 1
