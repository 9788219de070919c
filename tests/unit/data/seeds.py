"""A corpus whose examples hold the seed that they were asked with, in a module that worker processes can import."""

import os
import signal
from functools import partial

import numpy as np

from antiphon.contracts.sequences import Batch, Example
from antiphon.contracts.specs import TokenSpec
from antiphon.data.batching import BatchingConfig, Sampler
from antiphon.data.collate import collate
from antiphon.data.loader import Loader
from antiphon.errors import DataError

SPEC = TokenSpec(size=2**16, pad=0, unknown=1, start=2, end=3)
MAKE = partial(collate, source=SPEC, target=SPEC)


class Seeds:
    """100 rows. The row `broken` is an error; at the row `deadly` any process dies but the one that made the corpus."""

    def __init__(self, rows: int = 100, broken: int = -1, deadly: int = -1):
        self.rows, self.broken, self.deadly = rows, broken, deadly
        self.home = os.getpid()

    def __len__(self) -> int:
        return self.rows

    def lengths(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return indices % 5 + 2, indices % 3 + 2

    def example(self, index: int, seed: int | None = None) -> Example:
        if index == self.broken:
            raise DataError(f"Row {index} is broken.")
        if index == self.deadly and os.getpid() != self.home:
            os.kill(os.getpid(), signal.SIGKILL)
        value = 0 if seed is None else seed % 2**31
        return Example(np.full(index % 5 + 2, value), np.full(index % 3 + 2, index), index)


def sampler(corpus: Seeds) -> Sampler:
    """Batches of a few rows, from several pools."""
    return Sampler(corpus, BatchingConfig(target_tokens=30, pool_size=40), 1)


def contents(batch: Batch | None) -> dict[int, int]:
    """Record -> the seed it was encoded with."""
    return {} if batch is None else dict(zip(batch.records, batch.source.values[:, 0].tolist(), strict=True))


def loader(corpus: Seeds, rank: int = 0, world: int = 1, prefetch: int = 3, sample: bool = True) -> Loader:
    """A loader without workers."""
    return Loader(corpus, sampler(corpus), MAKE, seed=5, sample=sample, rank=rank, world=world, prefetch=prefetch)
