"""A model with a pointer head must learn to write words that its vocabulary does not have, in sentences with names that it never saw."""

import random
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import antiphon
from antiphon.recipe.recipe import recipe_from

MODELS: dict[str, dict[str, Any]] = {
    "lstm": {"name": "lstm", "dim": 64, "dropout": 0.0, "tied_embeddings": "all"},
    "lstm with coverage": {"name": "lstm", "dim": 64, "dropout": 0.0, "coverage": True},
    "transformer": {
        "name": "transformer",
        "dim": 64,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "heads": 4,
        "feed_forward_dim": 128,
        "dropout": 0.0,
        "tied_embeddings": "all",
    },
}
WORDS = ("the", "old", "tool", "reads", "and", "writes", "many", "files", "for", "users", "of", "this", "small", "system")


def draw(count: int, seed: int) -> list[dict[str, str]]:
    """Sentences in which two names stand at random places; the summary says them in their order."""
    rng = random.Random(seed)
    records = []
    for _ in range(count):
        names = ["".join(rng.choice("bcdfgklmnprst") + rng.choice("aeiou") for _ in range(4)) for _ in range(2)]
        words = [rng.choice(WORDS) for _ in range(rng.randint(3, 8))]
        first, second = sorted(rng.sample(range(len(words) + 1), 2))
        sentence = [*words[:first], "called", names[0], *words[first:second], "called", names[1], *words[second:]]
        records.append({"document": " ".join(sentence), "summary": f"{names[0]} and {names[1]}"})
    return records


def share_right(folder: Path, model: dict[str, Any], seed: int, steps: int) -> float:
    """The share of records with new names whose summary is exactly right."""
    recipe = recipe_from(
        {
            "task": {"name": "summarization", "vocabulary": {"kind": "word", "min_frequency": 20}},
            "model": {**model, "head": "pointer"},
            "training": {
                "max_steps": steps,
                "batching": {"target_tokens": 256},
                "optimizer": {"name": "adamw", "learning_rate": 4e-3},
                "schedule": {"name": "cosine", "warmup_steps": 40},
                "loss": {"name": "pointer", "label_smoothing": 0.0},
                "validate_every": steps,
                "validation_records": 50,
            },
            "search": {"name": "greedy", "processors": {"allow_unknown": False}},
            "seed": seed % 2**31,
        }
    )
    run = antiphon.train(
        recipe, folder / "run", data={"train": draw(3000, seed), "validation": draw(50, seed + 1)}, console=Console(quiet=True)
    )
    tested = draw(200, seed + 2)
    predictions = antiphon.load(run).predict([{"document": one["document"]} for one in tested])
    return sum(found.text == one["summary"] for found, one in zip(predictions, tested, strict=True)) / len(tested)


def test_it_learns_to_copy_words_that_it_does_not_know(tmp_path: Path, seed: int) -> None:
    assert share_right(tmp_path, MODELS["lstm"], seed, 300) >= 0.97


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("repetition", range(3))
def test_every_decoder_with_attention_learns_to_copy(name: str, repetition: int, tmp_path: Path, seed: int) -> None:
    assert share_right(tmp_path, MODELS[name], seed + repetition, 800) >= 0.99
