"""A model's output layer as a graph of its own, so that it can be computed for some symbols only.

    say        features (N, D)                               -> logits (N, V)
    say_some   features, and the weights of some symbols     -> their logits (N, U)

The second is the first with its weights as inputs (`exporters/onnx_output.py`). They are in one file, which the first reads, too.
"""

from collections.abc import Callable
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from antiphon.contracts.sequences import Memory, Output
from antiphon.engines.interface import Graphs
from antiphon.errors import CheckpointError

FILE = "output.safetensors"
WHOLE, SOME = "say", "say_some"


@final
class OutputLayer:
    """The output layer for `size` symbols; `folder` has its weights. Raises CheckpointError when they cannot be read."""

    def __init__(self, graphs: Graphs, folder: Path, size: int):
        self._graphs, self._size = graphs, size
        try:
            self._weights = load_file(folder / FILE)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{folder / FILE} cannot be read: {error}. Export the run again.") from error

    def output(self, raw: Tensor, attention: Tensor | None, memory: Memory) -> Output:
        """The decoder's output for these features; logits are computed when they are accessed."""
        return Output(raw, self._whole, attention)

    def of(self, symbols: Int[Tensor, " U"]) -> Callable[[Float[Tensor, "... D"]], Float[Tensor, "... U"]]:
        """The output layer for these symbols alone."""
        chosen = {name: weight.index_select(weight.shape.index(self._size), symbols) for name, weight in self._weights.items()}

        def some(features: Tensor) -> Tensor:
            return self._said(SOME, features, chosen)

        return some

    def _whole(self, features: Tensor) -> Tensor:
        return self._said(WHOLE, features, {})

    def _said(self, graph: str, features: Tensor, weights: dict[str, Tensor]) -> Tensor:
        found = self._graphs.run(graph, {"features": features.flatten(0, -2), **weights})["said"]
        return torch.unflatten(found, 0, features.shape[:-1])
