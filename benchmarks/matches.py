"""What matches of a translation memory are worth: two models, trained for the same time of one core, with and without them.

    nice python benchmarks/matches.py runs/matches --steps 600

Data are the help texts of LibreOffice that come with the project, up to `--words` words of English. The model that reads matches trains for
`--steps` updates; the other one for as many seconds of the processor, finding the matches counted. Both are scored on the test set, on its
lines that have a match, and on the others. Intervals are from 1,000 resamples of the lines.
"""

import argparse
import gzip
import time
from pathlib import Path
from typing import Any

import torch

import antiphon
from antiphon.recipe.recipe import Recipe, recipe_from
from antiphon.tasks.translation import Translation

DATA = Path(__file__).parents[1] / "examples" / "data" / "translation"


def rows(split: str, words: int) -> list[dict[str, str]]:
    """The pairs of a split whose source has so many words at most."""
    with gzip.open(DATA / f"{split}.tsv.gz", "rt", encoding="utf-8") as file:
        pairs = [line.rstrip("\n").split("\t") for line in file][1:]
    return [{"source": source, "target": target} for _, source, target in pairs if len(source.split()) <= words]


def recipe(steps: int, matches: bool) -> Recipe:
    """A small recurrent model."""
    settings: dict[str, Any] = {
        "task": {"name": "translation", "vocabulary": {"kind": "unigram", "size": 1000}, **({"matches": {}} if matches else {})},
        "data": {"limits": {"max_source_length": 200, "max_target_length": 100}},
        "model": {"name": "lstm", "dim": 128, "attention": "general", "tied_embeddings": "all"},
        "training": {
            "max_steps": steps,
            "validate_every": 100_000,
            "batching": {"target_tokens": 800},
            "optimizer": {"name": "adamw", "learning_rate": 3e-3},
            "schedule": {"name": "inverse_square_root", "warmup_steps": 100},
            "samples": 0,
        },
        "search": {"name": "beam", "beam_size": 4},
        "evaluation": {"metrics": ["bleu", "chrf"]},
    }
    return recipe_from(settings)


def main() -> None:
    """Train both, and print a row for each model and part of the test set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the runs go")
    parser.add_argument("--steps", type=int, default=600, help="updates of the model that reads matches")
    parser.add_argument("--words", type=int, default=10, help="words of the longest source")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = {split: rows(split, arguments.words) for split in ("train", "validation", "test")}

    def seconds(name: str, steps: int, *, resume: bool = False) -> float:
        began = time.process_time()
        antiphon.train(recipe(steps, name == "with"), arguments.folder / name, data=data, resume=resume)
        return time.process_time() - began

    spent = seconds("with", arguments.steps)
    first = seconds("without", arguments.steps)
    more = round(arguments.steps * spent / first) - arguments.steps
    if more > 0:
        first += seconds("without", arguments.steps + more, resume=True)
    print(f"with matches {arguments.steps} updates in {spent:.0f} s; without {arguments.steps + max(more, 0)} in {first:.0f} s")
    models = {name: antiphon.load(arguments.folder / name) for name in ("without", "with")}
    task = models["with"].task
    assert isinstance(task, Translation), "the recipe says so"
    task.remember(data["train"])
    tested = list(task.in_order(data["test"]))
    parts = {"all": tested, "with a match": [one for one in tested if one["match"]], "others": [one for one in tested if not one["match"]]}
    for part, records in parts.items():
        for name, model in models.items():
            found = antiphon.evaluate(model, records)
            scores = [one for one in found.scores if one.name in ("bleu", "chrf")]
            shown = "  ".join(f"{one.name} {one.value:.1f} ({one.low:.1f} to {one.high:.1f})" for one in scores)
            print(f"{part:<14} {len(records):4} lines  {name:<8} {shown}")


if __name__ == "__main__":
    main()
