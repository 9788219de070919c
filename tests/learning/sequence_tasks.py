"""Tasks on sequences that a working encoder-decoder must learn: copy, reverse, sort, and digit words to digits.

They differ in what they need: copying a monotone alignment, reversing one that runs backwards, sorting a look at the whole source, and
digit words an output much shorter than its input. Records are drawn from a seed, all different, so held-out ones were never seen.
"""

import random
from pathlib import Path
from typing import Any

from rich.console import Console

import antiphon
from antiphon.recipe.recipe import recipe_from

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
LETTERS = "abcdefgh"


def _pair(task: str, length: int, rng: random.Random) -> tuple[str, str]:
    if task == "digit words":
        digits = [rng.randrange(10) for _ in range(length)]
        return " ".join(DIGITS[digit] for digit in digits), "".join(map(str, digits))
    text = "".join(rng.choice(LETTERS) for _ in range(length))
    return text, {"copy": text, "reverse": text[::-1], "sort": "".join(sorted(text))}[task]


def draw(task: str, count: int, seed: int, lengths: tuple[int, int]) -> list[dict[str, str]]:
    """Different records of a task, in random order."""
    symbols = len(DIGITS) if task == "digit words" else len(LETTERS)
    possible = sum(symbols**length for length in range(lengths[0], lengths[1] + 1))
    assert count <= possible / 2, f"{count} different records of {possible} possible ones would take for ever to draw"
    rng, found = random.Random(seed), {}
    while len(found) < count:
        source, target = _pair(task, rng.randint(*lengths), rng)
        found[source] = target
    records = [{"source": source, "target": target} for source, target in found.items()]
    rng.shuffle(records)
    return records


def learn(
    folder: Path,
    task: str,
    model: dict[str, Any],
    *,
    seed: int,
    steps: int,
    learning_rate: float,
    lengths: tuple[int, int],
    records: int = 8000,
) -> float:
    """Train through the public interface; returns the share of held-out records whose prediction is exactly right."""
    drawn = draw(task, records + 300, seed, lengths)
    held_out, validation, train = drawn[:200], drawn[200:300], drawn[300:]
    recipe = recipe_from(
        {
            "task": {"name": "translation", "vocabulary": {"kind": "character"}},
            "model": model,
            "training": {
                "max_steps": steps,
                "batching": {"target_tokens": 600},
                "optimizer": {"name": "adamw", "learning_rate": learning_rate},
                "schedule": {"name": "linear", "warmup_steps": 50},
                "loss": {"name": "cross_entropy", "label_smoothing": 0.0},
                "validate_every": steps,
                "validation_records": 20,
                "device": "cpu",
            },
            "search": "greedy",
            "evaluation": {"metrics": ["exact_match"], "resamples": 0},
            "seed": seed,
        }
    )
    run = antiphon.train(recipe, folder / "run", data={"train": train, "validation": validation}, console=Console(quiet=True))
    predictions = antiphon.load(run, device="cpu").predict([record["source"] for record in held_out])
    right = [prediction.text == record["target"] for prediction, record in zip(predictions, held_out, strict=True)]
    wrong = [(record, prediction.text) for prediction, record, fine in zip(predictions, held_out, right, strict=True) if not fine]
    print(f"{task}, {model['name']}: {sum(right)} of {len(right)} right; for example wrong: {wrong[:3]}")
    return sum(right) / len(right)
