"""`training.batching.pack` in a run: the same losses as without, exact resuming, and models that cannot."""

import io

import pytest
from rich.console import Console

import antiphon
from antiphon.errors import ConfigError
from antiphon.recipe.recipe import recipe_from
from antiphon.store import checkpoint

WORDS = ["ara", "beko", "cita", "dola", "efu", "gami"]
ROWS = [{"source": " ".join(WORDS[: 1 + row % 6]), "target": " ".join(WORDS[row % 3 : row % 3 + 1 + row // 4])} for row in range(12)]


def go(out, *, resume=False, model="transformer", steps=3, **batching):
    """The losses of the updates, and the score of the validation."""
    sizes = {"transformer": {"encoder_layers": 1, "decoder_layers": 1, "heads": 2, "feed_forward_dim": 12}}.get(model, {})
    recipe = recipe_from(
        {
            "task": {"name": "translation", "vocabulary": {"kind": "word"}},
            "model": {"name": model, "dim": 8, "dropout": 0.0, **sizes},
            "training": {
                "max_steps": steps,
                "validate_every": 3,
                "save_every": 1,
                "batching": {"max_examples": 5, **batching},
                "device": "cpu",
                "log_every": 1,
                "samples": 0,
            },
        }
    )
    events = []
    data = {"train": ROWS, "validation": ROWS[:4]}
    antiphon.train(recipe, out, data=data, resume=resume, console=Console(file=io.StringIO()), callbacks=[events.append])
    losses = [event["loss"] for event in events if event["kind"] == "train"]
    return losses + [event["scores"]["loss"] for event in events if event["kind"] == "validation"]


def test_a_run_learns_the_same_and_goes_on_exactly(tmp_path):
    expected, found = go(tmp_path / "plain"), go(tmp_path / "packed", pack=True, workers=None)
    assert found == pytest.approx(expected, rel=1e-5)
    go(tmp_path / "resumed", pack=True, steps=2)
    go(tmp_path / "resumed", pack=True, resume=True)
    digests = [checkpoint.digest(tmp_path / name / "last" / checkpoint.WEIGHTS) for name in ("packed", "resumed")]
    assert digests[0] == digests[1]


def test_what_cannot_keep_pairs_apart_is_told_before_training(tmp_path):
    with pytest.raises(
        ConfigError, match=r"`training\.batching\.pack` must be left out for this LSTM\w*, which cannot keep the pairs of a row"
    ):
        go(tmp_path / "run", model="lstm", pack=True)
