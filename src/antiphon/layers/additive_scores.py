"""Additive attention scores (Bahdanau et al. 2015); the inner vectors, D numbers for each pair of query and key, are never kept in memory.

Unusual here: (B, T, S, D) values go through a tanh to become (B, T, S) scores. Recorded as they are, they fill memory: 64 pairs of 60
elements with 512 units take half a gigabyte, three times over. So they are made in blocks of a megabyte, and made again for the
gradients: one more tanh in training, which costs less than writing all of them to memory and reading them back.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

_BLOCK = 1 << 18  # inner values; few enough to stay near the processor, enough that calling torch costs little
_GPU_BLOCK = 1 << 24  # there a call costs more, and works on more at once


def additive_scores(
    queries: Float[Tensor, "B T D"],
    keys: Float[Tensor, "B S D"],
    energy: Float[Tensor, " D"],
    seen: Float[Tensor, "B T S F"] | None = None,
    seen_weight: Float[Tensor, "D F"] | None = None,
) -> Float[Tensor, "B T S"]:
    """energy . tanh(query + key); with `seen`, F numbers for each pair, energy . tanh(query + key + seen_weight seen)."""
    if torch.compiler.is_compiling():
        return _inner(queries, keys, seen, seen_weight) @ energy
    dtype = torch.promote_types(queries.dtype, keys.dtype)
    given = (None if one is None else one.to(dtype) for one in (queries, keys, energy, seen, seen_weight))
    scores: Tensor = _AdditiveScores.apply(*given)  # type: ignore[no-untyped-call]
    return scores


def _inner(queries: Tensor, keys: Tensor, seen: Tensor | None, seen_weight: Tensor | None) -> Float[Tensor, "B T S D"]:
    inner = queries.unsqueeze(2) + keys.unsqueeze(1)
    if seen is not None and seen_weight is not None:
        inner = inner + seen @ seen_weight.T
    return inner.tanh()


def _blocks(queries: Tensor, keys: Tensor) -> Iterator[tuple[slice, slice]]:
    """The numbers of rows and steps to process at once."""
    rows, steps = queries.shape[:2]
    block = _BLOCK if queries.device.type == "cpu" else _GPU_BLOCK
    one = max(keys.shape[1] * keys.shape[2], 1)  # inner values of one query
    at_once = max(min(block // one, steps), 1)
    beside = max(block // (one * at_once), 1)
    for row in range(0, rows, beside):
        for step in range(0, steps, at_once):
            yield slice(row, row + beside), slice(step, step + at_once)


class _AdditiveScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, energy: Tensor, seen: Tensor | None, seen_weight: Tensor | None) -> Tensor:
        ctx.save_for_backward(queries, keys, energy, seen, seen_weight)
        scores = queries.new_empty(*queries.shape[:2], keys.shape[1])
        for rows, steps in _blocks(queries, keys):
            here = None if seen is None else seen[rows, steps]
            scores[rows, steps] = _inner(queries[rows, steps], keys[rows], here, seen_weight) @ energy
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, energy, seen, seen_weight = ctx.saved_tensors
        of_queries, of_keys, of_energy = torch.empty_like(queries), torch.zeros_like(keys), torch.zeros_like(energy)
        of_seen = None if seen is None else torch.empty_like(seen)
        of_weight = None if seen_weight is None else torch.zeros_like(seen_weight)
        for rows, steps in _blocks(queries, keys):
            here = None if seen is None else seen[rows, steps]
            inner = _inner(queries[rows, steps], keys[rows], here, seen_weight)
            upstream = gradient[rows, steps]
            of_energy += upstream.reshape(-1) @ inner.flatten(0, 2)
            inner = inner.square_().neg_().add_(1).mul_(upstream.unsqueeze(-1)).mul_(energy)  # gradients before the tanh
            of_queries[rows, steps] = inner.sum(dim=2)
            of_keys[rows] += inner.sum(dim=1)
            if here is not None and of_seen is not None and of_weight is not None:
                of_seen[rows, steps] = inner @ seen_weight
                of_weight += inner.flatten(0, 2).T @ here.flatten(0, 2)
        return of_queries, of_keys, of_energy, of_seen, of_weight
