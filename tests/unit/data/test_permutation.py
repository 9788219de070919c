"""The shuffle as a function: a bijection for every size, different for every key, near to uniform, and for ever the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.data.permutation import hash_seed, permute


@given(size=st.integers(1, 3000) | st.integers(4090, 9000), key=st.integers(0, 2**64 - 1))
def test_every_row_once(size: int, key: int) -> None:
    assert sorted(permute(np.arange(size), size, key).tolist()) == list(range(size))


@given(size=st.integers(1, 2**40), key=st.integers(0, 2**64 - 1), begin=st.integers(0, 2**40))
def test_ranges_of_huge_sizes_are_distinct_and_inside(size: int, key: int, begin: int) -> None:
    positions = np.arange(begin % size, min(size, begin % size + 300))
    rows = permute(positions, size, key)
    assert len(set(rows.tolist())) == len(positions)
    assert rows.min() >= 0
    assert rows.max() < size


@pytest.mark.parametrize("size", [1000, 10_000])
def test_pieces_equal_the_whole(size: int) -> None:
    whole = permute(np.arange(size), size, 5)
    assert np.array_equal(np.concatenate([permute(np.arange(begin, begin + 100), size, 5) for begin in range(0, size, 100)]), whole)


@pytest.mark.parametrize("size", [5, 100, 4097])
def test_every_place_is_equally_likely(size: int) -> None:
    draws = 4000 if size < 1000 else 200
    bins = min(size, 50)  # many rows are put together, so that each cell expects enough of them
    counts = np.zeros((size, bins))
    for key in range(draws):
        counts[np.arange(size), permute(np.arange(size), size, hash_seed(key)) * bins // size] += 1
    expected = draws * np.bincount(np.arange(size) * bins // size) / size
    statistic = ((counts - expected) ** 2 / expected).sum() * (size - 1) / size  # each row stands once, so cells are not independent
    freedom = (size - 1) * (bins - 1)  # chi-square: mean = freedom, variance = 2 * freedom
    assert abs(statistic - freedom) < 5 * np.sqrt(2 * freedom)


def test_neighbours_part() -> None:
    rows = permute(np.arange(10_000), 10_000, 1)
    assert abs(np.corrcoef(np.arange(10_000), rows)[0, 1]) < 0.04
    assert (np.abs(np.diff(rows)) == 1).mean() < 0.001


def test_the_order_never_changes() -> None:
    # Written down when the function was made: a resumed run on another machine or version must go on with the same order.
    assert permute(np.arange(8), 10_000, 42).tolist() == [3360, 3836, 4780, 8357, 3093, 6938, 2156, 8800]
    assert hash_seed(1, 2, 3) == 8946099157182655218


def test_seeds_differ() -> None:
    seeds = {hash_seed(seed, epoch, row) for seed in range(20) for epoch in range(20) for row in range(20)}
    assert len(seeds) == 8000
    assert hash_seed(1, 2) != hash_seed(2, 1)
    assert hash_seed(0) != hash_seed(0, 0)
