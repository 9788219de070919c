"""A model that an engine runs: what the header of an exported folder says, written and read."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from antiphon.contracts import registry
from antiphon.contracts.engine import Exported, Facts, Precision
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.task import Task
from antiphon.errors import CheckpointError
from antiphon.recipe.recipe import Recipe
from antiphon.store.checkpoint import Checkpoint


def header_of_engine(
    name: str, precision: Precision, facts: Facts, versions: Mapping[str, str], details: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What stands in the header of an exported folder, under `engine`."""
    return {"name": name, "precision": precision, "facts": asdict(facts), "versions": dict(versions), "details": dict(details or {})}


def open_exported(saved: Checkpoint, recipe: Recipe, task: Task) -> Seq2SeqModel:
    """The model of an exported folder. Raises CheckpointError for an engine or facts that this version does not know."""
    header = saved.header["engine"]
    if header.get("name") not in registry.names("engines"):
        raise CheckpointError(
            f"{saved.folder} was exported for the engine `{header.get('name')}`, which this version does not have."
            " Install a newer antiphon."
        )
    try:
        facts = Facts(**header["facts"])
    except TypeError as error:
        raise CheckpointError(
            f"{saved.folder} was exported by a newer version, antiphon {saved.header.get('version', '?')}. Install that one."
        ) from error
    exported = Exported(
        folder=saved.engine,
        source=task.source_spec,
        target=task.target_spec,
        head=getattr(recipe.model, "head", None),
        precision=header["precision"],
        facts=facts,
        versions=header["versions"],
        details=header["details"],
    )
    model: Seq2SeqModel = registry.find("engines", header["name"]).open(exported)
    return model
