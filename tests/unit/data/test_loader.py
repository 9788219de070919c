"""The loader: the same batches with and without a thread, for any number of ranks, resumed anywhere; and it ends when it is told to."""

import threading

import numpy as np
import pytest

from antiphon.contracts.records import Record
from antiphon.contracts.sequences import Example
from antiphon.data.batching import BatchingConfig, Sampler
from antiphon.data.loader import Loader
from antiphon.data.mapped import MemoryCorpus
from antiphon.data.mixing import MixedCorpus
from antiphon.errors import DataError
from tests.unit.data.seeds import MAKE, Seeds, contents, loader, sampler


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
    order = [batch.tolist() for batch in sampler(corpus).batches(0)]
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


def test_each_showing_of_a_repeated_row_has_its_own_seed() -> None:
    def encode(record: Record, index: int = -1, *, seed: int | None = None) -> Example:
        return Example(np.array([0 if seed is None else seed % 2**31]), np.array([2, 3]), index)

    records: list[Record] = [{"n": n} for n in range(20)]
    part = MemoryCorpus([encode(record, n) for n, record in enumerate(records)], records, encode)

    def drawn(weight: float) -> dict[int, list[int]]:
        corpus = MixedCorpus([part], [weight])
        batches = Loader(corpus, Sampler(corpus, BatchingConfig(target_tokens=14, pool_size=8), 0), MAKE, seed=0, sample=True).batches(1)
        found: dict[int, list[int]] = {}
        for batch in batches:
            assert batch is not None
            for record, seed in zip(batch.records, batch.source.values[:, 0].tolist(), strict=True):
                found.setdefault(record, []).append(seed)
        return found

    once, often = drawn(1.0), drawn(3.5)
    assert sorted(map(len, often.values())) == [3] * 10 + [4] * 10
    assert all(len(set(seeds)) == len(seeds) for seeds in often.values())
    assert all(once[record][0] in seeds for record, seeds in often.items()), "the first showing is what it is without repetition"
