"""A graph of ONNX Runtime bound to fixed tensors: bound once, run at every step.

Unusual here: naming some twenty tensors anew would take an eighth of a small model's step, and so would fresh memory for what it says,
which the system hands out page by page. So outputs are written where the last ones were, as soon as nobody holds those any more.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

_TYPES = {torch.float32: np.float32, torch.int64: np.int64, torch.bool: np.bool_, torch.int32: np.int32}

_KEPT = 2  # places of an output: one may be read still while the next is written


@final
class _Place:
    """Memory for an output. Every tensor or view made from it holds a reference to the array, so that the references tell when it is
    free."""

    def __init__(self, array: np.ndarray):
        self.array = array

    @property
    def references(self) -> int:
        """The number of references to the array, as seen from here."""
        return sys.getrefcount(self.array)

    @property
    def free(self) -> bool:
        """Whether no tensor uses this memory any more."""
        return self.references == _ALONE


_ALONE = _Place(np.empty(0)).references


@final
class Binding:
    """A session whose inputs and outputs lie in memory of our own. That memory must stay alive, which this object ensures.

    `inputs` and `outputs` are tensors by their names in the graph; outputs named in `fresh` are returned by each run as new tensors.
    """

    def __init__(self, session: Any, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], fresh: Sequence[str]):
        self._session, self._io = session, session.io_binding()
        self._held = (dict(inputs), dict(outputs))
        for name, tensor in inputs.items():
            self._io.bind_input(name, "cpu", 0, *_described(tensor))
        for name, tensor in outputs.items():
            self._io.bind_output(name, "cpu", 0, *_described(tensor))
        self._fresh: dict[str, list[_Place]] = {name: [] for name in fresh}
        """The places of outputs that each run returns anew, that which is bound first; none before the first run."""

    def __call__(self) -> dict[str, Tensor]:
        """Run once; returns the fresh outputs."""
        for name, places in self._fresh.items():
            if not places:
                return self._first()
            if not places[0].free:
                self._bind_another(name, places)
        self._session.run_with_iobinding(self._io)
        return {name: torch.from_numpy(places[0].array) for name, places in self._fresh.items()}

    def _bind_another(self, name: str, places: list[_Place]) -> None:
        free = next((place for place in places if place.free), None) or _Place(np.empty_like(places[0].array))
        places[:] = [free, *(place for place in places if place is not free)][:_KEPT]
        self._io.bind_output(name, "cpu", 0, free.array.dtype.type, free.array.shape, free.array.ctypes.data)

    def _first(self) -> dict[str, Tensor]:
        """The first run, which finds the sizes of the fresh outputs: ONNX Runtime allocates them."""
        for name in self._fresh:
            self._io.bind_output(name, "cpu")
        self._session.run_with_iobinding(self._io)
        made = self._io.get_outputs()[len(self._held[1]) :]
        for (name, places), value in zip(self._fresh.items(), made, strict=True):
            places.append(_Place(value.numpy().copy()))
            self._io.bind_output(name, "cpu", 0, places[0].array.dtype.type, places[0].array.shape, places[0].array.ctypes.data)
        return {name: torch.from_numpy(places[0].array) for name, places in self._fresh.items()}


def _described(tensor: Tensor) -> tuple[Any, tuple[int, ...], int]:
    if not tensor.is_contiguous():
        raise ValueError("only contiguous tensors can be bound")
    return _TYPES[tensor.dtype], tuple(tensor.shape), tensor.data_ptr()
