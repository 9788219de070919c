"""Search settings chosen on validation data: what is tried, what is stored, and that a run is whole at every moment."""

import json
import os
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import antiphon
from antiphon.contracts.configuration import plain
from antiphon.errors import CheckpointError, ConfigError
from antiphon.recipe.recipe import Recipe, read_recipe, recipe_from
from antiphon.runs import tune as tuning_run
from antiphon.runs.train import train
from antiphon.runs.tune import Tuning, _attempts, tune
from antiphon.store import checkpoint

WORDS = ["abc", "bca", "cab", "abca", "bb", "ca", "cba", "acb", "ab", "cc", "bac", "aab"]
RECORDS = [{"source": source, "target": source} for source in WORDS]


def recipe(**search: Any) -> Recipe:
    return recipe_from(
        {
            "task": {"name": "translation", "vocabulary": {"kind": "character"}},
            "model": {"name": "lstm", "dim": 16, "dropout": 0.0},
            "data": {"validation": 4},
            "training": {
                "max_steps": 20,
                "validate_every": 10,
                "device": "cpu",
                "optimizer": {"name": "adamw", "learning_rate": 1e-2},
                "schedule": {"name": "constant", "warmup_steps": 0},
            },
            "search": search or {"name": "beam", "beam_size": 2, "limits": {"max_length": 1}},
            "evaluation": {"metrics": ["exact_match", "chrf"], "resamples": 20},
        }
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuning") / "run"
    return train(recipe(), folder, data={"train": RECORDS}, console=Console(file=StringIO()))


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of a trained run, whose outputs are cut to one symbol."""
    shutil.copytree(made, tmp_path / "run", symlinks=True)
    return tmp_path / "run"


GRID = {"limits.max_length": [1, None], "beam_size": [2, 3]}


def longest(folder: Path) -> Any:
    """The limit in a run's best and last checkpoint, and in its recipe."""
    headers = [checkpoint.read((folder / name).resolve()).header["recipe"] for name in ("best", "last")]
    return {values["search"]["limits"]["max_length"] for values in (*headers, plain(read_recipe(folder / "recipe.yaml")))}


def test_the_best_is_stored_and_used(run: Path) -> None:
    before = antiphon.load(run).predict("abca").text
    seen: list[tuple[int, int]] = []
    found = tune(run, grid=GRID, metric="chrf", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 4) for number in range(1, 5)], "the run's own settings are tried once"
    assert found.best.settings["limits.max_length"] is None
    assert found.best.score.value == max(trial.score.value for trial in found.trials) > found.trials[0].score.value
    assert found.comparison is not None
    assert found.comparison.difference == pytest.approx(found.best.score.value - found.trials[0].score.value)
    assert longest(run) == {None}
    assert len(before) == 1 < len(antiphon.load(run).predict("abca").text)
    assert not list(run.rglob("*partial*"))


def test_scores_are_those_of_decoding_the_validation_data(run: Path) -> None:
    found = tune(run, grid=GRID, metric="chrf", dry_run=True)
    records = tuning_run._kept_items(run, antiphon.load(run).recipe)
    assert len(records) == found.records == 4
    shown = antiphon.evaluate(run, records, overrides=["search.limits.max_length=null", "search.beam_size=3"])
    trial = next(trial for trial in found.trials if trial.settings == {"limits.max_length": None, "beam_size": 3})
    assert trial.score.value == pytest.approx(shown["chrf"])
    assert trial.score.low is not None


def test_a_dry_run_changes_nothing(run: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    found = tune(run, grid=GRID, metric="chrf", dry_run=True)
    assert found.stored == ()
    assert found.comparison is not None
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_checkpoint_alone_is_tuned(run: Path) -> None:
    other = shutil.copytree((run / "best").resolve(), run.parent / "alone")
    found = tune(other, grid=GRID, metric="chrf", data=RECORDS[:5])
    assert found.records == 5
    assert found.stored == (str(other / "checkpoint.json"),)
    assert longest(run) == {1}
    assert antiphon.load(other).recipe.search.limits.max_length is None


def test_a_tuned_run_can_be_resumed(run: Path) -> None:
    tune(run, grid=GRID, metric="chrf")
    longer = read_recipe(run / "recipe.yaml", ["training.max_steps=22"])
    train(longer, run, resume=True, data={"train": RECORDS}, console=Console(file=StringIO()))
    assert longest(run) == {None}


def test_what_is_tried_by_default() -> None:
    tried = [attempt.search for _, attempt in _attempts(recipe(name="beam"), None)]
    assert len(tried) == len({json.dumps(plain(search)) for search in tried}) == 17
    assert {search.beam_size for search in tried} == {1, 5, 10}
    assert {search.alpha for search in tried if search.length_penalty == "gnmt"} == {0.2, 0.4, 0.6, 0.8, 1.0, 1.2}
    assert {search.length_penalty for search in tried if search.beam_size == 10} == {"none", "average", "gnmt"}


def test_default_settings_fit_the_others_of_the_run() -> None:
    groups = [attempt.search for _, attempt in _attempts(recipe(name="beam", beam_size=4, groups=2, n_best=3), None)]
    assert {search.beam_size for search in groups} == {4, 10}
    greedy = [attempt.search for _, attempt in _attempts(recipe(name="greedy", limits={"max_length": 7}), None)]
    assert {search.name for search in greedy} == {"greedy", "beam"}
    assert {search.limits.max_length for search in greedy} == {7}


def test_settings_without_effect_are_left_out() -> None:
    base = recipe(name="beam", length_penalty="gnmt", alpha=0.4)
    tried = _attempts(base, {"length_penalty": ["none", "gnmt"], "alpha": [0.2, 0.4]})
    assert [settings for settings, _ in tried] == [{}, {"length_penalty": "none"}, {"length_penalty": "gnmt", "alpha": 0.2}]


def test_a_length_reward_is_left_out_of_averages_and_scorers_go_along() -> None:
    rewarded = recipe(name="beam", length_penalty="none", length_reward=0.5)
    tried = [attempt.search for _, attempt in _attempts(rewarded, None)]
    assert {search.length_reward for search in tried if search.length_penalty == "average"} == {0.0}
    assert {search.length_reward for search in tried if search.length_penalty != "average"} == {0.5}
    both = _attempts(rewarded, {"length_penalty": ["average", "gnmt"], "length_reward": [0.2]})
    assert [settings for settings, _ in both[1:]] == [{"length_penalty": "average"}, {"length_penalty": "gnmt", "length_reward": 0.2}]
    greedy = recipe(name="greedy", ctc_weight=0.2, hot_words={"phrases": ["ab"]})
    assert all(attempt.search.ctc_weight == 0.2 and attempt.search.hot_words.phrases == ("ab",) for _, attempt in _attempts(greedy, None))


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"beem_size": [1]}, "`search.beem_size` is not a setting. Did you mean `beam_size`"),
        ({"limits.max_len": [1]}, "`search.limits.max_len` is not a setting"),
        ({"beam_size.x": [1]}, "beam_size"),
        ({"model.dim": [4]}, "`model.dim` is decided before training"),
        ({"seed": [4]}, "`seed` is decided before training"),
        ({"beam_size": ["many"]}, "`search.beam_size`"),
        ({"beam_size": [0]}, "`search.beam_size`"),
        ({"alpha": [0.2]}, "`alpha` has an effect only with"),
        ({"beam_size": []}, "gives none for `beam_size`"),
        ({}, "gives none"),
        ({"name": ["bean"]}, "bean"),
    ],
)
def test_grids_that_mean_nothing_are_refused(run: Path, grid: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tune(run, grid=grid)


def test_another_search_may_be_tried(run: Path) -> None:
    found = tune(run, grid={"name": ["greedy", "sampling"]}, metric="chrf", dry_run=True)
    assert [trial.search["name"] for trial in found.trials] == ["beam", "greedy", "sampling"]
    assert found.trials[1].search["limits"]["max_length"] == 1


def test_a_search_without_default_grid_is_named() -> None:
    with pytest.raises(ConfigError, match="What to try must be said for the search `sampling`"):
        _attempts(recipe(name="sampling"), None)


def test_an_unknown_metric_is_named(run: Path) -> None:
    with pytest.raises(ConfigError, match="chrff"):
        tune(run, grid=GRID, metric="chrff")


def test_a_run_without_validation_data_is_named(run: Path) -> None:
    shutil.rmtree(run / "corpus")
    with pytest.raises(ConfigError, match=r"the run has no validation data any more. Name a file with `--data`"):
        tune(run, grid=GRID)


def test_a_run_that_is_being_trained_is_left_alone(run: Path) -> None:
    with checkpoint.held(run), pytest.raises(CheckpointError, match="Another process"):
        tune(run, grid=GRID, metric="chrf")
    assert longest(run) == {1}


@pytest.mark.parametrize("moment", range(8))
def test_a_kill_at_any_moment_leaves_an_intact_checkpoint(run: Path, moment: int, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = (run / "best").resolve()
    old = checkpoint.read(folder).header
    done, replace = 0, os.replace

    def killed(source: Any, target: Any) -> None:
        nonlocal done
        if done == moment // 2 and moment % 2 == 0:
            raise KeyboardInterrupt
        replace(source, target)
        done += 1
        if done == moment // 2 + 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    new = {**old, "step": -1}
    try:
        checkpoint.amend(folder, new)
    except KeyboardInterrupt:
        assert moment < 6
    else:
        assert moment >= 6, "three files are replaced"
    assert checkpoint.read(folder).header in (old, new)
    assert antiphon.load(folder).predict("ab").text is not None
    monkeypatch.undo()
    checkpoint.amend(folder, new)
    assert checkpoint.read(folder).header == new
    assert all(isinstance(digest, str) for digest in json.loads((folder / "manifest.json").read_text()).values())


def test_a_damaged_checkpoint_is_not_amended(run: Path) -> None:
    folder = (run / "best").resolve()
    with open(folder / "model.safetensors", "ab") as file:
        file.write(b"x")
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.amend(folder, {"step": 1})


def test_plain_values_are_json(run: Path) -> None:
    found: Tuning = antiphon.tune(run, grid={"beam_size": [1]}, dry_run=True)
    assert found.metric == "exact_match", "the checkpoint was chosen by the loss, so the recipe's first metric decides"
    text = json.loads(json.dumps(found.to_plain()))
    assert len(text["trials"]) == 2
    assert text["best"] in text["trials"]
