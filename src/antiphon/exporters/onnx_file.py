"""Writes one graph as an ONNX file, and proves that its dynamic dimensions have no fixed size.

Unusual here: torch's exporter may take the sizes of the example for the sizes of all inputs, without an error. So the program is made
first by `torch.export`, which refuses to, and the saved file is looked through once more.
"""

import contextlib
import io
import logging
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn
from torch._dynamo.exc import UserError
from torch.export import Dim

from antiphon.engines.onnx import NEXT
from antiphon.errors import ExportError
from antiphon.exporters.graphs import Graph

OPSET = 20  # older than any runtime of the extra `onnx`
_SOURCE, _SMALLEST = "source", 17
"""The size from which states are counted, and the smallest size in the exporter's proofs: it treats 0 and 1 as special cases, also after
subsampling by 8. The files have no such limit."""
_LARGEST = 1_800_000_000  # bytes of weights that one file can hold: protobuf ends at 2 GiB


@final
class _InOrder(nn.Module):
    """A graph's module with all inputs in one tuple, so that their dimensions can be given in one structure."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Any:
        return self.module(*inputs)


def save(graph: Graph, path: Path, what: str) -> None:
    """Write a graph. Raises ExportError, naming the graph as `what`, where a dimension is fixed or an operation has no ONNX counterpart."""
    with _quiet():
        try:
            program = _program(graph)
            outputs = [NEXT + name if name in graph.inputs else name for name in graph.outputs]
            found = torch.onnx.export(
                program, dynamo=True, opset_version=OPSET, input_names=list(graph.inputs), output_names=outputs, verbose=False
            )
        except Exception as error:  # whatever torch raises: there are many kinds, and none is ours
            raise ExportError(f"The model's `{what}` cannot be exported to ONNX: {_reason(error):.300}") from error
    assert found is not None, "a program is returned where no file is named"
    large = sum(tensor.numel() * tensor.element_size() for tensor in program.state_dict.values()) > _LARGEST
    _tidy(found.model, graph, what)
    found.save(path, external_data=large)


def _program(graph: Graph) -> Any:
    """The exported graph with named sizes; where torch cannot prove them, with the constraints on sizes that torch reports.

    That a patch is whole, or that rows lie one behind another, cannot be proved for any number of them, so sources are free in any case.
    """
    examples = {name: tensor.shape[axis] for tensor, axes in zip(graph.example, graph.dynamic, strict=True) for axis, name in axes.items()}
    named = {name: Dim.AUTO if name == _SOURCE else Dim(name, min=min(2, size)) for name, size in examples.items()}
    try:
        found = _traced(graph, named)
    except (UserError, RuntimeError):
        found = _traced(graph, dict.fromkeys(named, Dim.AUTO))
    _check_sizes(found, graph)
    return found


def _traced(graph: Graph, sizes: Mapping[str, Any]) -> Any:
    free = tuple({axis: sizes[name] for axis, name in axes.items()} for axes in graph.dynamic)
    return torch.export.export(_InOrder(graph.module), graph.example, dynamic_shapes=(free,), strict=False)


def _check_sizes(program: Any, graph: Graph) -> None:
    """Raise ValueError where a size is not free."""
    given = [node.meta["val"] for node in program.graph.find_nodes(op="placeholder") if node.name in program.graph_signature.user_inputs]
    for tensor, axes in zip(given, graph.dynamic, strict=True):
        for axis, name in axes.items():
            size = tensor.shape[axis]
            limits = None if isinstance(size, int) else program.range_constraints.get(size.node.expr)
            smallest = _SMALLEST if name == _SOURCE else 2
            if limits is None or limits.lower > smallest or limits.upper < sys.maxsize:
                raise ValueError(f"the exporter fixed the size of `{name}` at {size if limits is None else limits}")


def _reason(error: Exception) -> str:
    """The line of a long message that gives the reason."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return next((line for line in lines if line.startswith("- ")), lines[0])


def _tidy(model: Any, graph: Graph, what: str) -> None:
    """Name the free dimensions, and remove what is never read. Raises ExportError where a dimension is not free."""
    names: dict[str, str] = {}
    for value, axes in zip(list(model.graph.inputs), graph.dynamic, strict=True):
        for axis, name in axes.items():
            size = value.shape[axis]
            if isinstance(size, int) or size.value is None:
                raise ExportError(f"The model's `{what}` cannot be exported to ONNX: the exporter fixed the size of `{name}` at {size}.")
            names[size.value] = name
    for value in _values(model.graph):
        if value.shape is not None:
            for axis, size in enumerate(value.shape):
                if not isinstance(size, int) and size.value is not None:
                    value.shape[axis] = _renamed(size.value, names)
    for value in list(model.graph.inputs):
        if not value.uses() and not value.is_graph_output():
            model.graph.inputs.remove(value)


def _values(graph: Any) -> Iterator[Any]:
    yield from graph.inputs
    for node in graph.all_nodes():
        yield from node.outputs


def _renamed(size: str, names: dict[str, str]) -> str:
    return re.sub(r"\w+", lambda found: names.get(found[0], found[0]), size)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A context that silences what torch's exporter logs for its own developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
