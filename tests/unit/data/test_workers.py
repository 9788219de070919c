"""Worker processes: the same batches as a thread prepares; whatever becomes of a worker, nothing is lost and nothing hangs."""

import os
import sys
import time
import types
from collections.abc import Iterator

import numpy as np
import pytest

from antiphon.contracts.sequences import Batch, Example
from antiphon.data import loader as loader_module
from antiphon.data.loader import Loader
from antiphon.data.preparation import Preparation
from antiphon.data.workers import WorkerError, Workers
from antiphon.errors import DataError
from tests.unit.data.seeds import MAKE, Seeds, contents, loader, sampler

INSTEAD = "so batches are prepared by a thread of the trainer from now on: the same, but slower."
Content = list[dict[int, int]]


def with_workers(corpus: Seeds, said: list[str], workers: int | None = 1, rank: int = 0, world: int = 1) -> Loader:
    return Loader(corpus, sampler(corpus), MAKE, seed=5, sample=True, rank=rank, world=world, prefetch=3, workers=workers, say=said.append)


def seen(batches: Iterator[Batch | None]) -> Content:
    return [contents(batch) for batch in batches]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_every_so_manieth_batch_from_anywhere() -> None:
    corpus = Seeds()
    preparation = Preparation(corpus=corpus, sampler=sampler(corpus), collate=MAKE, seed=5, sample=True)
    whole = seen(preparation.batches(2))
    for start in (0, 1, 4, len(whole), len(whole) + 3):
        for every in (1, 2, 3):
            for worker in range(every):
                assert seen(preparation.batches(2, start + worker, every)) == whole[start + worker :: every]


def test_the_same_batches_epoch_after_epoch_from_any_start() -> None:
    said: list[str] = []
    ours = with_workers(Seeds(), said, workers=2, rank=1, world=2)
    alone = loader(Seeds(), rank=1, world=2)
    assert ours.wait_for_workers()
    assert ours._workers is not None
    pids = [process.pid for process in ours._workers._processes]
    assert all(os.getsid(pid) != os.getsid(0) for pid in pids), "Ctrl-C in the terminal must not reach them"
    for epoch, start in ((0, 0), (1, 0), (2, 4), (2, 500), (3, 1)):
        for batch, expected in zip(ours.batches(epoch, start), alone.batches(epoch, start), strict=True):
            assert contents(batch) == contents(expected)
            if batch is not None and expected is not None:
                assert batch.source.values.dtype == expected.source.values.dtype
                assert batch.target is not None
                assert expected.target is not None
                assert batch.target.values.tolist() == expected.target.values.tolist()
                assert batch.target.lengths.tolist() == expected.target.lengths.tolist()
        assert ours._workers is not None
        assert [process.pid for process in ours._workers._processes] == pids, "workers stay from epoch to epoch"
    batches = ours.batches(4)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert not any(map(is_running, pids)), "closing the iterator ends the workers"
    assert said == []


def test_until_the_workers_have_started_the_thread_prepares() -> None:
    said: list[str] = []
    ours = with_workers(Seeds(), said)
    assert seen(ours.batches(0)) == seen(loader(Seeds()).batches(0)), "an epoch that is over before a worker has started"
    assert ours._workers is not None
    assert ours._workers._told == 0
    ours.close()
    assert said == []


def test_after_a_kill_the_thread_goes_on() -> None:
    said: list[str] = []
    corpus = Seeds(deadly=7)
    ours = with_workers(corpus, said)
    assert ours.wait_for_workers()
    assert seen(ours.batches(0)) == seen(loader(Seeds()).batches(0))
    assert said == [f"A worker process has ended (killed by SIGKILL), {INSTEAD}"]
    assert seen(ours.batches(1)) == seen(loader(Seeds()).batches(1))
    assert not ours.wait_for_workers()
    assert len(said) == 1


def test_errors_of_the_data_are_raised_in_their_turn() -> None:
    said: list[str] = []
    corpus = Seeds()
    corpus.broken = [batch.tolist() for batch in sampler(corpus).batches(0)][5][0]
    ours = with_workers(corpus, said)
    assert ours.wait_for_workers()
    assert ours._workers is not None
    process = ours._workers._processes[0]
    batches = ours.batches(0)
    for _ in range(5):
        next(batches)
    with pytest.raises(DataError, match=f"^Row {corpus.broken} is broken\\.$"):
        next(batches)
    assert said == []
    assert process.returncode is not None


class Unsendable(Seeds):
    """A corpus that no other process can have."""

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("cannot pickle a corpus in memory")


def test_what_cannot_be_sent_is_prepared_by_the_thread() -> None:
    said: list[str] = []
    ours = with_workers(Unsendable(), said)
    assert seen(ours.batches(0)) == seen(loader(Seeds()).batches(0))
    assert said == [f"A worker process cannot be told what to prepare (TypeError: cannot pickle a corpus in memory), {INSTEAD}"]


def test_a_task_that_a_worker_cannot_import_is_left_to_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a class that was written in a notebook."""
    monkeypatch.setitem(sys.modules, "nowhere", types.ModuleType("nowhere"))
    local = type("Local", (Seeds,), {"__module__": "nowhere"})
    monkeypatch.setattr(sys.modules["nowhere"], "Local", local, raising=False)
    said: list[str] = []
    ours = with_workers(local(), said)
    assert ours.wait_for_workers()
    assert seen(ours.batches(0)) == seen(loader(Seeds()).batches(0))
    assert len(said) == 1
    assert "has failed (ModuleNotFoundError: No module named 'nowhere')" in said[0]


def test_one_stream_at_a_time_and_the_end_of_a_trainer() -> None:
    said: list[str] = []
    ours = with_workers(Seeds(), said)
    assert ours.wait_for_workers()
    workers = ours._workers
    assert workers is not None
    first, second = ours.batches(0), ours.batches(1)
    assert contents(next(first)) == contents(next(loader(Seeds()).batches(0)))
    assert seen(second) == seen(loader(Seeds()).batches(1)), "by the thread: the workers are the other's"
    assert seen(first) == seen(loader(Seeds()).batches(0))[1:]
    assert said == []
    workers._connections[0].close()
    assert workers._processes[0].wait(60) == 0, "the closed pipe is all that a worker notices of a trainer that was killed"
    ours.close()


class Slow(Seeds):
    """A corpus that lets the consumer wait."""

    def example(self, index: int, seed: int | None = None) -> Example:
        time.sleep(0.001)
        return super().example(index, seed)


@pytest.mark.parametrize(("sample", "cores", "seconds", "starts"), [(True, 2, 0.01, 1), (True, 2, 9, 0), (True, 1, 0, 0), (False, 2, 0, 0)])
def test_left_to_choose_workers_start_once_batches_were_waited_for(
    monkeypatch: pytest.MonkeyPatch, sample: bool, cores: int, seconds: float, starts: int
) -> None:
    def refuse(preparation: Preparation, count: int) -> Workers:
        assert count == 2
        raise WorkerError("cannot be started: this is a test")

    monkeypatch.setattr(loader_module, "Workers", refuse)
    monkeypatch.setattr(loader_module, "_WAITED_SECONDS", seconds)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    said: list[str] = []
    corpus = Slow()
    ours = Loader(corpus, sampler(corpus), MAKE, seed=5, sample=sample, workers=None, say=said.append)
    assert len(seen(ours.batches(0))) == len(list(sampler(corpus).batches(0)))
    assert len(said) == starts


def test_batches_without_targets_and_no_batch_at_all_travel() -> None:
    from antiphon.data.workers import _packed, _unpacked

    batch = MAKE([Example(np.arange(4), None, 7), Example(np.arange(2), None, 8)])
    again = _unpacked(_packed(batch))
    assert again is not None
    assert again.source.values.tolist() == batch.source.values.tolist()
    assert again.target is None
    assert again.records == (7, 8)
    assert _unpacked(_packed(None)) is None
