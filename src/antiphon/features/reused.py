"""Reuses the vocabulary of an earlier run: finds it, and takes over its settings.

A model that begins with the weights of a run should read and write its symbols. So a recipe names the run, and all that decides how texts
become symbols is taken over with the vocabulary; a checkpoint keeps a copy, and never asks for the earlier run again.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from antiphon.errors import ConfigError
from antiphon.features import byte_pairs


def vocabulary_of(run: Path) -> Path:
    """The folder of the vocabulary for the path of a run, a checkpoint or one of its feature folders.

    Raises ConfigError when there is none, or more than one.
    """
    if (run / "text.json").is_file():
        return run
    found = [folder for side in ("source", "target") if ((folder := run / "features" / side) / "text.json").is_file()]
    if len(found) > 1:
        raise ConfigError(f"`run` must have one vocabulary, but {run} has two. Name one of them: {found[0]} or {found[1]}.")
    if not found:
        raise ConfigError(f"`run` must be a run that has learned a vocabulary, but {run} {'has none' if run.exists() else 'is not there'}.")
    return found[0]


def adopted(saved: Mapping[str, Any], folder: Path, used_by: Mapping[str, Collection[str]], tags: Collection[str]) -> dict[str, Any]:
    """The settings of a saved vocabulary, as values for a `TextConfig`; `used_by` says which kinds have a setting.

    Raises ConfigError when the vocabulary lacks one of the `tags`.
    """
    settings = {name: value for name, value in saved["settings"].items() if name != "normalization"}  # which a side may have of its own
    values = {name: value for name, value in settings.items() if settings["kind"] in used_by.get(name, (settings["kind"],))}
    if saved.get("existing"):
        values.pop("byte_fallback", None)
        values["model"] = folder / (byte_pairs.FILE if settings["kind"] == "byte_bpe" else "vocabulary.model")
    missing = [tag for tag in tags if tag not in settings["tags"]]
    if missing:
        raise ConfigError(
            f"`tags` must be tags of the vocabulary in {folder}, but that lacks {', '.join(missing[:3])}. Add them to `vocabulary.tags` of"
            " the run that learns it, or learn another vocabulary: `training.init_from` takes over the pieces that both have."
        )
    return values
