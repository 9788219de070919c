"""The loader: the same batches with and without a thread, for any number of ranks, resumed anywhere; and it ends when it is told to."""

import threading
from functools import partial

import numpy as np
import pytest

from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Batch, Example
from antiphon.contracts.specs import TokenSpec
from antiphon.data.batching import BatchingConfig, Sampler
from antiphon.data.collate import collate
from antiphon.data.corpus import MemoryCorpus
from antiphon.data.loader import Loader
from antiphon.errors import DataError

SPEC = TokenSpec(size=2**16, pad=0, unknown=1, start=2, end=3)
MAKE = partial(collate, source=SPEC, target=SPEC)


class Seeds:
    """A corpus whose examples hold the seed that they were asked with."""

    def __init__(self, rows: int = 100, broken: int = -1):
        self.rows, self.broken = rows, broken

    def __len__(self) -> int:
        return self.rows

    def lengths(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return indices % 5 + 2, indices % 3 + 2

    def example(self, index: int, seed: int | None = None) -> Example:
        if index == self.broken:
            raise DataError(f"Row {index} is broken.")
        value = 0 if seed is None else seed % 2**31
        return Example(np.full(index % 5 + 2, value), np.full(index % 3 + 2, index), index)


def loader(corpus: Seeds, rank: int = 0, world: int = 1, prefetch: int = 3, sample: bool = True) -> Loader:
    sampler = Sampler(corpus, BatchingConfig(target_tokens=30, pool_size=40), 1)
    return Loader(corpus, sampler, MAKE, seed=5, sample=sample, rank=rank, world=world, prefetch=prefetch)


def contents(batch: Batch | None) -> dict[int, int]:
    """Record -> the seed it was encoded with."""
    return {} if batch is None else dict(zip(batch.records, batch.source.values[:, 0].tolist(), strict=True))


def test_a_thread_changes_nothing() -> None:
    assert [contents(batch) for batch in loader(Seeds(), prefetch=0).batches(2)] == [
        contents(batch) for batch in loader(Seeds()).batches(2)
    ]


def test_resuming_gives_exactly_the_rest() -> None:
    whole = [contents(batch) for batch in loader(Seeds()).batches(2)]
    assert [contents(batch) for batch in loader(Seeds()).batches(2, start=4)] == whole[4:]


@pytest.mark.parametrize("world", [2, 3, 16])
def test_ranks_together_hold_the_global_batch_with_the_same_seeds(world: int) -> None:
    whole = [contents(batch) for batch in loader(Seeds()).batches(2)]
    ranks = [list(loader(Seeds(), rank, world).batches(2)) for rank in range(world)]
    assert all(len(batches) == len(whole) for batches in ranks), "every rank takes part in every step"
    for step, expected in enumerate(whole):
        joined: dict[int, int] = {}
        for batches in ranks:
            joined |= contents(batches[step])
        assert joined == expected
    assert (world < 16) or any(batch is None for batch in ranks[-1])


def test_seeds_differ_by_row_and_epoch_only_when_sampling() -> None:
    first = {record: seed for batch in loader(Seeds()).batches(0) for record, seed in contents(batch).items()}
    second = {record: seed for batch in loader(Seeds()).batches(1) for record, seed in contents(batch).items()}
    assert len(set(first.values())) == 100
    assert all(first[record] != second[record] for record in first)
    assert {seed for batch in loader(Seeds(), sample=False).batches(0) for seed in contents(batch).values()} == {0}
    assert {seed for batch in loader(Seeds()).in_order() for seed in contents(batch).values()} == {0}, "evaluation is never sampled"


def test_errors_reach_the_consumer_in_their_turn() -> None:
    corpus = Seeds()
    order = [batch.tolist() for batch in Sampler(corpus, BatchingConfig(target_tokens=30, pool_size=40), 1).batches(0)]
    corpus.broken = order[5][0]
    batches = loader(corpus).batches(0)
    for _ in range(5):
        next(batches)
    with pytest.raises(DataError, match=f"Row {corpus.broken} is broken"):
        next(batches)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "antiphon-loader"]


@pytest.mark.parametrize("prefetch", [1, 4])
def test_the_thread_ends_when_the_consumer_stops_early(prefetch: int) -> None:
    batches = loader(Seeds(), prefetch=prefetch).batches(0)
    assert threads() == [], "nothing starts before the first batch is asked for"
    next(batches)
    assert len(threads()) <= 1
    batches.close()  # type: ignore[attr-defined]
    assert threads() == []
    for _ in loader(Seeds(), prefetch=prefetch).batches(0):
        pass
    assert threads() == []


def test_sampling_encodes_records_anew() -> None:
    def encode(record: Record, index: int = -1, *, seed: int | None = None) -> Example:
        return Example(np.array([4 if seed is None else 5]), np.array([2, 3]), index)

    records: list[Record] = [{"n": n} for n in range(4)]
    corpus = MemoryCorpus([encode(record, n) for n, record in enumerate(records)], records, encode)
    for sample, expected in ((False, 4), (True, 5)):
        batches = Loader(corpus, Sampler(corpus, BatchingConfig(), 0), MAKE, seed=0, sample=sample).batches(0)
        assert {int(value) for batch in batches if batch for value in batch.source.values.flatten()} == {expected}
