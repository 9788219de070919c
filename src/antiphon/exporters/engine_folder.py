"""The folder of an exported model: a checkpoint with the engine's files in place of weights (`contracts/engine.py`)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from antiphon.contracts.abilities import Calibrates
from antiphon.contracts.engine import FOLDER, Facts
from antiphon.exporters.interface import TrainedModel
from antiphon.recipe.assembly import header_of
from antiphon.recipe.exported import header_of_engine
from antiphon.recipe.recipe import recipe_from, write_recipe
from antiphon.store import checkpoint


def write(
    trained: TrainedModel,
    folder: Path,
    engine: str,
    facts: Facts,
    files: Callable[[Path], None],
    *,
    versions: Mapping[str, str],
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write everything but the model card; `files` writes the engine's files into the folder that it is given.

    `versions` are those of the packages that wrote them, `details` the engine's own plain values.
    """
    recipe = recipe_from(trained.recipe, trust=trained.trust)
    header = {
        **header_of(recipe, trained.task),
        "step": trained.header["step"],
        "scores": trained.header.get("scores", {}),
        "engine": header_of_engine(engine, trained.precision, facts, versions, details),
    }

    def parts(place: Path) -> None:
        (place / checkpoint.FEATURES).mkdir()
        trained.task.save(place / checkpoint.FEATURES)
        if isinstance(trained.task, Calibrates):
            trained.task.save_calibration(place)
        (place / FOLDER).mkdir()
        files(place / FOLDER)

    checkpoint.write(folder, header, None, parts)
    write_recipe(recipe, folder / "recipe.yaml")
