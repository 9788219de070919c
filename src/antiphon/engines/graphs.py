"""A model assembled from the graphs that `exporters/graphs.py` took it apart into; the engine that runs them is interchangeable.

An engine brings `Graphs`, which runs one by name. The rest is here, the same for all: trees that are lists, rows in two dimensions, heads
without weights.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from antiphon.contracts.engine import Exported
from antiphon.contracts.model import Seq2SeqModel, StepwiseModel
from antiphon.contracts.sequences import Frames, Memory, Output, Padded
from antiphon.engines import rows_state
from antiphon.engines.facts import ModelOfFacts
from antiphon.engines.interface import Binds, Graphs
from antiphon.engines.output_layer import OutputLayer
from antiphon.engines.pool_state import empty
from antiphon.engines.pool_step import PoolStep
from antiphon.engines.rows_step import RowsStep
from antiphon.engines.shortlist import shortlist_of
from antiphon.heads.parts import RestOfHead


@dataclass(frozen=True)
class Rows:
    """A decoder state as graphs take it: tensors of (R, ...)."""

    tensors: dict[str, Tensor]


class GraphModel(ModelOfFacts):
    """A model that decodes all steps at once."""

    def __init__(self, graphs: Graphs, exported: Exported, layer: OutputLayer | None = None):
        super().__init__(exported)
        self.graphs = graphs
        self.head = RestOfHead(exported.head, exported.target) if layer is None else layer

    def encode(self, source: Padded) -> Memory:
        """Encode the source and compute all that the decoder needs of it: `projections` holds those tensors by name."""
        inputs = {"values": source.values, "lengths": source.lengths}
        if source.factors is not None:
            inputs["factors"] = source.factors
        found = dict(self.graphs.run("encode", inputs))
        copyable = source.values if self.copies else None
        return Memory(found["memory_0"], found["memory_1"], projections=found, copyable=copyable)

    def frames(self, memory: Memory) -> Frames | None:
        """The output for each state of the memory, if the model has one."""
        if not self.facts.frames:
            return None
        return Frames(self.graphs.run("frames", memory.projections)["said"], memory.mask, _as_it_is)

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """All steps at once."""
        found = self.graphs.run("decode", {"values": inputs.values, "lengths": inputs.lengths, **memory.projections})
        output = self.head.output(found["said"], found.get("attention"), memory)
        return output if not self.facts.frames else Output(output.features, output.head, output.attention, self.frames(memory))


class StepwiseGraphModel(GraphModel, StepwiseModel):
    """A model that decodes step by step; decoding all steps at once is done one after the other."""

    def decode(self, inputs: Padded, memory: Memory, *, attention: bool = False) -> Output:
        """Step by step."""
        state, raw, weights = self.init_state(memory, 1, inputs.values.shape[1]), [], []
        for last in inputs.values.unbind(1):
            output, state = self.step(last, memory, state, attention=attention)
            raw.append(output.features)
            weights.append(output.attention)
        attended = None if weights[0] is None else torch.stack([one for one in weights if one is not None], dim=1)
        output = self.head.output(torch.stack(raw, dim=1), attended, memory)
        return output if not self.facts.frames else Output(output.features, output.head, output.attention, self.frames(memory))

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> Any:
        """The state that came with the memory, repeated for each hypothesis."""
        states = {name: tensor for name, tensor in memory.projections.items() if name.startswith("state_")}
        return Rows({name: tensor.repeat_interleave(beam_size, dim=0) for name, tensor in states.items()})

    def step(self, last: Tensor, memory: Memory, state: Any, *, attention: bool = False) -> tuple[Output, Any]:
        """One step for R rows."""
        beams = (len(memory.mask), len(last) // max(len(memory.mask), 1))
        rows = {name: tensor.unflatten(0, beams) for name, tensor in state.tensors.items()}
        found = self.graphs.run("step", {**memory.projections, "last": last.unflatten(0, beams), **rows})
        after = Rows({name: found[name].flatten(0, 1) for name in rows})
        weights = found.get("attention")
        return self.head.output(found["said"].flatten(0, 1), None if weights is None else weights.flatten(0, 1), memory), after


class AppendingGraphModel(StepwiseGraphModel):
    """A model whose step appends to a pool of keys and values (`engines/pool_state.py`)."""

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> Any:
        """An empty pool for each source."""
        assert self.facts.pool is not None, "opened only where there is one"
        return empty(len(memory.mask), beam_size, self.facts.pool, memory.states)

    def step(self, last: Tensor, memory: Memory, state: Any, *, attention: bool = False) -> tuple[Output, Any]:
        """One step for R rows, on the same tensors as before as long as rows and pools are the same."""
        moved, state = state.moved, state.ready(memory.mask.shape[0])
        step = state.step
        if step is None or not step.suits(memory.projections, state, last.shape[0]):
            step = PoolStep(self.graphs, self.facts, memory, state, last, moves=moved)
        said, weights = step(last, state, attention or self.facts.copies)
        return self.head.output(said, weights, memory), state.appended(step.keys, step.values, step)


class InPlaceGraphModel(StepwiseGraphModel):
    """A model whose step writes what each row keeps (`engines/rows_state.py`)."""

    def init_state(self, memory: Memory, beam_size: int, max_length: int) -> Any:
        """Rows that have kept nothing."""
        assert self.facts.pool is not None, "opened only where it is known what is kept"
        return rows_state.empty(len(memory.mask), beam_size, self.facts.pool, memory.states)

    def step(self, last: Tensor, memory: Memory, state: Any, *, attention: bool = False) -> tuple[Output, Any]:
        """One step for R rows, with the same tensors in place as long as rows and what they keep are the same."""
        moved, state = state.moved, state.ready(memory.mask.shape[0])
        step = state.step
        if step is None or not step.suits(memory.projections, state, last.shape[0]):
            step = RowsStep(self.graphs, self.facts, memory, state, last, moves=moved)
        said, weights = step(last, state, attention or self.facts.copies)
        return self.head.output(said, weights, memory), state.behind(step)


def open_graphs(graphs: Graphs, exported: Exported) -> Seq2SeqModel:
    """The model that consists of these graphs. Raises CheckpointError when its shortlist cannot be read."""
    if exported.facts.predictor is not None:
        from antiphon.engines.transducer import TransducerGraphModel  # which is made of what stands here

        return TransducerGraphModel(graphs, exported)
    kind = _kind(graphs, exported)
    shortlist = shortlist_of(exported)
    if shortlist is not None:
        from antiphon.engines.shortlisted import Shortlisted  # which brings searches along

        layer = OutputLayer(graphs, exported.folder, shortlist.size)
        return Shortlisted(kind(graphs, exported, layer), exported, shortlist, layer)
    return kind(graphs, exported) if exported.facts.stepwise else GraphModel(graphs, exported)


def _kind(graphs: Graphs, exported: Exported) -> type[StepwiseGraphModel]:
    if isinstance(graphs, Binds) and graphs.reads("step", "ancestors"):
        return InPlaceGraphModel
    return StepwiseGraphModel if exported.facts.pool is None else AppendingGraphModel


def _as_it_is(features: Tensor) -> Tensor:
    return features
