"""How large the inputs of matrix products become, so that they can be rounded to 8 bits with one scale for all rows (`onnx_int8.py`).

The files are run in float32 over examples, each by itself, with what stands before the products as further outputs. An input whose largest
row is far larger than others keeps a scale for each row: one for all would round most of them too coarsely. So do models that read or say
values, among which may be NaN: a constant scale would make a number of it.

Unusual here: the files themselves are run, and not the model that they were made of, so that everything has the name that it has there.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import final

import torch
from torch import Tensor

from antiphon.contracts.engine import Exported
from antiphon.contracts.model import Seq2SeqModel
from antiphon.contracts.sequences import Batch
from antiphon.contracts.specs import TokenSpec
from antiphon.engines.graphs import open_graphs
from antiphon.engines.interface import Run
from antiphon.engines.onnx import OnnxGraphs
from antiphon.exporters.graphs import facts_of
from antiphon.exporters.onnx_int8 import rounded_inputs

MARGIN = 1.1
"""How much larger than all that was seen an input may be before it is cut."""
COARSEST = 4.0
"""How many times the mean of the largest of rows the largest of all may be: at most two of eight bits are lost."""
_PROBE = "probe "  # before the name of what is looked at


@dataclass
class Seen:
    """Of the largest absolute values of rows: the largest, their sum, and how many there were."""

    largest: float = 0.0
    total: float = 0.0
    rows: int = 0

    def add(self, values: Tensor) -> None:
        """Look at further rows (..., K)."""
        of_rows = values.abs().amax(-1).double()
        self.largest = max(self.largest, float(of_rows.max()))
        self.total += float(of_rows.sum())
        self.rows += of_rows.numel()

    @property
    def limit(self) -> float | None:
        """The largest that a constant scale has to hold; None where there should be none."""
        mean = self.total / max(self.rows, 1)
        return MARGIN * self.largest if 0 < self.largest <= COARSEST * mean < torch.inf else None


@final
class _Looking:
    """Graphs whose further outputs are looked at, and nobody else sees."""

    def __init__(self, graphs: OnnxGraphs):
        self._graphs = graphs
        self.seen: dict[str, dict[str, Seen]] = {}
        """By graph and name."""

    def run(self, graph: str, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """As `Graphs.run`."""
        return self._look(graph, self._graphs.run(graph, inputs))

    def reads(self, graph: str, name: str) -> bool:
        """As `Binds.reads`."""
        return self._graphs.reads(graph, name)

    def bind(self, graph: str, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> Run:
        """As `Binds.bind`."""
        run = self._graphs.bind(graph, inputs, outputs)
        return lambda: self._look(graph, run())

    def _look(self, graph: str, found: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        seen = self.seen.setdefault(graph, {})
        for name, values in found.items():
            if name.startswith(_PROBE) and values.numel():
                seen.setdefault(name.removeprefix(_PROBE), Seen()).add(values)
        return {name: tensor for name, tensor in found.items() if not name.startswith(_PROBE)}


def says_symbols(model: Seq2SeqModel) -> bool:
    """Whether nothing that people give or a model says can be NaN."""
    return isinstance(model.source, TokenSpec) and isinstance(model.target, TokenSpec)


def limits(folder: Path, model: Seq2SeqModel, examples: Sequence[Batch]) -> dict[str, dict[str, float]]:
    """By graph, the limit of each input of a product that may have one, by its name in the files. Examples are batches with targets."""
    if not examples or not says_symbols(model):
        return {}
    with TemporaryDirectory() as place:
        for path in folder.glob("*.onnx"):
            _write_probed(path, Path(place))
        head = getattr(getattr(model, "settings", None), "head", None)
        looking = _Looking(OnnxGraphs(Path(place)))
        opened = open_graphs(looking, Exported(Path(place), model.source, model.target, head, "fp32", facts_of(model)))
        with torch.inference_mode():
            for one in examples:
                opened.decode(one.inputs, opened.encode(one.source))
    found = {graph: {name: seen.limit for name, seen in names.items()} for graph, names in looking.seen.items()}
    return {graph: {name: limit for name, limit in names.items() if limit is not None} for graph, names in found.items()}


def _write_probed(path: Path, folder: Path) -> None:
    """A copy of a file that also says what its products read."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    for name in rounded_inputs(onnx.load(path)):
        model.graph.node.append(onnx.helper.make_node("Identity", [name], [_PROBE + name]))
        model.graph.output.append(onnx.helper.make_tensor_value_info(_PROBE + name, onnx.TensorProto.FLOAT, None))
    onnx.save(model, folder / path.name)
    data = path.with_name(f"{path.name}.data")
    if data.exists():
        shutil.copy(data, folder / data.name)
