"""A graph of ONNX Runtime on tensors that keep their places: bound once, run at every step.

Unusual here: naming some twenty tensors anew would take an eighth of a small model's step.
"""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

_TYPES = {torch.float32: np.float32, torch.int64: np.int64, torch.bool: np.bool_, torch.int32: np.int32}

_SMALL = 2**15  # elements that are copied sooner than named anew


@final
class Binding:
    """A session with its inputs and outputs in memory that is ours. All of it must stay alive, which this object sees to.

    `inputs` and `outputs` are tensors by their names in the graph; outputs named in `fresh` are returned by each run as new tensors.
    """

    def __init__(self, session: Any, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], fresh: Sequence[str]):
        self._session, self._io = session, session.io_binding()
        self._held = (dict(inputs), dict(outputs))
        for name, tensor in inputs.items():
            self._io.bind_input(name, "cpu", 0, *_described(tensor))
        for name, tensor in outputs.items():
            self._io.bind_output(name, "cpu", 0, *_described(tensor))
        self._fresh = {name: torch.empty(0) for name in fresh}
        """The outputs that each run returns anew; once it has run, with tensors of their sizes, of which small ones are written to."""
        self._has_run = False

    def __call__(self) -> dict[str, Tensor]:
        """Run once; the outputs that are fresh."""
        if not self._has_run:
            return self._first()
        large = {name: torch.empty_like(earlier) for name, earlier in self._fresh.items() if earlier.numel() > _SMALL}
        for name, tensor in large.items():
            self._io.bind_output(name, "cpu", 0, *_described(tensor))
        self._session.run_with_iobinding(self._io)
        return {name: large[name] if name in large else place.clone() for name, place in self._fresh.items()}

    def _first(self) -> dict[str, Tensor]:
        """The run that finds out how large the fresh outputs are: ONNX Runtime makes them."""
        for name in self._fresh:
            self._io.bind_output(name, "cpu")
        self._session.run_with_iobinding(self._io)
        made = self._io.get_outputs()[len(self._held[1]) :]
        self._fresh = {name: torch.from_numpy(value.numpy().copy()) for name, value in zip(self._fresh, made, strict=True)}
        self._has_run = True
        for name, place in self._fresh.items():
            if place.numel() <= _SMALL:
                self._io.bind_output(name, "cpu", 0, *_described(place))
        return {name: place.clone() for name, place in self._fresh.items()}


def _described(tensor: Tensor) -> tuple[Any, tuple[int, ...], int]:
    if not tensor.is_contiguous():
        raise ValueError("only contiguous tensors can be bound")
    return _TYPES[tensor.dtype], tuple(tensor.shape), tensor.data_ptr()
