"""Prepares batches for one rank in the background while the model computes: in a thread, or if that is too slow in worker processes.

What a batch is stands in `preparation.py` and does not depend on who prepares it. A thread is all that stored examples need: they are read
faster than any model learns. Where each example is drawn anew (sampled subwords, masked frames, noise), workers share the encoding.
"""

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, final

from antiphon.contracts.sequences import Batch, Example
from antiphon.data.batching import Sampler
from antiphon.data.prefetch import ahead
from antiphon.data.preparation import Examples, Preparation
from antiphon.data.workers import WorkerError, Workers

_MOST_WORKERS = 2
_WAITED_SECONDS = 5.0  # about what it takes to start two workers
_END: Any = object()


@final
class Loader:
    """Yields the batches of an epoch for one rank; None where a global batch has fewer rows than there are ranks.

    collate    makes a batch of examples: `functools.partial(collate, source=..., target=...)`
    sample     encode records anew with a seed of their own (sampled subwords), where the corpus can; batches are cut by the stored
               lengths, so one of longer encodings may exceed its budget a little
    augment    varies each example that is learned from, given a seed of its own
    stands_in  a rank without a row has one that is not learned from, instead of None
    prefetch   how many batches are prepared ahead; 0 prepares each when it is asked for, without a thread
    workers    how many processes prepare batches; until they have started, and if they cannot, the thread does. None chooses: two, if
               there are cores for them, as soon as batches were waited for longer than starting two takes; none where nothing varies
    say        is told, in one sentence, when workers cannot go on and the thread takes over
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
        stands_in: bool = False,
        prefetch: int = 4,
        workers: int | None = 0,
        say: Callable[[str], None] = warnings.warn,
    ):
        assert prefetch or not workers, "without prefetching there is nothing for workers to do"
        self.preparation = Preparation(
            corpus=corpus, sampler=sampler, collate=collate, seed=seed, sample=sample, augment=augment, rank=rank, world=world,
            stands_in=stands_in,
        )  # fmt: skip
        self.prefetch, self.say = prefetch, say
        varies = sample or augment is not None
        self._count = (_affordable() if varies and prefetch else 0) if workers is None else workers
        self._patience = _WAITED_SECONDS if workers is None else 0.0
        self._waited = 0.0
        self._workers: Workers | None = None

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch | None]:
        """Yield this rank's share of each global batch of an epoch, from the batch number `start` on.

        Errors of preparing a batch are raised here, when its turn comes. Closing the iterator ends the thread and the workers; after the
        last batch of an epoch, workers stay for the next.
        """
        if not self.prefetch:
            yield from self.preparation.batches(epoch, start)
            return
        stream = ahead(self._prepared(epoch, start), self.prefetch, self.close)
        try:
            while True:
                self._start_workers()
                asked = time.monotonic()
                batch = next(stream, _END)
                self._waited += time.monotonic() - asked
                if batch is _END:
                    return
                yield batch
        finally:
            stream.close()  # type: ignore[attr-defined]

    def in_order(self) -> Iterator[Batch | None]:
        """Yield this rank's share of each evaluation batch: every row once, longest first, with the stored encodings."""
        prepared = self.preparation.in_order()
        return ahead(prepared, self.prefetch) if self.prefetch else prepared

    def wait_for_workers(self) -> bool:
        """Start the workers now and wait until they are ready; returns whether there are any. Training need not wait: the thread begins."""
        self._waited = self._patience
        self._start_workers()
        while self._count and self._workers is not None and not self._ready(self._workers, 0.1):
            pass
        return self._workers is not None

    def close(self) -> None:
        """End the workers, and any iterator that takes their batches. They start again when there are batches to prepare."""
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.close()

    def _start_workers(self) -> None:
        if self._count == 0 or self._workers is not None or self._waited < self._patience:
            return
        try:
            self._workers = Workers(self.preparation, self._count)
        except WorkerError as lost:
            self._give_up(lost)

    def _prepared(self, epoch: int, start: int) -> Iterator[Batch | None]:
        """Yield the batches prepared by this process until the workers are ready, and again once they cannot go on."""
        number = start
        alone = self.preparation.batches(epoch, start)
        workers = self._workers
        while workers is None or not self._ready(workers):
            batch = next(alone, _END)
            if batch is _END:
                return
            yield batch
            number += 1
            workers = self._workers
        try:
            for batch in workers.batches(epoch, number):
                yield batch
                number += 1
        except WorkerError as lost:
            if workers.closed:
                raise
            rest = self.preparation.batches(epoch, number)
            batch = next(rest, _END)  # what is wrong with the data is raised here, as it would be without workers
            self._give_up(lost)
            if batch is not _END:
                yield batch
                yield from rest

    def _ready(self, workers: Workers, seconds: float = 0.0) -> bool:
        try:
            return workers.ready(seconds)
        except WorkerError as lost:
            if not workers.closed:
                self._give_up(lost)
            return False

    def _give_up(self, lost: WorkerError) -> None:
        """Go on without workers; the batches stay the same."""
        self._count = 0
        self.close()
        self.say(f"A worker process {lost}, so batches are prepared by a thread of the trainer from now on: the same, but slower.")


def _affordable() -> int:
    """The number of workers that this process's share of the CPU cores allows; 0 if a worker would only compete with it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return min(_MOST_WORKERS, share) if share > 1 else 0


__all__ = ["Examples", "Loader"]
