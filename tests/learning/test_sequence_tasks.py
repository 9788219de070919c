"""Every architecture must learn simple sequence tasks, with whatever seed: at least 99 % of held-out records exactly right.

The fast suite learns one task each with one seed, of shorter sequences; `-m slow` learns all of them with three.
"""

from typing import Any

import pytest

from antiphon.contracts import registry
from tests.learning.sequence_tasks import learn

TASKS = ("copy", "reverse", "sort", "digit words")
LSTM = {"name": "lstm", "dim": 64, "dropout": 0.0}
TRANSFORMER = {
    "name": "transformer",
    "dim": 64,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "heads": 4,
    "feed_forward_dim": 128,
    "dropout": 0.0,
}
# Per architecture and task: the model, and how to train it. What is missing here fails `test_every_architecture_learns`.
SETTINGS: dict[str, dict[str, Any]] = {
    "lstm": {"model": LSTM, "learning_rate": 8e-3, "steps": {"copy": 800, "reverse": 1000, "sort": 1000, "digit words": 800}},
    "transformer": {"model": TRANSFORMER, "learning_rate": 3e-3, "steps": {"copy": 500, "reverse": 1200, "sort": 1200, "digit words": 800}},
}
LENGTHS = {"copy": (3, 8), "reverse": (3, 8), "sort": (3, 8), "digit words": (2, 5)}
# These read no symbols, or nothing at all, or begin with weights that others have trained.
NOT_HERE = ("adapted", "chronos_bolt", "conformer", "decoder_only", "encoder_only", "linear", "pretrained", "transducer", "whisper")
FAST = [("lstm", "reverse", 500), pytest.param("transformer", "copy", 300, marks=pytest.mark.slow)]  # others learn with it, too
ALL = [(architecture, task) for architecture in SETTINGS for task in TASKS]


def share_right(folder, architecture, task, seed):
    settings = SETTINGS[architecture]
    return learn(
        folder,
        task,
        settings["model"],
        seed=seed,
        steps=settings["steps"][task],
        learning_rate=settings["learning_rate"],
        lengths=LENGTHS[task],
    )


def test_every_architecture_learns():
    missing = [name for name in registry.names("models") if name not in SETTINGS and name not in NOT_HERE]
    assert not missing, f"say in {__file__} how {', '.join(missing)} learns {', '.join(TASKS)}"


@pytest.mark.parametrize(("architecture", "task", "steps"), FAST)
def test_it_learns(architecture, task, steps, tmp_path, seed):
    model, rate = (SETTINGS[architecture][name] for name in ("model", "learning_rate"))
    assert learn(tmp_path, task, model, seed=seed, steps=steps, learning_rate=rate, lengths=(2, 5), records=4000) >= 0.99


def test_it_learns_by_state_passing_alone(tmp_path, seed):
    """Without attention all that the decoder knows of the source is one vector, so the source is short."""
    model = {**LSTM, "dim": 96, "attention": "none"}
    assert learn(tmp_path, "copy", model, seed=seed, steps=450, learning_rate=5e-3, lengths=(2, 4), records=2000) >= 0.99


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("repetition", range(3))
@pytest.mark.parametrize(("architecture", "task"), ALL)
def test_it_learns_with_any_seed(architecture, task, repetition, tmp_path, seed):
    assert share_right(tmp_path, architecture, task, (seed + repetition) % 2**31) >= 0.99
