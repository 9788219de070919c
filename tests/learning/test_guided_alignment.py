"""Attention that is guided by alignments aligns; the same attention without guidance may look where it likes."""

import random
from pathlib import Path
from typing import Any

import pytest

import antiphon
from antiphon.prediction.word_alignment import AlignmentErrors
from antiphon.recipe.recipe import recipe_from

MODELS: dict[str, dict[str, Any]] = {
    "lstm": {"name": "lstm", "dim": 48, "dropout": 0.0},
    "transformer": {
        "name": "transformer",
        "dim": 48,
        "encoder_layers": 1,
        "decoder_layers": 2,
        "heads": 4,
        "feed_forward_dim": 96,
        "dropout": 0.0,
        "alignment_heads": 1,
    },
}


def draw(count: int, seed: int) -> list[dict[str, str]]:
    """Words in another order: the second half before the first, so that neither copying nor reversing is a guess that helps."""
    rng = random.Random(seed)
    records = []
    for _ in range(count):
        words = [f"w{rng.randrange(12)}" for _ in range(rng.choice((4, 6)))]
        order = [*range(len(words) // 2, len(words)), *range(len(words) // 2)]
        links = " ".join(f"{place}-{step}" for step, place in enumerate(order))
        records.append({"source": " ".join(words), "target": " ".join(words[place].upper() for place in order), "links": links})
    return records


def alignment_error_rate(folder: Path, model: dict[str, Any], *, guided: bool, seed: int) -> float:
    """Of new records."""
    recipe = recipe_from(
        {
            "task": {"name": "translation", "vocabulary": {"kind": "word"}, **({"alignment": "links"} if guided else {})},
            "model": model,
            "training": {
                "max_steps": 200,
                "batching": {"target_tokens": 200},
                "optimizer": {"name": "adamw", "learning_rate": 4e-3},
                "schedule": {"name": "constant"},
                "loss": {"name": "cross_entropy", **({"guided_alignment": {"weight": 2.0}} if guided else {})},
                "validate_every": 200,
                "samples": 0,
                "device": "cpu",
            },
            "search": {"name": "greedy"},
            "seed": seed % 2**31,
        }
    )
    run = antiphon.train(recipe, folder, data={"train": draw(400, seed), "validation": draw(10, seed + 1)})
    records = draw(50, seed + 2)
    errors = AlignmentErrors()
    for record, one in zip(records, antiphon.load(run, device="cpu").score(records, alignment=True), strict=True):
        errors.add(one.details["word_alignment"], record["links"])
    assert errors.rate is not None
    return errors.rate


def test_guided_attention_aligns(tmp_path: Path, seed: int) -> None:
    guided = alignment_error_rate(tmp_path, MODELS["transformer"], guided=True, seed=seed)
    assert guided < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_it_is_the_guidance_that_aligns(name: str, tmp_path: Path, seed: int) -> None:
    guided = alignment_error_rate(tmp_path / "guided", MODELS[name], guided=True, seed=seed)
    free = alignment_error_rate(tmp_path / "free", MODELS[name], guided=False, seed=seed)
    print(f"{name}: alignment error rate {guided:.1%} guided, {free:.1%} free")
    assert guided < 0.1
    assert free > guided + 0.1
