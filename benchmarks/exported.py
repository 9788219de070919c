"""The benchmark's Transformer in an engine: exported into a temporary folder, and opened again."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import torch

from antiphon.contracts import registry
from antiphon.contracts.engine import Exported, Precision
from antiphon.contracts.model import StepwiseModel
from antiphon.contracts.sequences import Batch, Padded
from antiphon.exporters.graphs import facts_of
from antiphon.search.greedy import GreedyConfig, GreedySearch
from antiphon.search.limits import LimitsConfig

POSITIONS = 1024
ENGINES = ("onnx", "ctranslate2", "torch")


def in_engine(model: Any, engine: str, precision: Precision, examples: Sequence[Batch] = ()) -> StepwiseModel:
    """The same weights, run by the engine. Its files stay for as long as the process. `examples` show how large activations become."""
    if precision not in get_args(Precision):
        raise SystemExit(f"There is no precision {precision}.")
    place = Path(tempfile.mkdtemp())
    details: dict[str, Any] = {}
    if engine == "ctranslate2":
        from antiphon.exporters.ctranslate2 import write_transformer

        write_transformer(model, place, POSITIONS, precision)
    elif engine == "onnx":
        from antiphon.exporters.onnx import write_graphs

        write_graphs(model, place, precision, examples=examples)
    else:
        from antiphon.exporters.graphs import graphs_of
        from antiphon.exporters.torch import program, save

        graphs = graphs_of(model)
        save({name: program(name, graph) for name, graph in graphs.items()}, place)
        details = {"graphs": {name: {"inputs": graph.inputs, "outputs": graph.outputs} for name, graph in graphs.items()}}
    exported = Exported(place, model.source, model.target, model.settings.head, precision, facts_of(model), details=details)
    opened: StepwiseModel = registry.find("engines", engine).open(exported)
    return opened


def said_by(model: StepwiseModel, sources: Padded, length: int) -> list[Batch]:
    """Examples, each by itself: sources, and so many symbols that the model says of them."""
    search = GreedySearch(GreedyConfig(limits=LimitsConfig(min_length=length, max_length=length)))
    start, found = model.target.start, []
    for row, (said,) in enumerate(search(model, sources)):
        target = torch.tensor([[start, *said.elements.tolist()]])
        source = Padded(sources.values[row : row + 1, : int(sources.lengths[row])], sources.lengths[row : row + 1])
        found.append(Batch(source, Padded(target, torch.tensor([target.shape[1]]))))
    return found
