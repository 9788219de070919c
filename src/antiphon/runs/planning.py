"""Finds the batch budget where a recipe leaves it open (`training.batching.target_tokens: auto`): once, then the run keeps it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from antiphon.contracts.corpus import StoredCorpus
from antiphon.contracts.sequences import Batch
from antiphon.contracts.task import Task
from antiphon.data.collate import collate
from antiphon.data.lengths import elements_of
from antiphon.data.mixing import MixedCorpus
from antiphon.recipe.recipe import Recipe, write_recipe
from antiphon.training.memory_planner import MemoryPlanner
from antiphon.training.step import Update
from antiphon.training.wanted_budget import wanted_budget


def with_found_budget(
    recipe: Recipe,
    task: Task,
    corpus: StoredCorpus | MixedCorpus,
    update: Update,
    say: Callable[[str], None],
    *,
    beside: Sequence[nn.Module] = (),
    path: Path | None = None,
) -> Recipe:
    """The recipe with a budget instead of `auto`: the largest that fits into memory and leaves enough updates; reports the reason.

    update   that of the training that is to begin, which is left as it is
    beside   other models that are in memory while training, such as teachers
    path     where the recipe is kept

    Raises ConfigError when not even the longest example fits. All processes must ask for it together.
    """
    settings, model = recipe.training.batching, update.learner.model
    if settings.target_tokens != "auto":
        return recipe
    averaged = [parameter for parameter in model.parameters() if parameter.requires_grad] if recipe.training.ema_decay else []
    held = sum(tensor.nbytes for tensor in (*averaged, *(weight for one in beside for weight in one.parameters())))

    def batch_of(rows: Sequence[int]) -> Batch:
        return collate([corpus.example(row) for row in rows], task.source_spec, task.target_spec, pack=settings.pack)

    at_most = wanted_budget(recipe.training, elements_of([corpus])[1])
    planned = MemoryPlanner(corpus, batch_of, settings, update, seed=recipe.seed, held=held).plan(at_most)
    say(planned.reason)
    recipe = _with_budget(recipe, planned.target_tokens)
    if path is not None and update.ranks.first:
        write_recipe(recipe, path)
    return recipe


def with_earlier_budget(recipe: Recipe, earlier: Recipe | None) -> Recipe:
    """The recipe of a resumed run with the budget that the run began with, where it is `auto`, even on another machine."""
    found = None if earlier is None else earlier.training.batching.target_tokens
    return _with_budget(recipe, found) if recipe.training.batching.target_tokens == "auto" and isinstance(found, int) else recipe


def _with_budget(recipe: Recipe, target_tokens: int) -> Recipe:
    batching = replace(recipe.training.batching, target_tokens=target_tokens, memory_limit=None)
    return replace(recipe, training=replace(recipe.training, batching=batching))
