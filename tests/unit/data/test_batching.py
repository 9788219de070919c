"""The sampler: every row once, budgets kept, and resuming anywhere gives exactly what was left."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.contracts.configuration import validate
from antiphon.contracts.sequences import Example
from antiphon.data.batching import BatchingConfig, Sampler
from antiphon.data.mapped import MemoryCorpus
from antiphon.data.mixing import MixedCorpus
from antiphon.errors import ConfigError


class Lengths:
    """A corpus of nothing but lengths."""

    def __init__(self, sources: np.ndarray, targets: np.ndarray):
        self.sources, self.targets = sources, targets

    def __len__(self) -> int:
        return len(self.sources)

    def lengths(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.sources[indices], self.targets[indices]


def some_lengths(rows: int, seed: int = 0, longest: int = 60) -> Lengths:
    generator = np.random.default_rng(seed)
    targets = np.minimum(longest, 2 + generator.lognormal(2.5, 0.7, rows)).astype(np.int64)
    return Lengths(np.maximum(1, targets + generator.integers(-3, 4, rows)), targets)


def as_lists(batches: object) -> list[list[int]]:
    return [batch.tolist() for batch in batches]  # type: ignore[attr-defined]


@given(
    rows=st.integers(1, 400),
    seed=st.integers(0, 2**31),
    target_tokens=st.integers(1, 500),
    source_tokens=st.none() | st.integers(1, 500),
    max_examples=st.none() | st.integers(1, 9),
    pool_size=st.integers(1, 500),
    shuffle=st.booleans(),
)
def test_every_row_once_within_the_budgets(
    rows: int, seed: int, target_tokens: int, source_tokens: int | None, max_examples: int | None, pool_size: int, shuffle: bool
) -> None:
    corpus = some_lengths(rows, seed)
    config = BatchingConfig(
        target_tokens=target_tokens, source_tokens=source_tokens, max_examples=max_examples, pool_size=pool_size, shuffle=shuffle
    )
    sampler = Sampler(corpus, config, seed)
    for batches in (list(sampler.batches(epoch=3)), list(sampler.in_order())):
        assert sorted(np.concatenate(batches).tolist()) == list(range(rows))
        for batch in batches:
            if len(batch) > 1:
                assert len(batch) * corpus.targets[batch].max() <= target_tokens
                assert source_tokens is None or len(batch) * corpus.sources[batch].max() <= source_tokens
            assert max_examples is None or len(batch) <= max_examples


@given(rows=st.integers(1, 300), seed=st.integers(0, 2**31), budget=st.integers(1, 500), sources=st.none() | st.integers(1, 500))
def test_what_is_to_be_packed_fills_budgets_without_padding(rows: int, seed: int, budget: int, sources: int | None) -> None:
    corpus = some_lengths(rows, seed)
    sampler = Sampler(corpus, BatchingConfig(target_tokens=budget, source_tokens=sources, pack=True, pool_size=128), seed)
    for batches in (list(sampler.batches(2)), list(sampler.in_order())):
        assert sorted(np.concatenate(batches).tolist()) == list(range(rows))
        for batch in batches:
            if len(batch) > 1:
                assert corpus.targets[batch].sum() <= budget
                assert sources is None or corpus.sources[batch].sum() <= sources
    assert as_lists(sampler.batches(2, 3)) == as_lists(sampler.batches(2))[3:]


def test_resuming_gives_exactly_the_rest(seed: int) -> None:
    sampler = Sampler(some_lengths(500), BatchingConfig(target_tokens=200, pool_size=64), seed)
    whole = as_lists(sampler.batches(5))
    assert len(whole) > 40
    for start in range(len(whole) + 2):
        assert as_lists(sampler.batches(5, start)) == whole[start:]


def test_runs_are_as_long_as_the_budget_allows() -> None:
    corpus = Lengths(np.full(10, 9), np.full(10, 10))
    sizes = [len(batch) for batch in Sampler(corpus, BatchingConfig(target_tokens=30), 0).batches(0)]
    assert sorted(sizes) == [1, 3, 3, 3]
    sizes = [len(batch) for batch in Sampler(corpus, BatchingConfig(target_tokens=30, source_tokens=18), 0).batches(0)]
    assert sizes == [2] * 5


def test_epochs_and_seeds_differ_and_repeat() -> None:
    corpus = some_lengths(300)
    config = BatchingConfig(target_tokens=100)
    first = as_lists(Sampler(corpus, config, 1).batches(0))
    assert as_lists(Sampler(corpus, config, 1).batches(0)) == first
    assert as_lists(Sampler(corpus, config, 1).batches(1)) != first
    assert as_lists(Sampler(corpus, config, 2).batches(0)) != first


def test_rows_that_sit_together_change_from_epoch_to_epoch() -> None:
    corpus = Lengths(np.full(1000, 5), np.full(1000, 5))  # all lengths tie, so only the tie-break mixes
    sampler = Sampler(corpus, BatchingConfig(target_tokens=100), 1)
    companions = [{frozenset(batch.tolist()) for batch in sampler.batches(epoch)} for epoch in range(2)]
    assert not companions[0] & companions[1]


def test_the_order_is_the_same_in_another_process() -> None:
    code = (
        "import numpy as np\nfrom antiphon.data.batching import *\n"
        "class L:\n"
        "    def __len__(self): return 100\n"
        "    def lengths(self, i): return i % 7 + 1, i % 11 + 1\n"
        "print([b.tolist() for b in Sampler(L(), BatchingConfig(target_tokens=50, pool_size=32), 9).batches(4)])\n"
    )
    source = Path(__file__).parents[3] / "src"
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(source), "PYTHONHASHSEED": n}
        )
        for n in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stdout.startswith("[[86, 98, 65, 32], [39, 61, 84, 73, 95, 40], [15, 37, 59, 4,"), (
        "written down when the sampler was made: a resumed run goes on with the same order"
    )


def test_sorting_leaves_little_padding() -> None:
    corpus = some_lengths(20_000)
    batches = list(Sampler(corpus, BatchingConfig(), 0).batches(0))
    padded = sum(len(batch) * corpus.targets[batch].max() for batch in batches)
    assert corpus.targets.sum() / padded > 0.97


def test_estimates_are_near() -> None:
    corpus = some_lengths(20_000)
    for pool_size in (20_000, 2000):
        sampler = Sampler(corpus, BatchingConfig(pool_size=pool_size), 3)
        exact = sum(1 for _ in sampler.batches(0))
        assert sampler.estimate_batches() == pytest.approx(exact, rel=0.05)
    assert Sampler(some_lengths(3000), BatchingConfig(pool_size=1000), 3).estimate_batches() == sum(
        1 for _ in Sampler(some_lengths(3000), BatchingConfig(pool_size=1000), 3).batches(0)
    )


def test_order_for_evaluation_is_longest_first_and_can_be_undone() -> None:
    corpus = some_lengths(200)
    results = np.empty(200)
    longest = []
    for batch in Sampler(corpus, BatchingConfig(target_tokens=300), 0).in_order():
        results[batch] = batch * 10
        longest.append(corpus.targets[batch].max())
    assert results.tolist() == [10 * row for row in range(200)]
    assert longest == sorted(longest, reverse=True)


def test_without_shuffling_rows_keep_their_order() -> None:
    batches = list(Sampler(some_lengths(200), BatchingConfig(target_tokens=100, pool_size=50, shuffle=False), 0).batches(1))
    assert np.concatenate(batches).tolist() == list(range(200))


def test_without_targets_the_budget_counts_sources() -> None:
    corpus = Lengths(np.full(12, 10), np.zeros(12, dtype=np.int64))
    assert [len(batch) for batch in Sampler(corpus, BatchingConfig(target_tokens=30), 0).batches(0)] == [3] * 4


def test_a_billion_rows_cost_no_more_than_a_pool() -> None:
    class Billion:
        def __len__(self) -> int:
            return 10**9

        def lengths(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return indices % 50 + 1, indices % 40 + 2

    sampler = Sampler(Billion(), BatchingConfig(pool_size=4096), 0)
    batches = sampler.batches(0)
    rows = np.concatenate([next(batches) for _ in range(20)])
    assert len(set(rows.tolist())) == len(rows)
    assert rows.max() > 9e8
    assert sampler.estimate_batches() > 1_000_000


def test_weights_of_a_mixture_are_followed() -> None:
    parts = [MemoryCorpus([Example(np.zeros(3), np.zeros(4), n) for n in range(rows)]) for rows in (50, 20)]
    sampler = Sampler(MixedCorpus(parts, [1.0, 2.5]), BatchingConfig(target_tokens=40), 1)
    shown = np.bincount(np.concatenate(list(sampler.batches(0))), minlength=70)
    assert len(sampler) == 100
    assert (shown[:50] == 1).all()
    assert sorted(shown[50:].tolist()) == [2] * 10 + [3] * 10
    whole = as_lists(sampler.batches(2))
    assert as_lists(sampler.batches(2, 3)) == whole[3:]
    assert sorted(np.concatenate(list(sampler.in_order())).tolist()) == list(range(70)), "evaluation sees every row once"


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="`target_tokens`: must be `auto`, or a whole number of at least 1, but is 0"):
        validate(BatchingConfig, {"target_tokens": 0})
    with pytest.raises(ConfigError, match="`workers` must be at least 0, but is -1"):
        validate(BatchingConfig, {"workers": -1})
