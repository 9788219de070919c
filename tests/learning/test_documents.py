"""A sentence is translated as the sentences before it ask for."""

import json
from pathlib import Path

import numpy as np

import antiphon


def test_a_model_learns_what_only_the_sentence_before_decides(tmp_path: Path) -> None:
    """A friend is he or she as the greeting says, and what runs as our own translation of the friend says."""
    rng, rows = np.random.default_rng(3), []
    for number in range(150):
        woman, extra = bool(rng.integers(2)), [f"w{n}" for n in rng.integers(8, size=2)]
        pairs = [
            (f"hello {'madam' if woman else 'sir'} {extra[0]}", f"hallo {extra[0]}"),
            (f"a friend {extra[1]}", f"{'eine freundin' if woman else 'ein freund'} {extra[1]}"),
            (f"it runs {extra[0]}", f"{'sie' if woman else 'er'} rennt {extra[0]}"),
        ]
        rows += [{"source": source, "target": target, "doc": f"d{number}"} for source, target in pairs]
    recipe = {
        "task": {"name": "translation", "vocabulary": {"kind": "word"}, "context": {"of": "both", "document": "doc"}},
        "data": {"validation": 15},
        "model": {"name": "lstm", "dim": 48, "dropout": 0.0},
        "training": {
            "max_steps": 160,
            "validate_every": 160,
            "batching": {"target_tokens": 400},
            "optimizer": {"name": "adamw", "learning_rate": 1.5e-2},
            "schedule": {"name": "linear", "warmup_steps": 20},
            "loss": {"name": "cross_entropy", "label_smoothing": 0.0},
            "device": "cpu",
        },
        "search": "greedy",
        "evaluation": {"metrics": ["exact_match"], "resamples": 0},
    }
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(recipe), encoding="utf-8")
    run = antiphon.train(path, tmp_path / "run", data={"train": rows[:360]})
    held_out = rows[360:]
    found = antiphon.evaluate(run, held_out)
    assert found["exact_match"] >= 95
    assert len(found.details["documents"]) == 30
    lines = [line for place, row in enumerate(held_out) for line in ([""] if place and place % 3 == 0 else []) + [row["source"]]]
    model = antiphon.load(run, device="cpu")
    said = model.predict(iter(lines), blank="answer")
    texts = [one.text for one in said]
    assert [text for text in texts if text] == [item.prediction for item in found.items], "blank lines stand for the column"
    apart = [model.predict(row["source"]).text for row in held_out[2:24:3]]
    assert sum(text == row["target"] for text, row in zip(apart, held_out[2:24:3], strict=True)) < 8, "alone nothing decides"
