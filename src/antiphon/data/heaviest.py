"""Finds the batches of a corpus that are likely to need most memory, and its longest rows, for a memory planner to try.

How memory grows with the lengths depends on the model: with the elements of the sources or of the targets, padding included, or with their
squares or their product where all pairs attend to each other. So there is a heaviest batch for each of these, though often it is the same.
"""

from collections.abc import Iterator

import numpy as np

from antiphon.data.batching import Rows, Sampler

_POOLS = 16  # about a million rows
_AT_ONCE = 1 << 20


def heaviest(sampler: Sampler) -> list[np.ndarray]:
    """The rows of the heaviest batches of the first epoch (of its first pools, if it is long), int64 (rows,) each, without duplicates."""
    most: dict[str, tuple[int, np.ndarray]] = {}
    for rows in sampler.first(_POOLS):
        sources, targets = sampler.corpus.lengths(rows)
        source, target = int(sources.max()), int(targets.max())
        padded = (int(sources.sum()), int(targets.sum())) if sampler.config.pack else (len(rows) * source, len(rows) * target)
        for name, weight in _weights(*padded, source, target):
            if name not in most or weight > most[name][0]:
                most[name] = weight, rows
    return list({tuple(rows.tolist()): rows for _, rows in most.values()}.values())


def _weights(sources: int, targets: int, source: int, target: int) -> Iterator[tuple[str, int]]:
    yield "sources", sources
    yield "targets", targets
    yield "pairs of sources", sources * source
    yield "pairs of both", targets * source
    yield "pairs of targets", targets * target


def longest_rows(corpus: Rows) -> tuple[list[int], int]:
    """The row with the longest source and that with the longest target, which may be the same; and the length of the longest target.
    Without targets, the source lengths are used."""
    found: dict[str, tuple[int, int]] = {}
    for begin in range(0, len(corpus), _AT_ONCE):
        rows = np.arange(begin, min(begin + _AT_ONCE, len(corpus)), dtype=np.int64)
        sources, targets = corpus.lengths(rows)
        targets = targets if targets.any() else sources
        for side, lengths in (("source", sources), ("target", targets)):
            place = int(lengths.argmax())
            found[side] = max(found.get(side, (-1, -1)), (int(lengths[place]), int(rows[place])))
    return sorted({row for _, row in found.values()}), found["target"][0]


def some_of(corpus: Rows, rows: np.ndarray, count: int) -> np.ndarray:
    """A selection of rows of a batch that has the same padded length: the longest of each side, and others evenly spread."""
    sources, targets = corpus.lengths(rows)
    first = list(dict.fromkeys([int(sources.argmax()), int(targets.argmax())]))[:count]
    others = np.setdiff1d(np.arange(len(rows)), first)
    spread = others[np.linspace(0, len(others) - 1, max(count - len(first), 0)).round().astype(np.int64)] if len(others) else others
    chosen: np.ndarray = rows[np.sort(np.concatenate([np.array(first, dtype=np.int64), spread]))]
    return chosen


__all__ = ["heaviest", "longest_rows", "some_of"]
