"""Exports a run whose adapters are merged into the base weights: a complete, ordinary run of the base model.

    recipe.yaml  features/  checkpoints/step-N  best  last      as `antiphon train` writes them

Unusual here: the other program is Antiphon. What was learned beside a large model becomes a model that is served, evaluated, distilled,
adapted again and trained further as any other, without peft.
"""

import fnmatch
from collections.abc import Sequence
from pathlib import Path

from antiphon.contracts.abilities import Calibrates
from antiphon.contracts.task import Task
from antiphon.errors import ExportError
from antiphon.exporters.interface import ExportPlugin, TrainedModel
from antiphon.models.adapters import merge
from antiphon.recipe.assembly import header_of
from antiphon.recipe.recipe import recipe_from, write_recipe
from antiphon.store import checkpoint


def export(trained: TrainedModel, folder: Path) -> Sequence[str]:
    """Write the run. Raises ExportError for a model without adapters, as it is complete already."""
    if trained.architecture != "adapted":
        other = " Use `--format hf`, which merges them, too." if trained.architecture == "pretrained" else ""
        raise ExportError(f"`{trained.architecture}` is exported whole: only runs of `model.name: adapted` have something to merge.{other}")
    merge(trained.model)
    trained.model.stored = None
    names = [name for name, _ in trained.model.named_parameters()]
    training = trained.recipe["training"]
    frozen = [pattern for pattern in training["freeze"] if fnmatch.filter(names, pattern)]  # without what named parts of adapters
    recipe = recipe_from(
        {**trained.recipe, "model": trained.recipe["model"]["model"], "training": {**training, "freeze": frozen}},
        trust=trained.trust,
    )
    header = {**header_of(recipe, trained.task), "step": trained.header["step"], "scores": trained.header.get("scores", {})}
    place = folder / "checkpoints" / f"step-{header['step']}"
    place.parent.mkdir()
    checkpoint.write(place, header, trained.model.own_weights(), lambda part: _write_features(trained.task, part))
    if isinstance(trained.task, Calibrates):
        trained.task.save_calibration(place)
    for link in ("best", "last"):
        checkpoint.point(folder / link, place)
    _write_features(trained.task, folder)
    write_recipe(recipe, folder / "recipe.yaml")
    return []


def _write_features(task: Task, folder: Path) -> None:
    (folder / checkpoint.FEATURES).mkdir()
    task.save(folder / checkpoint.FEATURES)


plugin = ExportPlugin(name="merged", summary="A run of Antiphon in which adapters are merged into the base weights.", export=export)
