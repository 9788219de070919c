"""Runs of the Transformer's first revision, whose channels by themselves read the marks of all channels: they say what they said, and go
on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import antiphon
from antiphon.models.transformer import plugin, upgrade
from antiphon.recipe.recipe import Recipe, recipe_from
from antiphon.store import checkpoint

TASK = {"name": "forecasting", "horizon": 3, "context_length": 6}
MODEL = {"name": "transformer", "dim": 8, "heads": 2, "encoder_layers": 1, "decoder_layers": 1, "feed_forward_dim": 8}


def recipe(*, steps: int = 2, **model: Any) -> Recipe:
    return recipe_from(
        {
            "task": {
                "name": "forecasting",
                "horizon": 3,
                "context_length": 6,
                "target": ["y", "z"],
                "missing": "zero",
                "observed_mask": True,
            },
            "data": {"validation": 3},
            "model": {**MODEL, "channels": "independent", **model},
            "training": {"max_steps": steps, "batching": {"target_tokens": 64}},
        }
    )


def rows() -> list[dict[str, Any]]:
    """A series with holes in either column."""
    generator = np.random.default_rng(0)
    table = generator.normal(size=(30, 2))
    table[generator.random((30, 2)) < 0.2] = np.nan
    return [{"unique_id": "a", "ds": step, "y": y, "z": z} for step, (y, z) in enumerate(table.tolist())]


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A run as version 0.1 wrote it: of revision 1, and nothing is said of whose marks a channel reads."""
    run = antiphon.train(recipe(channel_inputs="all"), tmp_path / "run", data={"train": rows()})
    for folder in (run / "checkpoints").iterdir():
        header = checkpoint.read(folder).header
        header["recipe"]["model"].pop("channel_inputs")
        checkpoint.amend(folder, {**header, "model": {"name": "transformer", "revision": 1}})
    written = run / "recipe.yaml"
    lines = written.read_text().splitlines(keepends=True)
    written.write_text("".join(line for line in lines if "channel_inputs" not in line))
    return run


def said(run: Path) -> np.ndarray:
    (prediction,) = antiphon.load(run).predict(rows())
    return np.asarray(prediction.value.point)


def test_it_is_loaded_and_resumed(earlier: Path, tmp_path: Path) -> None:
    whole = antiphon.train(recipe(channel_inputs="all", steps=4), tmp_path / "whole", data={"train": rows()})
    again = antiphon.train(recipe(channel_inputs="all"), tmp_path / "again", data={"train": rows()})
    np.testing.assert_array_equal(said(earlier), said(again))
    assert said(earlier).shape == (3, 2)
    for steps in (3, 4):  # the second time from a checkpoint of today's revision
        antiphon.train(recipe(steps=steps), earlier, resume=True, data={"train": rows()})
    header = json.loads((earlier / "last" / "checkpoint.json").read_text())
    assert (header["model"]["revision"], header["recipe"]["model"]["channel_inputs"]) == (plugin.revision, "all")
    for name, tensor in checkpoint.read((whole / "last").resolve()).weights().items():
        np.testing.assert_array_equal(checkpoint.read((earlier / "last").resolve()).weights()[name], tensor)


def test_a_new_run_reads_its_own_marks(tmp_path: Path) -> None:
    run = antiphon.train(recipe(), tmp_path / "run", data={"train": rows()})
    weights = checkpoint.read((run / "last").resolve()).weights()
    (projection,) = [tensor for name, tensor in weights.items() if "source_positioned" in name and tensor.dim() == 2]
    assert projection.shape[1] == 2, "the value and its mark"


def test_what_mixes_channels_is_what_it_was() -> None:
    assert upgrade(1, {}, {"name": "transformer", "channels": "mixing"}) == ({}, {"name": "transformer", "channels": "mixing"})
    assert upgrade(2, {}, {"channels": "independent"})[1] == {"channels": "independent"}
