"""Programs of torch.export (`.pt2`), which `exporters/torch.py` writes: torch runs them, and no code of a model is imported."""

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor

from antiphon.contracts.engine import EnginePlugin, Exported
from antiphon.contracts.model import Seq2SeqModel
from antiphon.engines.graphs import open_graphs
from antiphon.errors import CheckpointError


@final
class Programs:
    """One program for each graph, with the names of its inputs and outputs in the program's order."""

    def __init__(self, exported: Exported):
        self._names: Mapping[str, Mapping[str, Sequence[str]]] = exported.details["graphs"]
        self._programs = {name: _opened(exported, name) for name in self._names}

    def run(self, graph: str, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """All outputs of a graph."""
        names = self._names[graph]
        found = self._programs[graph](*(inputs[name] for name in names["inputs"]))
        return dict(zip(names["outputs"], (found,) if isinstance(found, Tensor) else found, strict=True))


def _opened(exported: Exported, name: str) -> torch.nn.Module:
    path = exported.folder / f"{name}.pt2"
    try:
        return torch.export.load(path).module(check_guards=False)
    except Exception as error:  # of many kinds: of the archive, of the schema, of an operation that this torch does not have
        written, reason = exported.versions.get("torch", "?"), next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(
            f"{path} was written by torch {written}, and torch {torch.__version__} cannot open it: {reason:.200}."
            f" Install torch {written}, or export the model again."
        ) from error


def open_engine(exported: Exported) -> Seq2SeqModel:
    """The model of a folder. Raises CheckpointError for files that are damaged, or that this version of torch cannot open."""
    return open_graphs(Programs(exported), exported)


plugin = EnginePlugin(name="torch", summary="torch alone: programs of torch.export (.pt2), without the code of models.", open=open_engine)
