"""The content of every batch of a rank, whichever process prepares it: a pure function of (seed, epoch, number).

The sampler decides global batches; rank r of `world` takes every world-th row of each, beginning with row r. So what is learned in a step
does not depend on the number of ranks. The seed of an example depends on (seed, epoch, row) and on how often the epoch has shown the row
before: neither on ranks, nor on worker processes, nor on where a run was resumed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol, final, runtime_checkable

from antiphon.contracts.sequences import Batch, Example
from antiphon.data.batching import Sampler
from antiphon.data.permutation import hash_seed


@runtime_checkable
class Examples(Protocol):
    """What a loader needs from a corpus."""

    def example(self, index: int, seed: int | None = None) -> Example: ...


@final
@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Makes the batches of one rank; None if a global batch has fewer rows than there are ranks, or, with `stands_in`, a batch without
    weight.

    collate   makes a batch of examples: `functools.partial(collate, source=..., target=...)`
    sample    encode records anew with a seed of their own (sampled subwords), where the corpus can; batches are cut by the stored
              lengths, so one of longer encodings may exceed its budget a little
    augment   varies each example that is learned from, given a seed of its own
    """

    corpus: Examples
    sampler: Sampler
    collate: Callable[[Sequence[Example]], Batch]
    seed: int
    sample: bool = False
    augment: Callable[[Example, int], Example] | None = None
    rank: int = 0
    world: int = 1
    stands_in: bool = False

    def __post_init__(self) -> None:
        assert 0 <= self.rank < self.world, f"rank {self.rank} is not below the number of ranks, {self.world}"

    def batches(self, epoch: int, start: int = 0, every: int = 1) -> Iterator[Batch | None]:
        """Yield this rank's share of the global batches of an epoch, from number `start` on; with `every`, only each `every`-th."""
        for rows, earlier in islice(self.sampler.shown(epoch, start), 0, None, every):
            mine = zip(rows[self.rank :: self.world].tolist(), earlier[self.rank :: self.world].tolist(), strict=True)
            batch = self._together([self._varied(epoch, row, times) for row, times in mine])
            yield self.collate([self.corpus.example(int(rows[0]))]).unlearned() if batch is None and self.stands_in else batch

    def in_order(self) -> Iterator[Batch | None]:
        """Yield this rank's share of each evaluation batch: every row once, longest first, with the stored encodings."""
        for rows in self.sampler.in_order():
            yield self._together([self.corpus.example(row) for row in rows[self.rank :: self.world].tolist()])

    def _together(self, examples: Sequence[Example]) -> Batch | None:
        return self.collate(examples) if examples else None

    def _varied(self, epoch: int, row: int, earlier: int) -> Example:
        """The example, augmented for this showing."""
        seed = hash_seed(self.seed, epoch, row, earlier) if earlier else hash_seed(self.seed, epoch, row)
        example = self.corpus.example(row, seed if self.sample else None)
        return example if self.augment is None else replace(self.augment(example, seed), weight=example.weight)


__all__ = ["Examples", "Preparation"]
