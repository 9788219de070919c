"""What a file in `importers/` defines as `plugin`, and the result of an import."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from antiphon.features.text import TextFeature


@dataclass(frozen=True)
class ImportedModel:
    """An imported model, described in Antiphon's own terms.

    recipe         what a recipe says of it, as plain values; without vocabularies
    vocabularies   fitted features, by the setting of the task that they stand for: `vocabulary`, or `source_vocabulary` and
                   `target_vocabulary`
    weights        every weight of the model that the recipe describes, by our names
    files          what was read, whose hashes the checkpoint remembers
    notes          what the user should know, one sentence each
    """

    recipe: Mapping[str, Any]
    vocabularies: Mapping[str, TextFeature]
    weights: Mapping[str, Tensor]
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImportPlugin:
    """An import format. `read(path)` reads a file or a folder, and trusts nothing in it.

    It raises CheckpointError, in one sentence, for a file that is damaged, of another format or version, or of an architecture that we
    do not have.
    """

    name: str
    summary: str
    read: Callable[[Path], ImportedModel]
