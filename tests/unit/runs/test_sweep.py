"""A sweep of tiny trials: what is found, what is written, who may join, and what becomes of trials that fail."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from ruamel.yaml import YAML

pytest.importorskip("optuna", reason="needs the extra `tune`")

from antiphon.contracts.configuration import plain
from antiphon.errors import CheckpointError, ConfigError, DataError, DivergedError, TrainingError
from antiphon.recipe.recipe import read_recipe
from antiphon.report.sweep_page import write_sweep_report
from antiphon.runs import sweep_trial
from antiphon.runs.check import check
from antiphon.runs.sweep import sweep
from antiphon.runs.sweep_results import Sweep
from antiphon.runs.sweep_space import Source, space_of
from antiphon.store.checkpoint import read_tensors

WORDS = ["abc", "bca", "cab", "abca", "bb", "ca", "cba", "acb", "ab", "cc", "bac", "aab"]
RECIPE = """\
# Mine.
task: {name: translation, vocabulary: {kind: character}}
data:
  train: words.tsv
  validation: words.tsv
model:
  name: lstm
  dim: 8   # small
  dropout: 0.0
training:
  max_steps: 4
  validate_every: 2
  device: cpu
  optimizer: {name: adamw, learning_rate: 1e-2}
  schedule: {name: constant, warmup_steps: 0}
  best: chrf
search: {name: beam, beam_size: 2, limits: {max_length: 6}}
evaluation: {metrics: [exact_match, chrf], resamples: 20}
sweep:
  space:
    training.optimizer.learning_rate: {low: 1e-3, high: 1e-1, log: true}
    model.encoder_layers: {low: 1, high: 2}
  trials: 3
"""


def written(folder: Path, text: str = RECIPE) -> Path:
    (folder / "words.tsv").write_text("source\ttarget\n" + "".join(f"{word}\t{word}\n" for word in WORDS), encoding="utf-8")
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    return folder / "mine.yaml"


def run(recipe: Path, out: Path, **arguments: Any) -> tuple[Sweep, str]:
    said = StringIO()
    return sweep(recipe, out, console=Console(file=said, width=200), **arguments), said.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sweep, str]:
    folder = tmp_path_factory.mktemp("sweep")
    found, said = run(written(folder), folder / "out")
    return folder, found, said


def test_the_best_trial_is_a_recipe(made: tuple[Path, Sweep, str]) -> None:
    folder, found, said = made
    assert [trial.outcome for trial in found.trials] == ["complete"] * 3
    assert found.best is not None
    assert found.best.score is not None
    assert found.best.score.value == max(trial.score.value for trial in found.trials if trial.score)
    assert found.best.score.low is not None
    assert found.best.validations[-1] == max(found.best.validations)
    assert "trial 2 complete (4 steps" in said
    text = (folder / "out" / "best.yaml").read_text(encoding="utf-8")
    best, trial = plain(read_recipe(folder / "out" / "best.yaml")), plain(read_recipe(Path(found.best.run) / "recipe.yaml"))
    assert best == trial, "training it is training the trial"
    assert "# Mine." in text
    assert "learning_rate: " in text
    assert "# from the sweep; the recipe has 0.01\n" in text
    assert "# from the sweep; the recipe does not say\n" in text
    assert "dim: 8   # small" in text


def test_the_best_is_compared_with_the_second(made: tuple[Path, Sweep, str]) -> None:
    _, found, _ = made
    assert found.best is not None
    assert found.second is not None
    assert found.comparison is not None
    assert found.comparison.b == found.best.score, "the statistics that were kept say what the score said"
    assert 0 < found.comparison.randomization_p <= 1
    assert any("significantly from the second" in line for line in found.conclusions())


def test_tables_and_page(made: tuple[Path, Sweep, str]) -> None:
    folder, found, _ = made
    rows = [line.split("\t") for line in (folder / "out" / "trials.tsv").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 4
    assert rows[0][2:4] == ["training.optimizer.learning_rate", "model.encoder_layers"]
    assert {len(row) for row in rows} == {len(rows[0])}
    assert json.loads((folder / "out" / "sweep.json").read_text(encoding="utf-8")) == json.loads(json.dumps(found.to_plain()))
    page = write_sweep_report(folder / "out").read_text(encoding="utf-8")
    assert page.count("<svg") >= 4
    assert "nan" not in page
    with pytest.raises(CheckpointError, match="holds no results of a sweep"):
        write_sweep_report(folder)


def test_who_joins_finds_all_done_unless_there_is_more(made: tuple[Path, Sweep, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, found, _ = made
    again, said = run(folder / "mine.yaml", folder / "out")
    assert said == "3 trials.\n"
    assert again == found
    with pytest.raises(ConfigError, match=r"differs from that of the sweep in .*: `training.max_steps`\."):
        run(folder / "mine.yaml", folder / "out", overrides=["training.max_steps=5"])
    with pytest.raises(CheckpointError, match="holds a run, in which no sweep can begin"):
        run(folder / "mine.yaml", Path(found.trials[0].run))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="must not be started by `torchrun`"):
        run(folder / "mine.yaml", folder / "out")


def test_trials_that_fail_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, train, errors = written(tmp_path), sweep_trial.train, iter(())
    made: list[int] = []

    def failing(recipe: Any, folder: Path, **arguments: Any) -> Path:
        made.append(recipe.model.encoder_layers)
        error = next(errors, None)
        if error is not None:
            folder.mkdir(parents=True, exist_ok=True)
            raise error
        return train(recipe, folder, **arguments)

    monkeypatch.setattr(sweep_trial, "train", failing)
    errors = iter(
        [DivergedError("Training diverged."), torch.OutOfMemoryError("CUDA"), RuntimeError("shapes\nmore"), DataError("No file.")]
    )
    found, _ = run(recipe, tmp_path / "out", trials=5)
    assert [trial.outcome for trial in found.trials] == ["diverged", "failed", "failed", "failed", "complete"]
    assert [trial.reason.split(".")[0] for trial in found.trials[:2]] == ["Training diverged", "It ran out of memory"]
    assert found.trials[2].reason.startswith("RuntimeError: shapes (")
    assert "Traceback" in (Path(found.trials[2].run) / "error.txt").read_text(encoding="utf-8")
    assert found.best == found.trials[4]
    errors = iter([DataError("No file.")] * 3)
    with pytest.raises(TrainingError, match=r"The first 3 trials all failed; trial 2: No file\."):
        run(recipe, tmp_path / "none", trials=5)
    assert len(made) == 8


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "model.encoder_layers",
            "model.encoder_layer",
            "mine.yaml:22: `sweep.space`: `model.encoder_layer` is not a setting. Did you mean `encoder_layers`?",
        ),
        ("low: 1, high: 2", "low: 0, high: 2", "`sweep.space`: `model.encoder_layers` must be at least 1, but is 0."),
        ("low: 1, high: 2", "low: 1, high: 2.5", "`sweep.space`: `model.encoder_layers` must be a valid integer"),
        (
            "model.encoder_layers: {low: 1, high: 2}",
            "data.validation: [1, 2]",
            "must not have `data.validation`: trials are compared on the same",
        ),
        ("model.encoder_layers: {low: 1, high: 2}", "search.n_best: [3, 4]", "`sweep.space`: none of 24 combinations is possible"),
        ("trials: 3", "metric: wer", "`sweep.metric` must be `loss` or one of `evaluation.metrics` (exact_match, chrf), but is 'wer'."),
        (
            "model.encoder_layers: {low: 1, high: 2}\n",
            "task.vocabulary.kind: [character]\n  metric: loss\n",
            "`sweep.metric` must not be `loss`",
        ),
    ],
)
def test_a_space_that_cannot_be_is_refused_before_any_trial(tmp_path: Path, old: str, new: str, said: str) -> None:
    recipe = written(tmp_path, RECIPE.replace(old, new))
    wrong = [finding.text for finding in check(recipe).findings if finding.part == "sweep" and finding.state == "wrong"]
    assert len(wrong) == 1
    assert said in wrong[0]
    with pytest.raises(ConfigError) as error:
        run(recipe, tmp_path / "out")
    assert said in str(error.value)
    assert not (tmp_path / "out").exists()


def test_trials_that_encode_differently_share_no_cache(tmp_path: Path) -> None:
    recipe = written(tmp_path, RECIPE.replace("model.encoder_layers: {low: 1, high: 2}", "data.limits.max_source_length: [5, 9]"))
    assert space_of(Source(recipe))[0].count() == float("inf")
    with pytest.raises(ConfigError, match=r"`data\.cache` must be left out where `sweep\.space` has `data\.limits\.max_source_length`"):
        space_of(Source(recipe, ("data.cache=cache",)))


def test_without_the_section_there_is_nothing_to_try(tmp_path: Path) -> None:
    recipe = written(tmp_path, RECIPE.partition("sweep:")[0])
    with pytest.raises(ConfigError, match="The recipe has no section `sweep`: say there what is tried"):
        run(recipe, tmp_path / "out")


def test_training_keeps_the_section_and_may_go_on_with_another(tmp_path: Path) -> None:
    recipe = written(tmp_path)
    folder = sweep_trial.train(recipe, tmp_path / "run", overrides=["training.max_steps=1"], console=Console(file=StringIO()))
    kept = YAML(typ="safe").load((folder / "recipe.yaml").read_text(encoding="utf-8"))["sweep"]
    assert kept["space"].keys() == {"training.optimizer.learning_rate", "model.encoder_layers"}
    assert read_tensors(folder / "best" / "model.safetensors")
    changes = ["training.max_steps=2", "sweep.trials=9"]
    sweep_trial.train(recipe, folder, overrides=changes, resume=True, console=Console(file=StringIO()))
    assert read_recipe(folder / "recipe.yaml").sweep.trials == 9
