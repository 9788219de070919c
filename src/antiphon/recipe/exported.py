"""Exported models, which an engine runs: writes and reads the header of an exported folder."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from antiphon.contracts import registry
from antiphon.contracts.engine import Exported, Facts, Precision
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.task import Task
from antiphon.errors import AntiphonError, CheckpointError, ConfigError
from antiphon.recipe.recipe import Recipe
from antiphon.store.checkpoint import HEADER, Checkpoint, read_json
from antiphon.training.device import find_device


def header_of_engine(
    name: str, precision: Precision, facts: Facts, versions: Mapping[str, str], details: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The entry `engine` in the header of an exported folder."""
    return {"name": name, "precision": precision, "facts": asdict(facts), "versions": dict(versions), "details": dict(details or {})}


def open_exported(saved: Checkpoint, recipe: Recipe, task: Task, overrides: Sequence[str] = ()) -> Seq2SeqModel:
    """Open an exported model. Raises CheckpointError for an engine or facts that this version does not know, ConfigError for changed model
    settings, which are fixed in the engine's files."""
    header = saved.header["engine"]
    _refuse_changes(saved, overrides)
    if header.get("name") not in registry.names("engines"):
        raise CheckpointError(
            f"{saved.folder} was exported for the engine `{header.get('name')}`, which this version does not have."
            " Install a newer antiphon."
        )
    try:
        told: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in header["facts"].items()}
        facts = Facts(**told)
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
    engine = registry.find("engines", header["name"])
    with _in_a_sentence(saved, exported, engine.name):
        model: Seq2SeqModel = engine.open(exported)
    return model


def _refuse_changes(saved: Checkpoint, overrides: Sequence[str]) -> None:
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key.split(".")[0] == "model" or key == "engine.compiled":
            raise ConfigError(
                f"`{key}` must not be set for {saved.folder}, which was exported: the model is as it was then. Set it for"
                " `antiphon export`, which writes another folder."
            )


def refuse_exported(folder: Path, how: str) -> None:
    """Raise CheckpointError for an exported folder, which can be neither trained nor tuned nor inspected."""
    if (folder / HEADER).is_file() and "engine" in read_json(folder / HEADER):
        raise CheckpointError(f"{folder} was exported, and only a run can be {how}: name the run that it was made of.")


def device_for(headers: Sequence[Mapping[str, Any]], name: str) -> torch.device:
    """The device with this name, or for `auto` the best one that supports the models with these headers. Raises ConfigError when an engine
    does not support it."""
    engines = [str(header["engine"]["name"]) for header in headers if "engine" in header]
    device = find_device("cpu" if engines and name == "auto" else name, "device")
    if engines and device.type != "cpu":
        raise ConfigError(f"`device` must be `cpu` or `auto` for a model exported for `{engines[0]}`, but is `{name}`.")
    return device


@contextmanager
def _in_a_sentence(saved: Checkpoint, exported: Exported, engine: str) -> Iterator[None]:
    """The error of an engine's package for files that it cannot run, as a sentence with the versions on both sides."""
    try:
        yield
    except AntiphonError:
        raise
    except Exception as error:  # of whatever kind the package has
        versions = [f"{name} {written} then, {_installed(name)} now" for name, written in exported.versions.items()]
        said = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(
            f"The engine `{engine}` cannot open {saved.folder} (in {exported.precision}; {', '.join(versions)}): {said:.300}. Install the"
            " version that it was written with, or export the run again."
        ) from error


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
