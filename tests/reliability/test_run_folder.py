"""What may be done with a run's folder: starting, resuming, changing the recipe, two at once."""

import math
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from rich.console import Console

import antiphon.prediction.validation
from antiphon.data.loader import Loader
from antiphon.errors import AntiphonError, CheckpointError, ConfigError
from antiphon.metrics.interface import Score
from antiphon.prediction.validation import Validation
from antiphon.recipe.recipe import read_recipe
from antiphon.runs.train import train
from antiphon.store import checkpoint
from tests.reliability.training_processes import differences, events, outcome, write_data, write_recipe


def go(folder: Path, name: str, *changes: str, resume: bool = False, **training: Any) -> Path:
    """Train six tiny updates in this process."""
    recipe = write_recipe(folder, **{"max_steps": 6, "validate_every": 3, **training})
    return train(read_recipe(recipe, changes), folder / name, resume=resume, console=Console(file=StringIO()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_data(tmp_path)
    return tmp_path


def test_a_run_is_not_overwritten(folder: Path) -> None:
    out = go(folder, "run")
    before = outcome(out)
    with pytest.raises(CheckpointError, match="already holds a run"):
        go(folder, "run")
    assert outcome(out) == before


def test_what_failed_before_its_first_checkpoint_starts_over_with_another_recipe(folder: Path) -> None:
    with pytest.raises(ConfigError):
        go(folder, "run", freeze=["nothing.*"])
    go(folder, "run")
    assert not differences(outcome(go(folder, "other")), outcome(folder / "run"))


def test_a_resumed_run_refuses_what_would_change_it(folder: Path) -> None:
    go(folder, "run")
    with pytest.raises(ConfigError, match=r"`model\.dim` \(16 there, 8 now\), `training\.clip_norm` \(1\.0 there, 3\.0 now\)"):
        go(folder, "run", "model.dim=8", "training.clip_norm=3", resume=True)


def test_a_resumed_run_refuses_other_training_data(folder: Path) -> None:
    go(folder, "run")
    train_file = folder / "train.tsv"
    lines = train_file.read_text().splitlines()
    train_file.write_text("\n".join([*lines, lines[-1]]) + "\n")
    with pytest.raises(CheckpointError, match=r"is not what the run in .* began with: \d+ examples then, \d+ now"):
        go(folder, "run", "training.max_steps=9", resume=True)
    train_file.write_text("\n".join(lines) + "\n")
    go(folder, "run", "training.max_steps=9", resume=True)


def test_a_longer_budget_goes_on_as_if_it_had_been_so_from_the_start(folder: Path) -> None:
    whole = go(folder, "whole", "training.max_steps=9", average=2)
    go(folder, "parts", average=2)
    parts = go(folder, "parts", "training.max_steps=9", "training.log_every=3", average=2, resume=True)
    assert not differences({**outcome(whole), "files": {}}, {**outcome(parts), "files": {}})  # the header holds the recipe, as ever
    assert checkpoint.digest(whole / "last" / checkpoint.WEIGHTS) == checkpoint.digest(parts / "last" / checkpoint.WEIGHTS)


def test_workers_may_change_and_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampled subwords, prepared by a process of its own in one half of the run and by the thread in the other."""
    sampled: dict[str, Any] = {"vocabulary": {"kind": "unigram", "size": 300, "sampling": 0.2}}
    whole = go(folder, "whole", "training.batching.workers=0", max_steps=9, **sampled)
    batches, started = Loader.batches, []

    def by_workers(self: Loader, epoch: int, start: int = 0) -> Any:
        assert self.wait_for_workers()
        assert self._workers is not None
        started.extend(self._workers._processes)
        return batches(self, epoch, start)

    with monkeypatch.context() as patches:
        patches.setattr(Loader, "batches", by_workers)
        go(folder, "parts", "training.batching.workers=1", **sampled)
    assert started
    assert all(process.returncode is not None for process in started), "no worker outlives the run"
    parts = go(folder, "parts", "training.batching.workers=0", "training.max_steps=9", resume=True, **sampled)
    assert not differences({**outcome(whole), "files": {}}, {**outcome(parts), "files": {}})  # the header holds the recipe, as ever
    assert checkpoint.digest(whole / "last" / checkpoint.WEIGHTS) == checkpoint.digest(parts / "last" / checkpoint.WEIGHTS)


def test_workers_without_anything_to_vary_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"`training.batching.workers` must be left out where examples are read as they are stored"):
        go(folder, "run", "training.batching.workers=2")


def test_resuming_a_finished_run_finishes_it_again(folder: Path) -> None:
    out = go(folder, "run", average=2)
    before = outcome(out)
    go(folder, "run", average=2, resume=True)
    assert not differences(before, outcome(out))
    assert len(events(out, "end")) == 1


def test_a_kill_before_the_links(folder: Path) -> None:
    """`last` still leads to the checkpoint before; those that it does not know are made again, and `best` is what it was then."""
    out = go(folder, "run", keep=3, save_every=None)
    whole = outcome(out)
    checkpoint.point(out / "last", out / "checkpoints" / "step-3")
    go(folder, "run", keep=3, save_every=None, resume=True)
    assert not differences(whole, outcome(out))


def test_a_link_that_leads_nowhere_is_no_fresh_start(folder: Path) -> None:
    out = go(folder, "run")
    checkpoint.remove((out / "last").resolve())
    with pytest.raises(CheckpointError, match="leads to a checkpoint that is gone"):
        go(folder, "run", resume=True)


def test_two_at_once(folder: Path) -> None:
    (folder / "run").mkdir()
    with checkpoint.held(folder / "run"), pytest.raises(CheckpointError, match="Another process is training"):
        go(folder, "run")
    go(folder, "run")


def test_a_loss_that_is_not_finite_is_never_best(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing could be better than NaN afterwards."""
    monkeypatch.setattr(Validation, "_loss", lambda *_: [Score("loss", math.nan, "", higher_is_better=False)])
    out = go(folder, "run")
    assert not (out / "best").exists()
    assert [event["best"] for event in events(out, "validation")] == [False, False]
    assert "No score was finite" in events(out, "end")[0]["message"]


def test_a_model_that_cannot_be_decoded_ends_no_training(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search refuses logits that are NaN; then the score that decides is missing."""
    monkeypatch.setattr(antiphon.prediction.validation, "decode_examples", Mock(side_effect=AntiphonError("NaN")))
    out = go(folder, "run", best="chrf")
    assert not (out / "best").exists()
    assert [event["prediction"] for event in events(out, "sample")] == ["(nothing could be decoded: NaN)"] * 2


def test_a_starting_point_is_not_needed_to_resume(folder: Path) -> None:
    start = go(folder, "start")
    go(folder, "run", init_from=str(start))
    start.rename(folder / "moved")
    go(folder, "run", "training.max_steps=8", init_from=str(start), resume=True)
    assert events(folder / "run", "records")[-1]["step"] == 8
