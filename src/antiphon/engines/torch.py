"""Programs of torch.export (`.pt2`), which `exporters/torch.py` writes: torch runs them without importing the model's code.

Compiled ones are the same to whoever runs them, and run only where they were compiled.
"""

import platform
from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor

from antiphon.contracts.engine import EnginePlugin, Exported
from antiphon.contracts.model import Seq2SeqModel
from antiphon.engines.graphs import open_graphs
from antiphon.errors import CheckpointError, ConfigError


@final
class Programs:
    """A program for each graph, with the names of its inputs and outputs in the program's order."""

    def __init__(self, exported: Exported):
        self._names: Mapping[str, Mapping[str, Sequence[str]]] = exported.details["graphs"]
        opened = _opened if exported.details.get("compiled") is None else _opened_compiled
        self._programs = {name: opened(exported, name) for name in self._names}

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


def _opened_compiled(exported: Exported, name: str) -> Any:
    """A program that was compiled for one machine. Raises ConfigError on other machines, and for another version of torch."""
    there, here = exported.details["compiled"], this_machine()
    written = exported.versions.get("torch", "?")
    if there != here or written != torch.__version__:
        raise ConfigError(
            f"{exported.folder} was compiled for {' with '.join(there.values())} by torch {written}, but this is"
            f" {' with '.join(here.values())} and torch {torch.__version__}. Export the run here, or with `--set engine.compiled=false`."
        )
    path = exported.folder / f"{name}.pt2"
    try:
        return torch._inductor.aoti_load_package(str(path.absolute()))
    except Exception as error:  # of many kinds: of the archive, of the library in it
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(f"{path} cannot be opened: {reason:.200}. Export the run again.") from error


def has_bf16() -> bool:
    """Whether the CPU multiplies in bf16, according to oneDNN."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def this_machine() -> dict[str, str]:
    """The properties of this machine that a compiled program depends on: its architecture and the CPU's instruction set, according to
    torch."""
    return {"machine": f"{platform.system()} {platform.machine()}", "instructions": torch.backends.cpu.get_cpu_capability()}


def open_engine(exported: Exported) -> Seq2SeqModel:
    """The model in a folder. Raises CheckpointError for files that are damaged, or that this version of torch cannot open, ConfigError for
    a precision that the CPU does not support."""
    if exported.precision == "bf16" and not has_bf16():
        raise ConfigError(
            f"{exported.folder} was exported with `--precision bf16`, which this processor does not support (it would be"
            " emulated, slowly). Export the run with another precision."
        )
    return open_graphs(Programs(exported), exported)


plugin = EnginePlugin(name="torch", summary="torch alone: programs of torch.export (.pt2), without the code of models.", open=open_engine)
