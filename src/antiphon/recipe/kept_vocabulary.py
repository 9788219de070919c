"""A run that starts from the weights of another run keeps its vocabulary as well, unless it is to learn a new one.

Embeddings mean something only for the symbols that they were learned with. A vocabulary that is learned anew, with the same settings from
other texts, cuts the same words otherwise, and much of what the weights know is lost.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from antiphon.contracts.configuration import plain
from antiphon.errors import ConfigError
from antiphon.features.reused import vocabulary_of
from antiphon.features.text_config import TextConfig
from antiphon.recipe.recipe import Recipe
from antiphon.store import checkpoint

_OWN = ("run", "prefix", "opening", "sampling", "tags")  # what a vocabulary of a run leaves to the recipe


def with_kept_vocabulary(recipe: Recipe, earlier: Recipe | None = None) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe with the vocabulary of the run in `training.init_from`, if the settings of both are the same; and a message about it.

    A run that is resumed does as it began (`earlier`). Raises ConfigError or CheckpointError when there is no such run.
    """
    start = recipe.training.init_from
    if start is None or recipe.training.init_vocabulary == "new" or recipe.distillation is not None:  # a student has its teacher's
        return recipe, ()
    if earlier is not None:
        same = {name: value for name, value in _vocabularies(earlier.task) if value.run is not None}
        resumed = {name: own for name, own in _vocabularies(recipe.task) if name in same and own.run is None}
        return _with(recipe, {name: _of_run(own, same[name].run) for name, own in resumed.items()}), ()
    saved = checkpoint.read(checkpoint.find_checkpoint(start).resolve())
    kept, said = {}, list[str]()
    for name, own in _vocabularies(recipe.task):
        if own.run is not None or own.model is not None or own.kind == "byte":
            continue
        side = "source" if name.startswith("source") else "target"
        try:
            run = start if (start / checkpoint.FEATURES).is_dir() else saved.folder
            folder = vocabulary_of(run if name == "vocabulary" else run / checkpoint.FEATURES / side)
        except ConfigError:  # the other run has another number of vocabularies, or none
            continue
        settings = saved.header["recipe"]["task"].get(name) or {}
        differs = [] if settings.get("run") else _differing(own, settings)
        if differs:
            which = ", ".join(f"`{one}`" for one in differs)
            said.append(
                f"`task.{name}` is not that of {start} ({which}), so a new one is learned, and pieces that both have keep their embeddings."
                f" `task.{name}: {{run: {start}}}` keeps the old one."
            )
        else:
            kept[name] = _of_run(own, folder)
            said.append(f"`task.{name}` is kept from {start}; `training.init_vocabulary: new` learns another one.")
    return _with(recipe, kept), tuple(said)


def _vocabularies(task: Any) -> Iterator[tuple[str, TextConfig]]:
    """The settings that are vocabularies; the one for all texts also where it has its default."""
    found = {name: getattr(task, name) for name in task.__dataclass_fields__ if name.endswith("vocabulary")}
    given = {name: value for name, value in found.items() if isinstance(value, TextConfig)}
    yield from (given or ({"vocabulary": TextConfig()} if "vocabulary" in found else {})).items()


def _differing(own: TextConfig, settings: Mapping[str, Any]) -> list[str]:
    """The names of settings that differ from those of the other vocabulary."""
    mine, theirs = plain(own), {**plain(TextConfig()), **settings}
    return [name for name in mine if name not in _OWN and mine[name] != theirs[name]]


def _of_run(own: TextConfig, run: Path | None) -> TextConfig:
    return TextConfig(run=run, prefix=own.prefix, opening=own.opening, sampling=own.sampling, tags=own.tags)


def _with(recipe: Recipe, kept: dict[str, TextConfig]) -> Recipe:
    return replace(recipe, task=replace(recipe.task, **kept)) if kept else recipe
