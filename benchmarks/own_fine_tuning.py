"""Our fine-tuning of a published model: the task, loader and update of `antiphon train`."""

import argparse
import itertools
import json
import tempfile
from pathlib import Path

import torch
from worker import Ready, serve

from antiphon.contracts.limits import Limits
from antiphon.recipe.assembly import build_corpora, build_losses, build_model, build_task, open_splits, resolved
from antiphon.recipe.recipe import recipe_from
from antiphon.recipe.weights import start_weights
from antiphon.runs.train import make_update
from antiphon.training.batches import TrainingBatches
from antiphon.training.distributed import Ranks


def set_up(folder: Path, target_tokens: int, updates: int, threads: int, *, adapter: bool) -> Ready:
    """The model after two updates that nobody times."""
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    checkpoint = str(folder / "checkpoint")
    recipe = resolved(
        recipe_from(
            {
                "task": {"name": "translation", "vocabulary": {"kind": "pretrained", "model": checkpoint}},
                "model": {"name": "pretrained", "path": checkpoint, "adapter": {"rank": 8} if adapter else None},
                "training": {
                    "max_epochs": 1,
                    "batching": {"target_tokens": target_tokens},
                    "optimizer": {"name": "adamw", "learning_rate": 3e-4, "betas": (0.9, 0.999), "epsilon": 1e-8},
                },
            }
        )
    )
    task, ranks = build_task(recipe), Ranks(0, 1, torch.device("cpu"))
    task.fit([])
    model = build_model(recipe, task)
    start_weights(model, recipe, task, fresh=True)
    update = make_update(recipe, model.train(), build_losses(recipe, task)[0], ranks)
    with open(folder / "pairs.jsonl", encoding="utf-8") as file:
        pairs = [json.loads(line) for line in file]
    split = open_splits(recipe, task, {"train": pairs})["train"]
    place = Path(tempfile.mkdtemp(prefix="antiphon-"))
    corpus = build_corpora(split, task, place, Limits(), keep_records=False)[0]
    batches = TrainingBatches(corpus, task, recipe.training.batching, 1, ranks).batches(0)
    step = itertools.count()

    def train(count: int = updates) -> float:
        return float(sum(update([batch], next(step), 1.0).elements for batch in itertools.islice(batches, count)))

    train(2)
    return Ready({"training": train}, sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--target-tokens", type=int, required=True)
    parser.add_argument("--updates", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--adapter", action="store_true")
    chosen = parser.parse_args()
    serve(lambda: set_up(chosen.folder, chosen.target_tokens, chosen.updates, chosen.threads, adapter=chosen.adapter))
