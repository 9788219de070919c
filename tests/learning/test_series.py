"""Waves must be learned, with whatever seed: sines of no whole number of steps, each series with a phase and a level of its own.

The seasonal naive forecast has a mean absolute scaled error of about 1 by definition. Whoever reads the past must do far better.
"""

from typing import Any

import numpy as np
import pytest

import antiphon
from antiphon.recipe.recipe import recipe_from

HORIZON, PERIOD = 8, 9.5


def waves(seed: int, count: int, length: int = 60) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    steps = np.arange(length)
    found = []
    for number in range(count):
        level, phase = rng.uniform(10, 1000), rng.uniform(0, 2 * np.pi)
        values = level * (2 + np.sin(2 * np.pi * steps / PERIOD + phase)) + level * 0.02 * rng.normal(size=length)
        found += [{"unique_id": f"{seed}-{number}", "ds": step, "y": float(value)} for step, value in enumerate(values)]
    return found


def error(folder: Any, model: dict[str, Any], decoding: str, seed: int) -> float:
    recipe = recipe_from(
        {
            "task": {"name": "forecasting", "horizon": HORIZON, "context_length": 20, "season": 9, "decoding": decoding},
            "data": {"validation": HORIZON},
            "model": model,
            "training": {
                "max_steps": 200,
                "validate_every": 100,
                "batching": {"target_tokens": 32 * (HORIZON + 1)},
                "optimizer": {"name": "adamw", "learning_rate": 5e-3},
                "schedule": {"name": "cosine", "warmup_steps": 20},
            },
            "search": {"samples": 20},
            "evaluation": {"metrics": ["mase"], "resamples": 0},
            "seed": seed,
        }
    )
    run = antiphon.train(recipe, folder / "run", data={"train": waves(seed, 30)})
    return float(antiphon.evaluate(run, waves(seed + 1, 30))["mase"])  # series that it never saw


@pytest.mark.parametrize(
    ("model", "decoding"),
    [
        ({"name": "lstm", "dim": 32, "dropout": 0.0, "head": "gaussian"}, "rollout"),
        ({"name": "lstm", "dim": 32, "dropout": 0.0, "head": "quantile"}, "direct"),
    ],
    ids=["rollout", "direct"],
)
def test_waves_are_learned(tmp_path, model, decoding, seed):
    assert error(tmp_path, model, decoding, seed % 1000) < 0.25


def test_counts_of_very_different_sizes_learn_together(tmp_path: Any, seed: int) -> None:
    """Means from 0.1 to 3,000: read as they are, the large series drown the small ones, and a count costs hundreds of nats after as many
    steps."""
    rng = np.random.default_rng(seed)
    rates = [mean * rng.gamma(10, 0.1, size=60) for mean in np.geomspace(0.1, 3000, 12)]
    data = [{"unique_id": f"s{n}", "ds": step, "y": int(y)} for n, rate in enumerate(rates) for step, y in enumerate(rng.poisson(rate))]
    recipe = recipe_from(
        {
            "task": {"name": "forecasting", "horizon": 4, "context_length": 12, "counts": True, "decoding": "direct"},
            "data": {"validation": 4},
            "model": {"name": "lstm", "dim": 8, "head": "negative_binomial"},
            "training": {
                "max_steps": 60,
                "batching": {"target_tokens": 160},
                "optimizer": {"name": "adamw", "learning_rate": 2e-2},
            },
            "evaluation": {"metrics": ["crps"], "resamples": 0},
            "seed": seed,
        }
    )
    assert antiphon.evaluate(antiphon.train(recipe, tmp_path / "run", data={"train": data}), data)["loss"] < 9
