"""Determines the order and the batches in which rows are shown: a pure function of (seed, epoch).

An epoch is a shuffle of all rows, taken in pools. A pool is sorted by length and cut into batches that fill a budget of tokens, so that a
batch holds rows of about one length and little padding; then the batches of the pool are shuffled.

Unusual here: the sampler has no state. The shuffle is a function from position to row (see `permutation.py`), so memory is that of one
pool, and resuming is asking for `batches(epoch, start)`. Rows never depend on ranks or workers, so neither does a global batch.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Protocol, final, runtime_checkable

import numpy as np
from pydantic import Field

from antiphon.contracts.configuration import Count, config
from antiphon.data.budgets import MemorySize, TargetTokens
from antiphon.data.permutation import hash_seed, permute
from antiphon.errors import ConfigError


@config
class BatchingConfig:
    """How rows are grouped into batches. A budget counts padding: rows times the longest row of the batch."""

    target_tokens: TargetTokens = 4096
    """The budget of target elements (of output steps, for series) of a global batch; of source elements where there are no targets. `auto`
    tries before training what fits into memory, and takes the largest budget that does and that leaves some 2,500 updates (of minutes: in
    five epochs); the run keeps it as a number."""
    memory_limit: MemorySize | None = None
    """With `target_tokens: auto`: the memory that a process may take, such as `4 GB`; null is nine tenths of what is free on a GPU, and
    half of what is free on a CPU."""
    source_tokens: Count | None = None
    """The budget of source elements (of frames, for audio) of a global batch; null is no limit."""
    max_examples: Count | None = None
    """The most rows of a global batch; null is no limit."""
    pack: bool = False
    """Sequence packing: the model reads several pairs in one row, which do not attend to each other, instead of padding. The result of
    training is the same; budgets count without padding. For attention-only encoder-decoders (`transformer`, with most of its settings)."""
    pool_size: Count = 65536
    """The number of rows that are sorted by length together; larger means less padding, smaller means more randomness."""
    shuffle: bool = True
    """False shows the rows in the order of the corpus, neither shuffled nor sorted by length."""
    workers: Annotated[int, Field(ge=0)] | None = None
    """Processes that prepare batches if examples are encoded anew each time (sampled subwords, augmentation); 0 leaves it to a thread.
    Batches are the same in any case. When left out, two start as soon as training has waited for batches for some seconds."""

    def __post_init__(self) -> None:
        if self.memory_limit is not None and self.target_tokens != "auto":
            raise ValueError("`memory_limit` must be left out unless `target_tokens` is `auto`: it has no effect.")


@runtime_checkable
class Rows(Protocol):
    """What a sampler needs from a corpus: the number of rows, and the lengths (source, target) of given rows."""

    def __len__(self) -> int: ...

    def lengths(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...


@runtime_checkable
class WeightedRows(Protocol):
    """A corpus of which an epoch shows some rows more often than others; see `mixing.py`."""

    @property
    def draws(self) -> int: ...

    def draw(self, positions: np.ndarray, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray]: ...


@final
class Sampler:
    """Yields the rows of each global batch. A row that alone exceeds a budget makes a batch of its own: nothing is ever left out.

    Raises ConfigError for a budget that is still to be found.
    """

    def __init__(self, corpus: Rows, config: BatchingConfig, seed: int):
        if not isinstance(config.target_tokens, int):
            raise ConfigError("`training.batching.target_tokens` must be a number here: `auto` becomes a number when training begins.")
        self.corpus, self.config, self.seed = corpus, config, seed
        self._target_tokens = config.target_tokens
        self._weighted = corpus if isinstance(corpus, WeightedRows) else None

    def __len__(self) -> int:
        """The number of rows in an epoch, including repetitions."""
        return len(self.corpus) if self._weighted is None else self._weighted.draws

    def batches(self, epoch: int, start: int = 0) -> Iterator[np.ndarray]:
        """Yield the row numbers of each batch, int64 (rows,), from the batch number `start` on."""
        return (rows for rows, _ in self.shown(epoch, start))

    def shown(self, epoch: int, start: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of each batch and the number of each showing (0 unless an epoch shows a row several times): int64 (rows,)."""
        skip = start
        for pool in range(self._pools()):
            cut = self._cut_pool(epoch, pool)
            if skip < len(cut):
                yield from cut[skip:]
            skip = max(0, skip - len(cut))

    def in_order(self) -> Iterator[np.ndarray]:
        """Yield batches for evaluation: every row of the corpus once, longest first, so that a lack of memory shows at once.

        The row numbers in a batch are the positions in the corpus: `results[batch] = ...` restores the order.
        """
        size = self.config.pool_size
        for begin in range(0, len(self.corpus), size):
            rows = np.arange(begin, min(begin + size, len(self.corpus)), dtype=np.int64)
            sources, targets = self._lengths(rows)
            order = self._by_length(-sources, -targets)
            yield from self._cut(rows[order], sources[order], targets[order])

    def estimate_batches(self) -> int:
        """The approximate number of batches in an epoch: those of the first pools, scaled up; exact for a corpus of a few pools."""
        pools = self._pools()
        looked_at = min(pools, 3)
        batches = sum(len(self._cut_pool(0, pool)) for pool in range(looked_at))
        rows = min(looked_at * self.config.pool_size, len(self))
        return round(batches * len(self) / rows) if rows else 0

    def first(self, pools: int) -> Iterator[np.ndarray]:
        """Yield the batches of the first `pools` pools of the first epoch."""
        return (rows for rows, _ in chain.from_iterable(self._cut_pool(0, pool) for pool in range(min(pools, self._pools()))))

    def _pools(self) -> int:
        return -(-len(self) // self.config.pool_size)

    def _lengths(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lengths of rows; without targets, the source lengths are used for both, so that the budget still bounds a batch."""
        sources, targets = self.corpus.lengths(rows)
        return sources, targets if targets.any() else sources

    def _cut_pool(self, epoch: int, pool: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """The batches of one pool, in the order in which they are shown: rows, and the number of each showing."""
        begin = pool * self.config.pool_size
        positions = np.arange(begin, min(begin + self.config.pool_size, len(self)), dtype=np.int64)
        if self.config.shuffle:
            positions = permute(positions, len(self), hash_seed(self.seed, epoch))
        if self._weighted is None:
            rows, showings = positions, np.zeros_like(positions)
        else:
            rows, showings = self._weighted.draw(positions, self.seed, epoch)
        sources, targets = self._lengths(rows)
        if not self.config.shuffle:
            batches = self._cut(np.arange(len(rows)), sources, targets)
        else:
            order = self._by_length(sources, targets)
            cut = self._cut(order, sources[order], targets[order])
            shown = permute(np.arange(len(cut)), len(cut), hash_seed(self.seed, epoch, pool, 0x626174))
            batches = [cut[number] for number in shown]
        return [(rows[batch], showings[batch]) for batch in batches]

    def _by_length(self, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The order by length of the side that exhausts its budget first, then by the other; stable, so that equal rows stay shuffled."""
        budget = self.config.source_tokens
        if budget is not None and abs(int(sources.sum())) * self._target_tokens > abs(int(targets.sum())) * budget:
            return np.lexsort((targets, sources))
        return np.lexsort((sources, targets))

    def _cut(self, rows: np.ndarray, sources: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
        """Cut rows, in their order, into the longest runs that stay within the budgets."""
        batches, begin = [], 0
        while begin < len(rows):
            size = max(1, self._fitting(sources, targets, begin))
            batches.append(rows[begin : begin + size])
            begin += size
        return batches

    def _fitting(self, sources: np.ndarray, targets: np.ndarray, begin: int) -> int:
        """The number of rows from `begin` on that fit into a batch; 0 if even the first is too long."""
        config = self.config
        most = len(targets) - begin if config.max_examples is None else config.max_examples
        if config.pack:
            return self._real_fitting(sources, targets, begin, most)
        for budget, lengths in ((self._target_tokens, targets), (config.source_tokens, sources)):
            if budget is None:
                continue
            window = lengths[begin : begin + min(most, budget // max(1, int(lengths[begin])))]
            padded = np.maximum.accumulate(window) * np.arange(1, len(window) + 1)
            most = int(np.searchsorted(padded, budget, side="right"))  # padded grows strictly, so this counts those within
        return most

    def _real_fitting(self, sources: np.ndarray, targets: np.ndarray, begin: int, most: int) -> int:
        """Like `_fitting`, without counting padding."""
        for budget, lengths in ((self._target_tokens, targets), (self.config.source_tokens, sources)):
            if budget is not None:
                most = int(np.searchsorted(np.cumsum(lengths[begin : begin + min(most, budget)]), budget, side="right"))
        return most
