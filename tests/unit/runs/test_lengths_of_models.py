"""Records longer than a model has positions for: named and left out, cut, or an error, as the recipe says, wherever they are met."""

from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

import antiphon
from antiphon.contracts.sequences import Padded
from antiphon.errors import ConfigError, DataError
from antiphon.recipe.recipe import recipe_from
from antiphon.runs.check import check
from antiphon.runs.inspect import inspect
from antiphon.runs.tune import tune
from antiphon.search.scoring import score
from tests.pretrained_checkpoints import write_checkpoint

POSITIONS = 12
WORDS = ("abc", "bca", "cab", "abca", "bb", "ca", "acb", "ccab", "ba", "aab", "bcc", "cba")
FITTING = [{"source": word, "target": word[::-1]} for word in WORDS]
LONG_SOURCE = {"source": "abc" * 10, "target": "c"}
LONG_TARGET = {"source": "abc", "target": "cba" * 10}
RECORDS = [*FITTING, LONG_SOURCE, LONG_TARGET]
OWN = {
    "name": "transformer",
    "dim": 8,
    "heads": 2,
    "feed_forward_dim": 8,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "positions": "learned",
    "max_positions": POSITIONS,
}
NOTE = f"The model reads at most {POSITIONS} elements of a source and says at most {POSITIONS} of a target"


def recipe_of(model: Any = OWN, **changes: Any) -> Any:
    values = {
        "task": {"name": "translation", "vocabulary": {"kind": "character"}},
        "model": model,
        "training": {"max_steps": 2, "batching": {"target_tokens": 40}},
        "evaluation": {"metrics": ["chrf"], "resamples": 0},
        "search": {"name": "beam", "beam_size": 2},
    }
    return recipe_from({**values, **changes})


def train(recipe: Any, out: Path, learned: Any = RECORDS, validation: Any = RECORDS[:3]) -> tuple[Path, str]:
    said = StringIO()
    run = antiphon.train(recipe, out, data={"train": learned, "validation": validation}, console=Console(file=said, width=400))
    return run, said.getvalue()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose training and validation data both hold what does not fit; do not change it."""
    found, said = train(recipe_of(), tmp_path_factory.mktemp("lengths") / "run", validation=RECORDS[-4:])
    for line in (f"{NOTE}: what is longer is left out", "train: 12 of 14 records", "validation: 2 of 4 records"):
        assert line in said
    assert "1 dropped: source too long (record 12)" in said
    return found


def test_the_limit_of_a_search_ends_no_training(tmp_path: Path) -> None:
    """Twice the source and 16 more would be 38 symbols, of which no output has more than a few."""
    records = [{"source": word * 3, "target": "a"} for word in WORDS if len(word) == 3]
    found, said = train(recipe_of(), tmp_path / "run", records, records)
    assert "could not be decoded" not in said
    assert len(antiphon.load(found).predict("abc" * 3, on_error="raise").hypothesis.elements) < POSITIONS


def test_training_cuts_where_the_recipe_says_so(tmp_path: Path) -> None:
    found, said = train(recipe_of(data={"limits": {"too_long": "truncate"}}), tmp_path / "run", validation=RECORDS)
    assert f"{NOTE}: what is longer is cut" in said
    assert "train: 14 of 14 records" in said
    assert "1 truncated: target too long (record 13)" in said
    predicted = antiphon.load(found).predict(LONG_SOURCE["source"])
    assert predicted.details["source_cut"] == 31 - POSITIONS
    evaluated = antiphon.evaluate(found, RECORDS)
    assert evaluated.records == len(RECORDS)
    assert any("1 of 14 sources were cut" in remark for remark in evaluated.remarks)
    assert any("1 of 14 records was cut for the loss" in remark for remark in evaluated.remarks)


def test_training_stops_where_the_recipe_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ecord 12 must have a source of at most 12 elements .* but has 31"):
        train(recipe_of(data={"limits": {"too_long": "error"}}), tmp_path / "run")


def test_inspect_and_check_say_it_before_training(tmp_path: Path) -> None:
    lines = [f"{record['source']}\t{record['target']}" for record in RECORDS]
    (tmp_path / "train.tsv").write_text("\n".join(["source\ttarget", *lines]) + "\n", encoding="utf-8")
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "task: {name: translation, vocabulary: {kind: character}}\n"
        f"model: {{name: transformer, dim: 8, heads: 2, feed_forward_dim: 8, positions: learned, max_positions: {POSITIONS}}}\n"
        "data: {train: train.tsv, validation: train.tsv}\n"
        "training: {max_steps: 1, batching: {target_tokens: 40}}\n",
        encoding="utf-8",
    )
    found = inspect(path)
    assert any(note.startswith(NOTE) for note in found.notes)
    assert found.audit.splits["train"].tally["dropped"] == {"source too long": 1, "target too long": 1}
    assert any(finding.text.startswith(NOTE) for finding in check(path).findings)


def test_a_long_input_is_refused_by_itself(run: Path) -> None:
    predictor = antiphon.load(run)
    kept = predictor.predict(["abc", LONG_SOURCE["source"], "cab"], on_error="keep")
    assert [one.hypothesis.finish_reason == "refused" for one in kept] == [False, True, False]
    assert "more than the 12 that the model can read" in kept[1].details["error"]
    with pytest.raises(DataError, match=r"Input 2: the source has 31 elements, more than the 12"):
        predictor.predict(["abc", LONG_SOURCE["source"]])
    cut = antiphon.load(run, overrides=["data.limits.too_long=truncate"]).predict(LONG_SOURCE["source"])
    assert cut.details["source_cut"] == 31 - POSITIONS


def test_a_prefix_may_be_as_long_as_what_can_be_said(run: Path) -> None:
    predictor = antiphon.load(run)
    assert len(predictor.predict({"source": "abcabcab", "prefix": "c" * (POSITIONS - 1)}).hypothesis.elements) == POSITIONS - 1
    with pytest.raises(DataError, match="at most 11 symbols, which is all that the model can write, but has 12"):
        predictor.predict({"source": "abcabcab", "prefix": "c" * POSITIONS})


def test_evaluation_names_what_it_leaves_out(run: Path) -> None:
    found = antiphon.evaluate(run, RECORDS)
    assert found.records == 13, "a long reference can be compared with what is said"
    assert any(remark.startswith("1 of 14 records was left out since the model reads at most 12 elements") for remark in found.remarks)
    assert any("record 12 (31)" in remark for remark in found.remarks)
    assert any(remark.startswith("1 of 13 records was left out of the loss") for remark in found.remarks)
    same = antiphon.evaluate(run, FITTING)
    assert np.isfinite(found["loss"])
    assert found["loss"] == pytest.approx(same["loss"], rel=1e-5)
    with pytest.raises(DataError, match=r"ecord 12 must have a source of at most 12 elements"):
        antiphon.evaluate(run, RECORDS, overrides=["data.limits.too_long=error"])
    with pytest.raises(DataError, match=r"Record 1 must have a target of at most 12 elements"):
        antiphon.evaluate(run, [FITTING[0], LONG_TARGET], overrides=["data.limits.too_long=error"], progress=lambda *_: pytest.fail("late"))
    with pytest.raises(DataError, match=r"There is nothing to score: 1 of 1 records was left out"):
        antiphon.evaluate(run, [LONG_SOURCE])


def test_the_loss_of_what_cannot_be_said_is_no_number(run: Path) -> None:
    found = antiphon.evaluate(run, [LONG_TARGET])
    assert np.isnan(found["loss"])
    assert any("no number" in remark for remark in found.remarks)


def test_tuning_leaves_it_out(run: Path) -> None:
    found = tune(run, grid={"beam_size": [1]}, metric="chrf", data=RECORDS, dry_run=True)
    assert found.records == 13
    assert "reads at most 12 elements" in found.remarks[0]
    assert all("refused" not in trial.finish_reasons for trial in found.trials)


def test_a_target_is_scored_if_it_can_be_said(run: Path) -> None:
    model = antiphon.load(run).model
    source = Padded(torch.tensor([[5, 6, model.target.end]]), torch.tensor([3]))
    assert len(score(model, source, [np.full(POSITIONS - 1, 5)])[0].elements) == POSITIONS - 1
    with pytest.raises(DataError, match="at most 11 symbols, which is all that the model can write, but has 12"):
        score(model, source, [np.full(POSITIONS, 5)])


@pytest.mark.parametrize("level", ["sequence", "token"])
def test_a_student_meets_what_its_teacher_cannot_read(run: Path, tmp_path: Path, level: str) -> None:
    settings = {"level": level, **({"search": {"limits": {"min_length": 1}}} if level == "sequence" else {})}
    recipe, said = recipe_of({"name": "lstm", "dim": 8}, distillation=settings), StringIO()
    data = {"train": RECORDS, "validation": FITTING}
    antiphon.distill(run, recipe, tmp_path / "student", data=data, console=Console(file=said, width=400))
    what = "1 sources were refused by the teacher" if level == "sequence" else "1 dropped: source too long (record 12)"
    assert what in said.getvalue()


def test_an_ensemble_reads_what_its_members_do(run: Path, tmp_path: Path) -> None:
    other = {**OWN, "max_positions": 2 * POSITIONS}
    wide, _ = train(recipe_of(other, task={"name": "translation", "vocabulary": {"run": str(run)}}), tmp_path / "wide")
    assert antiphon.load([run, wide]).model.longest_source == POSITIONS
    with pytest.raises(DataError, match="more than the 12"):
        antiphon.load([wide, run]).predict(LONG_SOURCE["source"])


@pytest.mark.parametrize("name", ["bart", *(pytest.param(name, marks=pytest.mark.slow) for name in ("marian", "pegasus", "led"))])
def test_one_long_document_does_not_lose_the_file_of_a_published_model(name: str, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / name, name)
    records = [
        {"source": "the cat sat", "target": "der hund"},
        {"source": "hund " * 150, "target": "weg"},
        {"source": "cat", "target": "weg"},
    ]
    records.append({"source": "der hund", "target": "baum " * 150})
    task = {"name": "translation", "vocabulary": {"kind": "pretrained", "model": str(folder)}}
    recipe = recipe_of({"name": "pretrained", "path": str(folder)}, task=task)
    found, said = train(recipe, tmp_path / "run", records, records)
    assert "train: 2 of 4 records" in said
    predictor = antiphon.load(found)
    kept = predictor.predict([record["source"] for record in records], on_error="keep")
    assert [one.hypothesis.finish_reason == "refused" for one in kept] == [False, True, False, False]
    endless = antiphon.load(found, overrides=["search.limits.max_offset=500", "search.limits.min_length=300"]).predict("cat")
    assert len(endless.hypothesis.elements) == 127, "128 positions, and the end"
    assert antiphon.evaluate(found, records).records == 3
    with pytest.raises(ConfigError, match=r"`data\.limits\.max_source_length` must be at most 128"):
        predictor.model.encode(Padded(torch.full((1, 129), 5), torch.tensor([129])))
