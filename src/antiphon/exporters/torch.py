"""A folder for torch alone: the graphs of `exporters/graphs.py` as programs of torch.export.

    engine/encode.pt2  step.pt2 | decode.pt2  frames.pt2     beside what every engine's folder has

Opened by `engines/torch.py` as a run is opened; any program with torch can run the files, without a line of this package.

Unusual here: torch.export unrolls recurrent layers, so that their number of steps is fixed. While we trace, they are what they are to the
kernels, one operation of which only the shapes are asked (`_recurrent_operations`): files hold `aten.lstm` and `aten.gru`, for any length.
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind

from antiphon.contracts.model import Seq2SeqModel
from antiphon.errors import ExportError
from antiphon.exporters import engine_folder
from antiphon.exporters.graphs import Graph, facts_of, graphs_of
from antiphon.exporters.interface import ExportPlugin, TrainedModel

_REFUSED = {
    "adapted": "its adapters stand beside it. Merge them first, with `--format merged`, and export the run that it writes.",
    "pretrained": "its network is one of transformers. Use `--format hf`, which transformers opens.",
    "chronos_bolt": "its network is one of transformers, and forecasts further ahead by reading what it said.",
    "transducer": "at each state of the encoder it says any number of symbols, which no graph of ours has yet.",
}


def export(trained: TrainedModel, folder: Path) -> Sequence[str]:
    """Write the folder. Raises ExportError for what has no graphs, and for what torch.export cannot hold for any size."""
    if trained.architecture in _REFUSED:
        raise ExportError(f"A `{trained.architecture}` model cannot be exported for torch: {_REFUSED[trained.architecture]}")
    model = trained.model.eval()
    graphs = graphs_of(model)
    names = {name: {"inputs": list(graph.inputs), "outputs": list(graph.outputs)} for name, graph in graphs.items()}
    engine_folder.write(
        trained,
        folder,
        "torch",
        facts_of(model),
        partial(write_programs, model),
        versions={"torch": torch.__version__},
        details={"graphs": names},
    )
    return []


def write_programs(model: Seq2SeqModel, folder: Path) -> None:
    """Write a file for each graph of a model in evaluation mode. Raises ExportError as `export` does."""
    for name, graph in graphs_of(model).items():
        torch.export.save(program(name, graph), folder / f"{name}.pt2")


def program(name: str, graph: Graph) -> ExportedProgram:
    """A graph as a program, for every size of what is said to be dynamic, with no weights but its own.

    Raises ExportError where torch.export refuses, or would fix a size.
    """
    sizes = tuple({axis: Dim.AUTO for axis in dynamic} for dynamic in graph.dynamic)
    parameters = inspect.signature(graph.module.forward).parameters.values()
    named = sum(one.kind is not one.VAR_POSITIONAL for one in parameters)
    shapes = sizes if named == len(parameters) else (*sizes[:named], sizes[named:])
    module = graph.module.requires_grad_(False)
    try:
        with torch.no_grad(), _recurrent_operations():
            found = torch.export.export(module, graph.example, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # of many kinds, none of which says that it is one of torch.export
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ExportError(f"torch.export refuses the graph `{name}` of this model: {reason:.300}") from error
    _assert_dynamic(name, graph, found)
    _drop_unused(found)
    return found


def _assert_dynamic(name: str, graph: Graph, found: ExportedProgram) -> None:
    given = [node for node in found.graph.nodes if node.op == "placeholder" and node.name in found.graph_signature.user_inputs]
    for node, named, dynamic in zip(given, graph.inputs, graph.dynamic, strict=True):
        for axis, size in dynamic.items():
            if isinstance(node.meta["val"].shape[axis], int):
                raise ExportError(f"torch.export fixes the size `{size}` of `{named}` in the graph `{name}` of this model.")


def _drop_unused(found: ExportedProgram) -> None:
    """A program takes along all weights of its module, which is the whole model: keep those that it reads."""
    unused = {node.name: node for node in found.graph.nodes if node.op == "placeholder" and not node.users}
    kept = []
    for spec in found.graph_signature.input_specs:
        if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER) and getattr(spec.arg, "name", "") in unused:
            found.graph.erase_node(unused[spec.arg.name])  # type: ignore[union-attr]
            found.state_dict.pop(spec.target or "", None)
            found.constants.pop(spec.target or "", None)
        else:
            kept.append(spec)
    found.graph_signature.input_specs[:] = kept
    found.graph_module.recompile()


@contextmanager
def _recurrent_operations() -> Iterator[None]:
    """While this lasts, a trace takes an LSTM or a GRU as one operation."""

    def lstm(x: Tensor, state: Sequence[Tensor], *_: Any) -> tuple[Tensor, Tensor, Tensor]:
        return _read(x, state[0]), torch.empty_like(state[0]), torch.empty_like(state[1])

    def gru(x: Tensor, state: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
        return _read(x, state), torch.empty_like(state)

    shapes: dict[Any, Any] = {torch.ops.aten.lstm.input: lstm, torch.ops.aten.gru.input: gru}
    kept = {operation: dict(operation.py_kernels) for operation in shapes}
    for operation, say in shapes.items():
        operation.py_kernels.update(dict.fromkeys(operation.py_kernels, say))
        operation._dispatch_cache.clear()
    try:
        yield
    finally:
        for operation, kernels in kept.items():
            operation.py_kernels.update(kernels)
            operation._dispatch_cache.clear()


def _read(x: Tensor, state: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], x.shape[1], state.shape[0] * state.shape[2])


plugin = ExportPlugin(
    name="torch", summary="Programs of torch.export (.pt2), opened like a run: torch runs them without our code.", export=export, engine=True
)
