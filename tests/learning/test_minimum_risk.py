"""A model that can do a task a little does it better by what a metric says of its own outputs, and by nothing else."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import antiphon
from antiphon.recipe.recipe import recipe_from
from tests.learning.sequence_tasks import draw


@pytest.mark.parametrize(
    ("metric", "rate", "gain"), [("chrf", 4e-3, 3.0), pytest.param("word_error_rate", 2e-3, -1.5, marks=pytest.mark.slow)]
)
def test_the_metric_of_its_own_outputs_alone_makes_a_model_better(metric: str, rate: float, gain: float, tmp_path: Path) -> None:
    rows = [{"source": " ".join(row["source"]), "target": " ".join(row["target"])} for row in draw("reverse", 700, 1, (3, 5))]

    def trained(name: str, steps: int, **training: Any) -> Path:
        recipe = recipe_from(
            {
                "task": {"name": "translation", "vocabulary": {"kind": "word"}},
                "model": {"name": "lstm", "dim": 48, "dropout": 0.0},
                "training": {
                    "max_steps": steps,
                    "validate_every": steps,
                    "validation_records": 20,
                    "batching": {"target_tokens": 200},
                    "device": "cpu",
                    **training,
                },
                "search": {"name": "greedy", "limits": {"max_ratio": 1.0, "max_offset": 2}},
                "evaluation": {"metrics": [metric], "resamples": 0},
            }
        )
        data = {"train": rows[100:], "validation": rows[:30]}
        return antiphon.train(recipe, tmp_path / name, data=data, console=Console(quiet=True))

    def adamw(rate: float) -> dict[str, Any]:
        return {"name": "adamw", "learning_rate": rate}

    start = trained("start", 70, optimizer=adamw(8e-3), schedule={"name": "linear", "warmup_steps": 20})
    risk = {"name": "minimum_risk", "metric": metric, "cross_entropy_weight": 0.0, "alpha": 1.0}
    tuned = trained("tuned", 40, optimizer=adamw(rate), schedule={"name": "linear", "warmup_steps": 5}, loss=risk, init_from=start)
    before, after = (antiphon.evaluate(run, rows[:200])[metric] for run in (start, tuned))
    print(f"{metric}: {before:.1f} before, {after:.1f} after")
    assert after - before >= gain if gain > 0 else after - before <= gain
