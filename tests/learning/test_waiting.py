"""A translator that says words while it reads learns to."""

import json
from pathlib import Path

import numpy as np
import pytest

import antiphon


def test_a_model_learns_to_say_while_it_reads(tmp_path: Path) -> None:
    """Words of another language, one for one: they can be said one behind. Average lagging is then k, and files and streams agree."""
    rng = np.random.default_rng(5)
    rows = []
    for _ in range(400):
        numbers = rng.integers(9, size=rng.integers(3, 7))
        rows.append({"source": " ".join(f"a{n}" for n in numbers), "target": " ".join(f"b{n}" for n in numbers)})
    recipe = {
        "task": {"name": "translation", "vocabulary": {"kind": "word"}},
        "data": {"validation": 20},
        "model": {
            "name": "transformer",
            "dim": 32,
            "heads": 2,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "feed_forward_dim": 64,
            "dropout": 0.0,
            "wait_k": 1,
            "wait_k_paths": [1, 3],
        },
        "training": {
            "max_steps": 220,
            "validate_every": 220,
            "batching": {"target_tokens": 300},
            "optimizer": {"name": "adamw", "learning_rate": 8e-3},
            "schedule": {"name": "linear", "warmup_steps": 30},
            "device": "cpu",
        },
        "search": "greedy",
        "evaluation": {"metrics": ["exact_match", "average_lagging", "length_adaptive_lagging"], "resamples": 0},
    }
    (tmp_path / "recipe.json").write_text(json.dumps(recipe), encoding="utf-8")
    run = antiphon.train(tmp_path / "recipe.json", tmp_path / "run", data={"train": rows[:385]})
    for k in (1, 3):
        found = antiphon.evaluate(run, rows[385:], overrides=[f"model.wait_k={k}"])
        assert found["exact_match"] >= 95
        assert found["average_lagging"] == pytest.approx(k, abs=0.1)
        assert found["length_adaptive_lagging"] == pytest.approx(k, abs=0.1)
    model = antiphon.load(run, device="cpu")
    told = [[entry["word"] for entry in one.details["words"]] for one in model.stream_text(["a3", "a7", "a1"])]
    assert told == [["b3"], ["b3", "b7"], ["b3", "b7", "b1"], ["b3", "b7", "b1"], ["b3", "b7", "b1"]]
