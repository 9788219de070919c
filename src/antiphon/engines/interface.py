"""What an engine brings so that its graphs are a model (`engines/graphs.py`)."""

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Graphs(Protocol):
    """What runs graphs."""

    def run(self, graph: str, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """All outputs of a graph; inputs that it does not read are left aside. The caller owns what is returned."""
        ...


Run = Callable[[], Mapping[str, Tensor]]


@runtime_checkable
class Binds(Protocol):
    """Graphs that can be run again and again on the same tensors, without being told of each one anew."""

    def reads(self, graph: str, name: str) -> bool:
        """Whether there is such a graph, and it has an input of this name."""
        ...

    def bind(self, graph: str, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> Run:
        """What runs a graph on these very tensors, which are contiguous and keep their places: it reads the inputs, writes those outputs,
        and returns all others as new tensors, which the caller owns. An output may be
        an input, where the graph can write it so."""
        ...


def bound(graphs: Graphs, graph: str, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> Run:
    """As `Binds.bind`, of any graphs."""
    if isinstance(graphs, Binds):
        return graphs.bind(graph, inputs, outputs)

    def run() -> Mapping[str, Tensor]:
        found = dict(graphs.run(graph, inputs))
        for name, place in outputs.items():
            place.copy_(found.pop(name))
        return found

    return run
