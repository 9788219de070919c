"""Decides what can be done in a run's folder: begin, continue from its last checkpoint with the same recipe and data, or nothing."""

import os
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from antiphon.contracts import registry
from antiphon.contracts.configuration import plain, texts, validate
from antiphon.data.cache import make_cache
from antiphon.data.identity import is_same
from antiphon.errors import CheckpointError, ConfigError
from antiphon.recipe.recipe import Recipe, changed_keys, read_recipe, write_recipe
from antiphon.runs.agreeing import check_shared
from antiphon.store import atomic, checkpoint
from antiphon.store.revisions import upgraded_settings
from antiphon.training.budget import limits_of
from antiphon.training.distributed import Ranks
from antiphon.training.loggers import last_event

RECIPE, LOG = "recipe.yaml", "metrics.jsonl"

# Changing these between a start and a resume cannot change what has been learned so far.
FREE_TO_CHANGE = (
    *(f"training.{name}" for name in ("max_steps", "max_epochs", "max_minutes", "patience", "log_every", "log_records", "keep")),
    *(f"training.{name}" for name in ("samples", "tensorboard", "trackers", "device", "nonfinite_patience", "save_minutes")),
    "training.batching.workers",
    "training.compile",
    "training.distributed",
    "search",
    "evaluation",
    "data.test",
    "sweep",
    "data.workers",
    "distillation.teachers",  # the path of the same teacher: another teacher is noticed by its weights
    "distillation.batch_size",
    "model.path",  # a published checkpoint may move: it is needed no more, or known by its hash
    "model.run",  # the base of adapters, too
)


def prepare_folder(folder: Path, recipe: Recipe, resume: bool, ranks: Ranks, say: Callable[[str], None]) -> checkpoint.Checkpoint | None:
    """Create the run's folder, or find the checkpoint to resume from; None when the run begins.

    Raises CheckpointError when the folder holds a run that is not to be resumed, and ConfigError when the recipe is another one.
    """
    if ranks.first:  # the others look when all is well: what is wrong is said once
        _check_folder(folder, recipe, resume, say)
        make_cache(recipe.data.cache)
        try:
            (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
            for place in (folder, folder / "checkpoints", folder / "corpus"):
                atomic.clean(place)
            write_recipe(recipe, folder / RECIPE)
        except OSError as error:
            raise CheckpointError(f"The run's folder {folder} cannot be written: {error.strerror}.") from error
    check_shared(folder, ranks)
    if not resume or not os.path.lexists(folder / "last"):
        return None
    if not (folder / "last").exists():
        raise CheckpointError(f"{folder / 'last'} leads to a checkpoint that is gone. Link it to another one in {folder / 'checkpoints'}.")
    return checkpoint.read((folder / "last").resolve())


def as_it_began(recipe: Recipe, last: checkpoint.Checkpoint) -> Recipe:
    """The recipe with the model settings of the checkpoint that is resumed: in an earlier revision of its architecture the same settings
    may have meant something else. Settings that may be changed are those of the recipe."""
    plugin = registry.find("models", recipe.model.name)
    if plugin.upgrade is None:
        return recipe
    began: Any = validate(plugin.Config, upgraded_settings(last, recipe.trust), trust=recipe.trust)
    free = {key.removeprefix("model.") for key in FREE_TO_CHANGE if key.startswith("model.")}
    changed = {own.name: getattr(recipe.model, own.name) for own in fields(began) if own.name in free}
    return replace(recipe, model=replace(began, **changed))


def earlier_recipe(folder: Path, recipe: Recipe) -> Recipe:
    """The recipe of the run that is resumed. Code that it names is only trusted if the user's recipe names it, too."""
    known = frozenset(texts(plain(recipe))) if recipe.trust.names else recipe.trust.known
    if getattr(recipe.model, "trust_remote_code", False):
        known |= {"trust_remote_code"}
    return read_recipe(folder / RECIPE, trust=replace(recipe.trust, names=False, known=known))


def why_complete(folder: Path, recipe: Recipe, last: checkpoint.Checkpoint | None) -> str:
    """Why there is nothing left to do: the run is complete, with its current budgets. Empty if it is not."""
    end = last_event(folder / LOG)
    if last is None or end is None or end.get("kind") != "end" or end.get("step") != last.header.get("step"):
        return ""
    return str(end.get("reason", "")) if end.get("limits") == limits_of(recipe.training) else ""


def refuse_other_data(then: Mapping[str, Any] | None, now: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Raises CheckpointError when a split differs from what the checkpoint recorded (`then`); `now` has the identity of each split, by
    name."""
    if then is None:
        return
    for name, before in (("training", then), ("validation", then.get("validation"))):
        after = now["train" if name == "training" else name]
        if before is not None and not is_same(before, after):
            counts = f"{before['examples']:,} examples then, {after['examples']:,} now"
            differs = counts if before["examples"] != after["examples"] else f"{counts}, but not the same ones"
            raise CheckpointError(
                f"The {name} data is not what the run in {folder} began with: {differs}. Undo the change to resume, or start a new run with"
                " another `--out` (`training.init_from` takes over the weights)."
            )


def stored_identity(now: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The identities of both splits, as stored in a checkpoint."""
    return {**now["train"], "validation": dict(now["validation"])}


def _check_folder(folder: Path, recipe: Recipe, resume: bool, say: Callable[[str], None]) -> None:
    """Refuse to resume with a changed recipe, and to overwrite existing files. Without a checkpoint nothing can be lost."""
    started = os.path.lexists(folder / "last")
    if (folder / checkpoint.HEADER).is_file():
        raise CheckpointError(f"{folder} is a checkpoint or an exported folder, in which no run can begin. Choose another `--out`.")
    if resume and not started:
        say(f"There is no checkpoint in {folder} to resume from: the run begins.")
    elif resume and (folder / RECIPE).is_file():
        _refuse_changes(plain(earlier_recipe(folder, recipe)), plain(recipe), folder)
    elif started:
        raise CheckpointError(f"{folder} already holds a run. Continue it with `--resume`, or choose another `--out`.")


def _refuse_changes(old: dict[str, Any], new: dict[str, Any], folder: Path) -> None:
    changes = [key for key in changed_keys(old, new) if not any(key == free or key.startswith(f"{free}.") for free in FREE_TO_CHANGE)]
    if changes:
        differs = ", ".join(f"`{key}` ({_value_at(old, key)} there, {_value_at(new, key)} now)" for key in changes)
        raise ConfigError(
            f"The recipe differs from that of the run in {folder}: {differs}. To go on as it began: antiphon train {folder} --resume."
            " Or start a new run with another `--out` (`training.init_from` takes over the weights)."
        )


def _value_at(values: Any, dotted: str) -> str:
    """A setting's value, formatted for display."""
    for key in dotted.split("."):
        values = values.get(key) if isinstance(values, Mapping) else None
    return "nothing" if values is None else f"{values!r:.60}"
