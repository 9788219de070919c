"""The input of an exporter, and what a file in `exporters/` defines as `plugin`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.contracts.engine import Precision
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.records import Record
from antiphon.contracts.task import Task
from antiphon.contracts.trust import Trust
from antiphon.engines.shortlist import Shortlist


@dataclass(frozen=True)
class TrainedModel:
    """A trained model that an exporter may modify: nothing else uses it.

    `architecture` is its registered name, `recipe` and `header` (of the checkpoint) are plain values, `trust` is the verdict on what they
    name, `evaluations` are those that the run has stored. `precision` is that of the files to write, `samples` are validation records that
    may show how large activations become. `shortlist` is what may be said for a source, where the files shall hold that.
    """

    name: str
    architecture: str
    model: Seq2SeqModel
    task: Task
    recipe: Mapping[str, Any]
    trust: Trust
    header: Mapping[str, Any]
    evaluations: Sequence[Mapping[str, Any]]
    precision: Precision = "fp32"
    samples: Callable[[], Sequence[Record]] = tuple
    shortlist: Shortlist | None = None


@dataclass(frozen=True)
class ExportPlugin:
    """An export format. `export(trained, folder)` writes into an empty folder, and returns how the other program's outputs will differ.

    It raises ExportError for a model that the format cannot hold, and says which exporter can, if one does. `precisions` are those that it
    can write, the usual one first. `engine` is whether the folder is opened like a run: then it is written by `engine_folder.py`.
    `compiles` is whether it can compile for this machine (`engine.compiled`), `shortlists` whether its files can hold a shortlist.
    """

    name: str
    summary: str
    export: Callable[[TrainedModel, Path], Sequence[str]]
    precisions: tuple[Precision, ...] = ("fp32",)
    engine: bool = False
    compiles: bool = False
    shortlists: bool = False
