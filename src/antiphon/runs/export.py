"""Export a trained model: from a run to a folder that another program reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from antiphon.contracts import registry
from antiphon.contracts.configuration import plain
from antiphon.contracts.engine import Precision
from antiphon.contracts.trust import foreign
from antiphon.errors import CheckpointError, ExportError
from antiphon.exporters.interface import ExportPlugin, TrainedModel
from antiphon.recipe.assembly import load_trained
from antiphon.recipe.recipe import with_overrides
from antiphon.store.atomic import new_folder
from antiphon.store.checkpoint import read_json


def export(
    run: Path | str,
    *,
    format: str = "hf",  # noqa: A002
    out: Path | str | None = None,
    precision: Precision | None = None,
    overrides: Sequence[str] = (),
    trust_code: bool = False,
    console: Console | None = None,
) -> Path:
    """Write a run's best checkpoint, or a given one, in a format of other programs; returns the folder.

    format      what `antiphon list exporters` lists; `hf` is a folder for transformers
    out         the folder, which must be new or empty; None is exports/FORMAT in the run
    precision   fp32, bf16 or int8; None is what the format usually has
    overrides   recipe settings such as "search.beam_size=1", which the folder shall have as its own
    trust_code  whether code outside Antiphon that the run names may be imported
    console     where it is said what the other program will do differently; None is standard error

    Raises ExportError when the model cannot be exported in this format.
    """
    plugin: ExportPlugin = registry.admit("exporters", format, trusted=True)
    precision = precision or plugin.precisions[0]
    if precision not in plugin.precisions:
        raise ExportError(f"`--format {format}` writes {', '.join(plugin.precisions)}, but `--precision` is {precision}.")
    folder = Path(out) if out is not None else Path(run) / "exports" / format
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ExportError(f"{folder} exists already. Choose another `--out`, or remove it.")
    trained = load_trained(run, trust=foreign(trust_code), overrides=overrides)
    recipe = plain(with_overrides(trained.recipe, overrides) if overrides else trained.recipe)
    name = Path(run).resolve().name
    if "engine" in trained.header:
        raise ExportError(
            f"{run} was exported already, for the engine `{trained.header['engine']['name']}`. Export the run that it was made of."
        )
    model = TrainedModel(
        name,
        recipe["model"]["name"],
        trained.model,
        trained.task,
        recipe,
        trained.recipe.trust,
        trained.header,
        _evaluations(Path(run)),
        precision,
    )
    lost = _write(plugin, model, folder)
    for sentence in lost:
        (console or Console(stderr=True)).print(sentence, highlight=False, markup=False, soft_wrap=True)
    return folder


def _write(plugin: ExportPlugin, model: TrainedModel, folder: Path) -> Sequence[str]:
    """Let the exporter write beside the folder's place; it appears there only when it is complete."""
    try:
        with new_folder(folder) as partial:
            return plugin.export(model, partial)
    except OSError as error:
        raise ExportError(f"{folder} cannot be written: {error.strerror or error}. Make room, or choose another `--out`.") from error


def _evaluations(run: Path) -> list[dict[str, Any]]:
    """What `antiphon evaluate` stored of a run's best checkpoint; a damaged file is left out of a model card."""
    found = []
    for path in sorted((run / "evaluations").glob("*.json")):
        try:
            found.append(read_json(path))
        except CheckpointError:
            continue
    return [evaluation for evaluation in found if not evaluation.get("of")]
