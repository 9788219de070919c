"""Computes the values of an output for a part of its steps, so that the values of all steps need not be in memory at once."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from antiphon.contracts.sequences import Output, select_rows

CHUNK = 1024  # rows; large enough for full matrix speed, small enough that the logits of a chunk stay near the cache


@runtime_checkable
class Bound(Protocol):
    """A head that is bound to certain steps, such as one that copies by their attention weights."""

    def select(self, places: Int[Tensor, " N"]) -> Callable[[Tensor], Any]:
        """The head of the steps at these places among all B * T, as rows of single steps: a tree of tensors whose rows can be selected."""
        ...


def said_of(output: Output, where: Bool[Tensor, "B T"]) -> Iterator[tuple[slice, Any]]:
    """The output values for the N steps that are True in `where`, a limited number of rows at a time: the rows' indices, and their
    values."""
    features = output.features[where]
    head = output.head.select(where.flatten().nonzero().squeeze(1)) if isinstance(output.head, Bound) else output.head
    for start in range(0, max(len(features), 1), CHUNK):
        part = slice(start, min(start + CHUNK, len(features)))
        yield part, select_rows(head, torch.arange(part.start, part.stop, device=features.device))(features[part])
