"""What an engine must implement so that its graphs make a model (`engines/graphs.py`)."""

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Graphs(Protocol):
    """Runs graphs."""

    def run(self, graph: str, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """All outputs of a graph; inputs that it does not use are ignored. The caller owns the outputs."""
        ...


Run = Callable[[], Mapping[str, Tensor]]


@runtime_checkable
class Binds(Protocol):
    """Graphs that can be bound to tensors and then run repeatedly without passing the tensors each time."""

    def reads(self, graph: str, name: str) -> bool:
        """Whether there is such a graph, and it has an input of this name."""
        ...

    def bind(self, graph: str, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> Run:
        """A function that runs a graph on exactly these tensors, which are contiguous and stay in place: it reads the inputs, writes the
        given outputs, and returns all other outputs as new tensors, which the caller owns. A tensor may be both an input and an output
        where the graph can write in place."""
        ...


def bound(graphs: Graphs, graph: str, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> Run:
    """Like `Binds.bind`, but for any kind of graphs."""
    if isinstance(graphs, Binds):
        return graphs.bind(graph, inputs, outputs)

    def run() -> Mapping[str, Tensor]:
        found = dict(graphs.run(graph, inputs))
        for name, place in outputs.items():
            place.copy_(found.pop(name))
        return found

    return run
