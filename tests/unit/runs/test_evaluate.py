"""What is scored, and what is kept of it."""

import datetime
import json
from pathlib import Path

import pytest
from rich.console import Console

import antiphon
from antiphon.errors import ConfigError
from antiphon.recipe.recipe import recipe_from
from antiphon.runs.evaluate import evaluate

RECORDS = [{"document": f"{word} is a tool that reads files", "summary": word} for word in ("alpha", "beta", "gamma", "delta") * 5]


def test_a_source_is_cut_for_its_likelihood_as_for_its_prediction(tmp_path: Path) -> None:
    """With learned positions a source that is not cut could not be read at all."""
    recipe = recipe_from(
        {
            "task": {"name": "summarization", "vocabulary": {"kind": "word"}},
            "data": {"limits": {"max_source_length": 10, "too_long": "truncate"}},
            "model": {
                "name": "transformer",
                "dim": 16,
                "heads": 2,
                "encoder_layers": 1,
                "decoder_layers": 1,
                "feed_forward_dim": 16,
                "positions": "learned",
                "max_positions": 40,
            },
            "training": {"max_steps": 2, "validate_every": 2},
            "evaluation": {"metrics": ["rouge_l"], "resamples": 0},
            "search": {"name": "greedy", "limits": {"max_length": 5}},
        }
    )
    run = antiphon.train(recipe, tmp_path / "run", data={"train": RECORDS, "validation": RECORDS[:2]}, console=Console(quiet=True))
    long = {"document": "alpha " + "is a tool " * 40, "summary": "alpha"}
    found = antiphon.evaluate(run, [long, RECORDS[0]])
    assert found.remarks[0] == "1 of 2 sources were cut, as `data.limits` says: their ends were not read."
    assert found["loss"] > 0


def test_what_a_search_with_a_language_model_found_is_kept(tmp_path: Path) -> None:
    lines = [{"source": "a b", "target": "b a"}, {"source": "b b a", "target": "a b b"}] * 5
    settings = {"training": {"max_steps": 1}, "evaluation": {"resamples": 0}}
    model = {"name": "lstm", "dim": 8, "encoder_layers": 1, "decoder_layers": 1}
    recipe = {"task": {"name": "translation", "vocabulary": {"kind": "word"}}, "model": model, **settings}
    quiet = Console(quiet=True)
    run = antiphon.train(
        recipe_from({**recipe, "search": "beam"}), tmp_path / "run", data={"train": lines, "validation": lines[:2]}, console=quiet
    )
    helper = recipe_from(
        {
            "task": {"name": "language_modeling", "vocabulary": {"run": str(run)}},
            "model": {"name": "decoder_only", "decoder": {"name": "lstm", "dim": 8, "layers": 1}},
            **settings,
        }
    )
    texts = [{"text": line["target"]} for line in lines]
    other = antiphon.train(helper, tmp_path / "helper", data={"train": texts, "validation": texts[:2]}, console=quiet)
    antiphon.evaluate(run, lines, overrides=[f"search.language_model={{run: {other}}}"])
    (stored,) = (run / "evaluations").glob("*.json")
    assert json.loads(stored.read_text())["search"]["language_model"]["run"] == str(other)


def test_scores_that_are_no_numbers_are_said_and_are_null(tmp_path: Path) -> None:
    """A series that never moves has no scale to measure errors by, so MASE is not defined for it."""
    first = datetime.date(2024, 1, 1)
    rows = [{"unique_id": "a", "ds": str(first + datetime.timedelta(days=day)), "y": 1.0} for day in range(40)]
    recipe = recipe_from(
        {
            "task": {"name": "forecasting", "horizon": 2, "context_length": 6, "baselines": []},
            "model": {"name": "linear"},
            "training": {"max_steps": 1},
            "evaluation": {"metrics": ["mae", "mase"], "resamples": 20},
        }
    )
    run = antiphon.train(recipe, tmp_path / "run", data={"train": rows, "validation": rows}, console=Console(quiet=True))
    found = antiphon.evaluate(run, rows)
    assert "On these records `mase` is no number" in found.remarks[-1]
    plain = json.loads(json.dumps(found.to_plain(items=True), allow_nan=False))
    assert [score["value"] is None for score in plain["scores"][:2]] == [False, True]
    (stored,) = (run / "evaluations").glob("*.json")
    json.loads(stored.read_text(), parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))


def test_progress_is_told_batch_by_batch(tmp_path: Path) -> None:
    lines = [{"source": "a b", "target": "b a"}, {"source": "b b a", "target": "a b b"}] * 5
    recipe = {
        "task": {"name": "translation", "vocabulary": {"kind": "word"}},
        "model": {"name": "lstm", "dim": 8},
        "training": {"max_steps": 1},
        "evaluation": {"resamples": 0, "batch_size": 4},
    }
    run = antiphon.train(
        recipe_from(recipe),
        tmp_path / "run",
        overrides=["model.dim=6"],
        data={"train": lines, "validation": lines[:2]},
        console=Console(quiet=True),
    )
    assert antiphon.load(run).recipe.model.dim == 6
    seen: list[tuple[int, int]] = []
    found = evaluate(run, lines, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 10), (8, 10), (10, 10)]
    assert dict(found).keys() == {score.name for score in found.scores}
    with pytest.raises(KeyError, match=r"There is no score `chrF`; there are: .*chrf.*Did you mean `chrf`"):
        found["chrF"]
    with pytest.raises(KeyError, match="chrff"):
        found["chrff"]
    with pytest.raises(ConfigError, match=r"has its settings already: give `search\.beam_size=1` to `antiphon\.load`"):
        evaluate(antiphon.load(run), lines, overrides=["search.beam_size=1"])
