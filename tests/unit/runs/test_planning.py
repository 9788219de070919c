"""`training.batching.target_tokens: auto` in a run: found once, kept, and of no other effect than the number itself."""

import re

from antiphon.recipe.recipe import read_recipe
from antiphon.store import checkpoint
from antiphon.training.memory_planner import MemoryPlanner
from tests.unit.runs.test_training import go, kinds


def digest(run):
    return checkpoint.digest(run / "last" / checkpoint.WEIGHTS)


def test_a_found_budget_is_kept_and_learns_what_the_number_does(tmp_path, monkeypatch):
    auto = {"target_tokens": "auto", "memory_limit": "600 MB", "max_examples": 4}
    settings = {"ema_decay": 0.9, "optimizer": {"name": "adamw", "learning_rate": 0.01}}
    said = go(tmp_path / "found", batching=auto, max_steps=2, **settings)
    found = re.search(r"`training.batching.target_tokens: auto` is (\d+), all data at once: the heaviest of its batches takes about", said)
    assert found is not None, said
    kept = read_recipe(tmp_path / "found" / "recipe.yaml").training.batching
    assert kept.target_tokens == int(found[1]) == 4 * 4, "four examples, each of a start, two words and an end"
    assert kept.memory_limit is None
    header = checkpoint.read((tmp_path / "found" / "last").resolve()).header
    assert header["recipe"]["training"]["batching"]["target_tokens"] == kept.target_tokens

    monkeypatch.setattr(MemoryPlanner, "plan", lambda *_: 1 / 0)  # another machine, on which another number would be found
    said = go(tmp_path / "found", batching={**auto, "memory_limit": "900 MB"}, resume=True, **settings)
    assert "auto" not in said
    go(tmp_path / "by hand", batching={"target_tokens": kept.target_tokens, "max_examples": 4}, **settings)
    assert digest(tmp_path / "found") == digest(tmp_path / "by hand")
    assert kinds(tmp_path / "found") == kinds(tmp_path / "by hand")
