"""Flattens a tree of tensors, such as a memory or a state, to a list, and back: for compilers and graphs, which only handle tensors."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from antiphon.contracts.sequences import map_tensors


def flat(tree: Any) -> list[Tensor]:
    """The tensors of a tree, in the order of `map_tensors`."""
    found: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    map_tensors(keep, tree)
    return found


def like(tree: Any, tensors: Iterable[Tensor]) -> Any:
    """The tree with its tensors replaced."""
    left = iter(tensors)
    return map_tensors(lambda _: next(left), tree)
