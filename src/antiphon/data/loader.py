"""Batches for one rank, prepared by a background thread while the model works.

The sampler decides global batches; rank r of `world` takes every world-th row of each, beginning with row r. So what is learned in a step
does not depend on the number of ranks. The seed of an example depends on (seed, epoch, row) only: neither on ranks, nor on workers, nor
on where a run was resumed.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, final, runtime_checkable

import numpy as np

from antiphon.contracts.sequences import Batch, Example
from antiphon.data.batching import Sampler
from antiphon.data.permutation import hash_seed

_POLL_SECONDS = 0.1


@runtime_checkable
class Examples(Protocol):
    """What a loader needs of a corpus."""

    def example(self, index: int, seed: int | None = None) -> Example: ...


@final
class Loader:
    """Yields the batches of an epoch for one rank; None where a global batch has fewer rows than there are ranks.

    collate    makes a batch of examples: `functools.partial(collate, source=..., target=...)`
    sample     encode records anew with a seed of their own (sampled subwords), where the corpus can; batches are cut by the stored
               lengths, so one of longer encodings may exceed its budget a little
    augment    varies each example that is learned from, given a seed of its own
    prefetch   how many batches are prepared ahead; 0 prepares each when it is asked for, without a thread
    """

    def __init__(
        self,
        corpus: Examples,
        sampler: Sampler,
        collate: Callable[[Sequence[Example]], Batch],
        *,
        seed: int,
        sample: bool = False,
        augment: Callable[[Example, int], Example] | None = None,
        rank: int = 0,
        world: int = 1,
        prefetch: int = 4,
    ):
        assert 0 <= rank < world, f"rank {rank} is not below the number of ranks, {world}"
        self.corpus, self.sampler, self.collate = corpus, sampler, collate
        self.seed, self.sample, self.augment = seed, sample, augment
        self.rank, self.world, self.prefetch = rank, world, prefetch

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch | None]:
        """Yield this rank's share of each global batch of an epoch, from the batch number `start` on.

        Errors of preparing a batch are raised here, when its turn comes. Closing the iterator ends the thread.
        """
        prepared = (self._prepare(epoch, rows) for rows in self.sampler.batches(epoch, start))
        return _ahead(prepared, self.prefetch) if self.prefetch else prepared

    def in_order(self) -> Iterator[Batch | None]:
        """Yield this rank's share of each evaluation batch: every row once, longest first, never sampled anew."""
        prepared = (self._prepare(None, rows) for rows in self.sampler.in_order())
        return _ahead(prepared, self.prefetch) if self.prefetch else prepared

    def _prepare(self, epoch: int | None, rows: np.ndarray) -> Batch | None:
        mine = [int(row) for row in rows[self.rank :: self.world]]
        if not mine:
            return None
        return self.collate([self._example(epoch, row) for row in mine])

    def _example(self, epoch: int | None, row: int) -> Example:
        if epoch is None:
            return self.corpus.example(row)
        seed = hash_seed(self.seed, epoch, row)
        example = self.corpus.example(row, seed if self.sample else None)
        return example if self.augment is None else self.augment(example, seed)


def _ahead(items: Iterator[Batch | None], size: int) -> Iterator[Batch | None]:
    """Let a thread run ahead by at most `size` items; pass its items and its error on in their order."""
    ready: queue.Queue[tuple[str, Batch | BaseException | None]] = queue.Queue(maxsize=size)
    stop = threading.Event()

    def put(kind: str, item: Batch | BaseException | None) -> None:
        while not stop.is_set():
            try:
                ready.put((kind, item), timeout=_POLL_SECONDS)
                return
            except queue.Full:
                continue

    def run() -> None:
        try:
            for item in items:
                put("item", item)
                if stop.is_set():
                    return
        except BaseException as error:  # whatever it is, the consumer must see it
            put("error", error)
        else:
            put("end", None)

    thread = threading.Thread(target=run, name="antiphon-loader", daemon=True)
    thread.start()
    try:
        while True:
            kind, item = ready.get()
            if kind == "end":
                return
            if kind == "error":
                assert isinstance(item, BaseException)
                raise item
            assert not isinstance(item, BaseException)
            yield item
    finally:
        stop.set()
        thread.join()
