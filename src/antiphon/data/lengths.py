"""Iterates over the lengths of all examples in little memory, as those of a billion rows do not fit into it."""

from collections.abc import Iterator, Sequence

import numpy as np

from antiphon.data.batching import Rows

_BLOCK = 1 << 16


def lengths_in_blocks(corpus: Rows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The lengths of sources and targets, int64 (n,) each, in blocks of rows."""
    for start in range(0, len(corpus), _BLOCK):
        yield corpus.lengths(np.arange(start, min(start + _BLOCK, len(corpus))))


def elements_of(corpora: Sequence[Rows]) -> tuple[int, int]:
    """The total number of elements of sources and of targets, including the targets' start elements."""
    sources = targets = 0
    for corpus in corpora:
        for source, target in lengths_in_blocks(corpus):
            sources, targets = sources + int(source.sum()), targets + int(target.sum())
    return sources, targets
