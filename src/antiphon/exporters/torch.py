"""Exports a folder that torch alone can run: the graphs of `exporters/graphs.py` as programs of torch.export.

    engine/encode.pt2  step.pt2 | decode.pt2  frames.pt2     beside what every engine's folder has

Opened by `engines/torch.py` as a run is opened; any program with torch can run the files, without a line of this package.

Unusual here: torch.export unrolls recurrent layers, so that their number of steps is fixed. While we trace, they are what they are to the
kernels, one operation of which only the shapes are asked (`_recurrent_operations`): files hold `aten.lstm` and `aten.gru`, for any length.
"""

import inspect
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind
from torch.fx.experimental import _config as sizes_config

from antiphon.contracts.engine import Precision
from antiphon.engines.torch import this_machine
from antiphon.errors import ExportError
from antiphon.exporters import engine_folder
from antiphon.exporters.graphs import Graph, check_graphs, facts_of, graphs_of
from antiphon.exporters.interface import ExportPlugin, TrainedModel
from antiphon.exporters.torch_bf16 import ProductsInBf16, keep_in_bf16
from antiphon.exporters.torch_compiled import save_compiled

_SMALLEST = 2
"""The smallest size in torch's proofs; the files have no limit."""


def export(trained: TrainedModel, folder: Path) -> Sequence[str]:
    """Write the folder. Raises ExportError for models without graphs, and for what torch.export cannot export for any size."""
    check_graphs(trained.architecture, "torch")
    model = trained.model.eval()
    graphs = graphs_of(model)
    programs = {name: program(name, graph, trained.precision) for name, graph in graphs.items()}
    names = {name: {"inputs": list(graph.inputs), "outputs": list(graph.outputs)} for name, graph in graphs.items()}
    details: dict[str, Any] = {"graphs": names}
    files, said = partial(save, programs), list[str]()
    if trained.recipe.get("engine", {}).get("compiled"):
        files, details["compiled"] = partial(save_compiled, programs), this_machine()
        said = [f"The programs run on {' with '.join(details['compiled'].values())}, in torch {torch.__version__}, and nowhere else."]
    versions = {"torch": torch.__version__}
    engine_folder.write(trained, folder, "torch", facts_of(model), files, versions=versions, details=details)
    return said


def save(programs: Mapping[str, ExportedProgram], folder: Path) -> None:
    """Write a file for each program."""
    for name, one in programs.items():
        torch.export.save(one, folder / f"{name}.pt2")


def program(name: str, graph: Graph, precision: Precision = "fp32") -> ExportedProgram:
    """A graph as a program, for any size of its dynamic dimensions, with only the weights that it uses.

    Raises ExportError where torch.export refuses, or would fix a size.
    """
    sizes = tuple(dict.fromkeys(dynamic, Dim.AUTO) for dynamic in graph.dynamic)
    parameters = inspect.signature(graph.module.forward).parameters.values()
    named = sum(one.kind is not one.VAR_POSITIONAL for one in parameters)
    shapes = sizes if named == len(parameters) else (*sizes[:named], sizes[named:])
    module = graph.module.requires_grad_(False)
    try:
        # Without the last, programs refuse a size of 1, or of 0.
        turned = ProductsInBf16() if precision == "bf16" else nullcontext()
        oblivious = sizes_config.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
        with torch.no_grad(), _quiet(), _recurrent_operations(), oblivious, turned:
            found = torch.export.export(module, graph.example, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # of many kinds, none of which says that it is one of torch.export
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ExportError(f"torch.export refuses the graph `{name}` of this model: {reason:.300}") from error
    _assert_dynamic(name, graph, found)
    _drop_unused(found)
    if precision == "bf16":
        keep_in_bf16(found)
    return found


def _assert_dynamic(name: str, graph: Graph, found: ExportedProgram) -> None:
    given = [node for node in found.graph.nodes if node.op == "placeholder" and node.name in found.graph_signature.user_inputs]
    for node, named, dynamic in zip(given, graph.inputs, graph.dynamic, strict=True):
        for axis, size in dynamic.items():
            symbol = node.meta["val"].shape[axis]
            limits = None if isinstance(symbol, int) else found.range_constraints.get(symbol.node.expr)
            if limits is None or limits.lower > _SMALLEST:
                raise ExportError(f"torch.export fixes the size `{size}` of `{named}` in the graph `{name}` of this model.")


def _drop_unused(found: ExportedProgram) -> None:
    """Remove unused weights: a program takes along all weights of its module, which is the whole model."""
    unused = {node.name: node for node in found.graph.nodes if node.op == "placeholder" and not node.users}
    kept = []
    for spec in found.graph_signature.input_specs:
        if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER) and getattr(spec.arg, "name", "") in unused:
            found.graph.erase_node(unused[spec.arg.name])
            found.state_dict.pop(spec.target or "", None)
            found.constants.pop(spec.target or "", None)
        else:
            kept.append(spec)
    found.graph_signature.input_specs[:] = kept
    found.graph_module.recompile()


@contextmanager
def _quiet() -> Iterator[None]:
    """A context that silences what torch logs for its own developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def _recurrent_operations() -> Iterator[None]:
    """A context in which a trace records an LSTM or a GRU as one operation."""

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
    name="torch",
    summary="Programs of torch.export (.pt2), opened like a run: torch runs them without our code.",
    export=export,
    precisions=("fp32", "bf16"),
    engine=True,
    compiles=True,
)
