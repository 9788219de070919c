"""Imports a model that another program has trained: turns its files into a self-contained run.

    recipe.yaml      describes the model; and trains it further, once it is told where the data is
    features/        its vocabularies
    checkpoints/     step-0, which `best` and `last` lead to

Unusual here: the recipe names its own folder, as `.`, for the vocabulary and for the weights to begin with. So it is also the recipe that
fine-tunes the model, in a run of its own, and the folder may move.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import nn

from antiphon.contracts import registry
from antiphon.contracts.task import Task
from antiphon.contracts.trust import OWN
from antiphon.errors import CheckpointError
from antiphon.features.text import TextFeature
from antiphon.importers.interface import ImportedModel, ImportPlugin
from antiphon.recipe.assembly import build_model, build_task, header_of, load_weights
from antiphon.recipe.recipe import Recipe, recipe_from, with_overrides, write_recipe
from antiphon.store import atomic, checkpoint

_SIDES = {"vocabulary": Path(), "source_vocabulary": Path("features/source"), "target_vocabulary": Path("features/target")}


def import_model(
    format: str,  # noqa: A002
    path: Path | str,
    out: Path | str,
    *,
    overrides: Sequence[str] = (),
    console: Console | None = None,
) -> Path:
    """Make a run from a model that another program has trained; returns the run's folder.

    format      what `antiphon list importers` lists
    path        the model's file or folder
    out         the run's folder, which must be new or empty
    overrides   recipe settings such as "task.source=en"
    console     where it is said what the model is; None is standard error

    Raises CheckpointError when the files are damaged or hold another model than the format can describe.
    """
    plugin: ImportPlugin = registry.admit("importers", format, trusted=True)
    folder = Path(out)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise CheckpointError(f"{folder} exists already. Choose another `--out`, or remove it.")
    if not Path(path).exists():
        raise CheckpointError(f"There is no file or folder {path}.")
    imported = plugin.read(Path(path))
    with tempfile.TemporaryDirectory(prefix="antiphon-import-") as staging:
        recipe, task = _fitted(imported, Path(staging), overrides)
    model = build_model(recipe, task)
    load_weights(model, imported.weights, str(path))
    files = {file.name: checkpoint.digest(file) for file in imported.files}
    _write(folder, recipe, task, model, {"format": format, "sha256": files})
    parameters = sum(parameter.numel() for parameter in model.parameters())
    lines = (*imported.notes, f"{recipe.model.name}: {parameters:,} parameters, {recipe.task.name}")
    for line in lines:
        (console or Console(stderr=True)).print(line, highlight=False, markup=False, soft_wrap=True)
    return folder


def _fitted(imported: ImportedModel, staging: Path, overrides: Sequence[str]) -> tuple[Recipe, Task]:
    """The recipe, and its task with the imported vocabularies, which are written to files and read again like those of any run."""
    for name, feature in imported.vocabularies.items():
        feature.save(staging / name)
    runs = {name: {**imported.recipe["task"].get(name, {}), "run": str(staging / name)} for name in imported.vocabularies}
    recipe = recipe_from({**imported.recipe, "task": {**imported.recipe["task"], **runs}}, trust=OWN)
    recipe = with_overrides(recipe, overrides) if overrides else recipe
    task = build_task(recipe)
    task.fit(())
    for part in vars(task).values():
        if isinstance(part, TextFeature):
            part.notes = ()  # that say where the vocabulary lay a moment ago
    return recipe, task


def _write(folder: Path, recipe: Recipe, task: Task, model: nn.Module, origin: Mapping[str, Any]) -> None:
    """Write the run beside its place; it appears there only when it is complete."""
    try:
        with atomic.new_folder(folder) as partial:
            first = partial / "checkpoints" / "step-0"
            _write_features(task, partial)
            write_recipe(_placed(recipe, Path()), partial / "recipe.yaml")
            header = {**header_of(_placed(recipe, folder.absolute()), task), "step": 0, "scores": {}, "imported": origin}
            checkpoint.write(first, header, model.own_weights(), lambda place: _write_features(task, place))  # type: ignore[operator]
            for link in ("best", "last"):
                checkpoint.point(partial / link, first)
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be written: {error.strerror or error}. Make room, or choose another `--out`.") from error


def _write_features(task: Task, place: Path) -> None:
    (place / checkpoint.FEATURES).mkdir()
    task.save(place / checkpoint.FEATURES)


def _placed(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with its vocabularies and first weights in the run's folder."""
    task = recipe.task
    vocabularies = {name: replace(value, run=folder / side) for name, side in _SIDES.items() if (value := getattr(task, name, None))}
    return replace(recipe, task=replace(task, **vocabularies), training=replace(recipe.training, init_from=folder))
