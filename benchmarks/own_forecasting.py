"""Our forecasters: the loop, the update and the loader of `antiphon train`, on windows of series; nothing is logged, validated or saved."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import torch
from worker import HeldLoop

from antiphon.contracts.limits import Limits
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch
from antiphon.recipe.assembly import build_corpora, build_losses, build_model, build_task, fit_task, mixed, open_splits
from antiphon.recipe.recipe import Recipe, recipe_from
from antiphon.runs.train import make_update
from antiphon.training.batches import TrainingBatches
from antiphon.training.distributed import Ranks
from antiphon.training.trainer import Trainer

_WITHOUT_DROPOUT = {"dim": 128, "dropout": 0.0}
MODELS: dict[str, dict[str, Any]] = {
    "lstm": {"name": "lstm", "bidirectional": False, "bridge": "copy", "attention": "none", **_WITHOUT_DROPOUT},
    "lstm-attention": {"name": "lstm", **_WITHOUT_DROPOUT},
    "transformer": {
        "name": "transformer",
        "encoder_layers": 2,
        "decoder_layers": 2,
        "heads": 4,
        "feed_forward_dim": 512,
        **_WITHOUT_DROPOUT,
    },
}
_NEVER = 10**9


def recipe_for(model: str, data: Path, context: int, horizon: int, rows: int) -> Recipe:
    """What a user would write, but for an end that never comes."""
    return recipe_from(
        {
            "task": {"name": "forecasting", "horizon": horizon, "context_length": context},
            "data": {"train": str(data)},
            "model": MODELS[model],
            "training": {
                "max_steps": _NEVER,
                "validate_every": _NEVER,
                "loss": {"name": "absolute_error"},
                "optimizer": {"name": "adamw", "learning_rate": 1e-3},
                "batching": {"max_examples": rows, "target_tokens": (horizon + 1) * rows},
                "device": "cpu",
            },
        }
    )


class HeldBatches:
    """The loader of `antiphon train`, held between turns."""

    def __init__(self, inner: TrainingBatches, loop: HeldLoop, parameters: int):
        self.inner, self.loop, self.parameters = inner, loop, parameters

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch | None]:
        """Batches of an epoch, from number `start` on."""
        for batch in self.inner.batches(epoch, start):
            self.loop.before_update(self.parameters)
            yield batch

    def estimate(self) -> int:
        """About how many batches an epoch has."""
        return self.inner.estimate()


def _evaluate(model: Seq2SeqModel) -> NoReturn:
    raise AssertionError("a benchmark validates nothing")


def _save_features(folder: Path) -> NoReturn:
    raise AssertionError("a benchmark saves nothing")


def train(recipe: Recipe, cache: Path, loop: HeldLoop) -> None:
    """Train for as long as the parent wants."""
    torch.manual_seed(recipe.seed)
    task = build_task(recipe)
    split = open_splits(recipe, task)["train"]
    fit_task(task, split)
    corpora = build_corpora(split, task, cache, Limits(), keep_records=False)
    model, ranks, settings = build_model(recipe, task), Ranks(0, 1, torch.device("cpu")), recipe.training
    loss, _ = build_losses(recipe, task)
    update = make_update(recipe, model, loss, ranks)
    batches = TrainingBatches(mixed(corpora, split), task, settings.batching, recipe.seed, ranks)
    held = HeldBatches(batches, loop, sum(parameter.numel() for parameter in model.parameters()))
    Trainer(model, update, held, _evaluate, settings, ranks, folder=cache, header={}, save_features=_save_features).run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", choices=tuple(MODELS), required=True)
    parser.add_argument("--cache", type=Path, required=True)
    for name in ("--context", "--horizon", "--rows", "--updates", "--threads"):
        parser.add_argument(name, type=int, required=True)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    train(recipe_for(chosen.model, chosen.data, chosen.context, chosen.horizon, chosen.rows), chosen.cache, HeldLoop(chosen.updates))
