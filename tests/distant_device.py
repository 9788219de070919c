"""A device that computes on this processor, but is told of every operation as a GPU is, so that a test sees what would wait for it.

Its tensors are wrappers around tensors of the CPU that say they are elsewhere (on `meta`, since torch knows of no other device without a
driver). What waits for a GPU is reading a number of a tensor, copying one to the CPU, copying one from the CPU without `non_blocking`
(also `torch.tensor` with a device), and whatever gives a tensor whose size depends on values.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_map

ELSEWHERE = torch.device("meta")
_READS = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "unique", "_unique2", "unique_consecutive", "bincount"}


class Distant(Tensor):
    """A tensor that is elsewhere; `inner` holds what it is made of."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Distant":
        made: Distant = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=ELSEWHERE,
        )
        made.inner = inner
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Distant({tuple(self.shape)}, {self.dtype})"

    def tolist(self) -> Any:
        """Its numbers, for which it is copied."""
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        return _compute(function, arguments, named or {}, waits=None)


class _Listening(TorchDispatchMode):
    def __init__(self, waits: list[str]):
        super().__init__()
        self.waits = waits

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        return _compute(function, arguments, named or {}, waits=self.waits)


def _compute(function: Any, arguments: Any, named: dict[str, Any], waits: list[str] | None) -> Any:
    """Do an operation; what comes of anything elsewhere is elsewhere."""
    tensors = [part for part in torch.utils._pytree.tree_leaves((arguments, named)) if isinstance(part, Tensor)]
    assert all(isinstance(one, Distant) for one in tensors if one.device == ELSEWHERE), f"a GPU is waited for: {_place('torch.tensor')}"
    asked = named.get("device")
    there = any(isinstance(one, Distant) for one in tensors)
    goes = torch.device(asked) == ELSEWHERE if asked is not None else there
    if waits is not None and _waits(function, arguments, named, there=there, goes=goes):
        waits.append(_place(str(function)))
    inside = {**named, "device": torch.device("cpu")} if asked is not None and torch.device(asked) == ELSEWHERE else named
    found = function(*tree_map(_inner, arguments), **tree_map(_inner, inside))
    if not goes:
        return found
    if function.overloadpacket.__name__ == "_pack_padded_sequence":  # how many sequences each step has stays here
        return Distant(found[0]), found[1]
    made = tree_map(lambda part: Distant(part) if isinstance(part, Tensor) and not isinstance(part, Distant) else part, found)
    return return_and_correct_aliasing(function, arguments, named, made) if there else made


def _inner(part: Any) -> Any:
    return part.inner if isinstance(part, Distant) else part


def _waits(function: Any, arguments: Any, named: dict[str, Any], *, there: bool, goes: bool) -> bool:
    name = function.overloadpacket.__name__
    if name in ("_to_copy", "copy_"):
        source = arguments[0] if name == "_to_copy" else arguments[1]
        here = not isinstance(source, Distant)
        target_here = not goes if name == "_to_copy" else not isinstance(arguments[0], Distant)
        blocking = not (named.get("non_blocking") or (name == "copy_" and len(arguments) > 2 and arguments[2]))
        return here != target_here and (blocking or target_here) and (source.dim() > 0 or not here)
    if name in ("index", "index_put", "index_put_", "_unsafe_index"):
        masks = [one for one in arguments[1] if isinstance(one, Distant) and one.dtype in (torch.bool, torch.uint8)]
        return bool(masks) and not (name != "index" and arguments[2].numel() == 1)
    return there and name in _READS


def _place(what: str) -> str:
    """The operation, and the line of the package that asked for it."""
    lines = [one for one in traceback.extract_stack() if "/antiphon/" in one.filename]
    where = f"{lines[-1].filename.rsplit('/antiphon/', 1)[1]}:{lines[-1].lineno}" if lines else "backward"
    return f"{where} {what}"


@contextmanager
def waits_of_a_distant_device() -> Iterator[list[str]]:
    """Within it, what is elsewhere computes; in the list stand the operations that would have waited for a GPU, with their places."""
    waits: list[str] = []
    with _Listening(waits):
        yield waits


def moved(module: nn.Module) -> nn.Module:
    """A module with its weights and buffers elsewhere; tied ones stay tied."""
    memo: dict[int, Tensor] = {}

    def over(tensor: Tensor) -> Tensor:
        if id(tensor) not in memo:
            there: Tensor = Distant(tensor.detach())
            memo[id(tensor)] = nn.Parameter(there, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else there
        return memo[id(tensor)]

    for part in module.modules():
        for kind in (part._parameters, part._buffers):
            for name, tensor in kind.items():
                if tensor is not None:
                    kind[name] = over(tensor)  # type: ignore[assignment]
    return module
