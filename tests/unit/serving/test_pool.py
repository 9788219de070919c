"""Records that wait share batches; nothing is lost when a client leaves, a worker dies, or the run is opened anew."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from antiphon.errors import AntiphonError
from antiphon.serving.metrics import Metrics
from antiphon.serving.pool import LostError, Pool, Served
from antiphon.serving.refused import RefusedError
from antiphon.serving.settings import ServeConfig
from antiphon.serving.worker import Card
from tests.toy_worker import Toy

SERVED = Served("toy", ("runs/toy",))


def run(body: Callable[[Pool], Awaitable[None]], table: bool = False, **settings: Any) -> None:
    async def main() -> None:
        Toy.reset(is_table=table)
        pool = Pool(SERVED, ServeConfig(**{"wait": 0, **settings}), Metrics(), Toy)
        await pool.start()
        await asyncio.wait_for(body(pool), 60)

    asyncio.run(main())


async def asked(pool: Pool, *words: str) -> list[str]:
    return [one["prediction"] for one in await pool.ask([{"source": word} for word in words], {})]


def test_what_arrives_while_a_worker_is_busy_shares_a_batch() -> None:
    async def body(pool: Pool) -> None:
        first = asyncio.create_task(asked(pool, "a"))
        await asyncio.sleep(0.01)
        assert Toy.made[0].batches == [["a"]]
        tasks = [asyncio.create_task(asked(pool, word)) for word in "bcde"]
        await asyncio.sleep(0.01)
        Toy.gate.set()
        assert await asyncio.gather(first, *tasks) == [["A"], ["B"], ["C"], ["D"], ["E"]]
        assert Toy.made[0].batches == [["a"], ["b", "c", "d"], ["e"]]

    run(body, batch_size=3)


def test_what_arrives_at_one_time_shares_a_batch_though_a_worker_is_free() -> None:
    async def body(pool: Pool) -> None:
        Toy.gate.set()
        await asyncio.gather(*(asked(pool, word) for word in "abc"))
        assert Toy.made[0].batches == [["a", "b", "c"]]

    run(body)


def test_a_free_worker_waits_a_moment_for_more_where_several_ask() -> None:
    async def body(pool: Pool) -> None:
        Toy.gate.set()
        began = time.monotonic()
        await asked(pool, "a")
        assert time.monotonic() - began < 0.2, "a client who is alone does not wait"
        await asyncio.gather(asked(pool, "b"), asked(pool, "c"))
        first = asyncio.create_task(asked(pool, "d"))
        await asyncio.sleep(0.02)
        assert await asked(pool, "e") == ["E"]
        await first
        assert Toy.made[0].batches == [["a"], ["b", "c"], ["d", "e"]]

    run(body, wait=400)


def test_a_batch_has_so_many_elements_with_its_padding() -> None:
    async def body(pool: Pool) -> None:
        first = asyncio.create_task(asked(pool, "x"))
        await asyncio.sleep(0.01)
        words = ["aa", "bbb", "c" * 9, "dd", "e" * 40, "f"]
        tasks = [asyncio.create_task(asked(pool, word)) for word in words]
        await asyncio.sleep(0.01)
        Toy.gate.set()
        await asyncio.gather(first, *tasks)
        assert Toy.made[0].batches == [["x"], ["aa", "bbb", "dd", "f"], ["c" * 9], ["e" * 40]]

    run(body, batch_elements=12)


def test_workers_that_are_free_share() -> None:
    async def body(pool: Pool) -> None:
        Toy.gate.set()
        assert await asked(pool, *"abcdef") == list("ABCDEF")
        assert sorted(len(batch) for worker in Toy.made for batch in worker.batches) == [3, 3]

    run(body, workers=2)


def test_rows_of_a_table_stay_together() -> None:
    async def body(pool: Pool) -> None:
        Toy.gate.set()
        await asyncio.gather(asked(pool, *"abc"), asked(pool, *"de"))
        assert [word for batch in Toy.made[0].batches for word in batch] == list("abcde")

    run(body, table=True, batch_size=2)


def test_nobody_computes_for_a_client_who_has_left() -> None:
    async def body(pool: Pool) -> None:
        busy = asyncio.create_task(asked(pool, "a"))
        await asyncio.sleep(0.01)
        left, other = (asyncio.create_task(asked(pool, word)) for word in "bc")
        await asyncio.sleep(0.01)
        left.cancel()
        await asyncio.sleep(0)
        Toy.gate.set()
        assert await busy == ["A"]
        assert await other == ["C"]
        assert Toy.made[0].batches == [["a"], ["c"]]

    run(body)


def test_too_many_that_wait_are_refused() -> None:
    async def body(pool: Pool) -> None:
        tasks = [asyncio.create_task(asked(pool, word)) for word in "abc"]
        await asyncio.sleep(0.01)
        with pytest.raises(RefusedError, match="2 records wait for toy already") as refused:
            await asked(pool, "d")
        assert refused.value.status == 429
        assert refused.value.retry_after is not None
        Toy.gate.set()
        assert await asyncio.gather(*tasks) == [["A"], ["B"], ["C"]]

    run(body, queue=2, batch_size=1)


def test_a_refusal_says_how_long_what_waits_will_take() -> None:
    async def body(pool: Pool) -> None:
        pool._metrics.batch("toy", 1, 4.0)
        tasks = [asyncio.create_task(asked(pool, "a"))]
        await asyncio.sleep(0.01)
        tasks += [asyncio.create_task(asked(pool, word)) for word in "bcdefg"]
        await asyncio.sleep(0.01)
        with pytest.raises(RefusedError, match="6 records wait for toy already") as refused:
            await asked(pool, "h")
        assert (refused.value.status, refused.value.retry_after) == (429, 12), "three batches of 4 seconds"
        Toy.gate.set()
        assert len(await asyncio.gather(*tasks)) == 7

    run(body, batch_size=2, queue=6)


def test_what_takes_too_long_is_given_up() -> None:
    async def body(pool: Pool) -> None:
        with pytest.raises(RefusedError, match=r"no answer within 0\.05 seconds") as refused:
            await asked(pool, "a")
        assert refused.value.status == 503
        Toy.gate.set()
        assert await asked(pool, "b") == ["B"]

    run(body, timeout=0.05)


def test_a_worker_that_dies_is_replaced_and_harms_only_its_killer() -> None:
    async def body(pool: Pool) -> None:
        first = asyncio.create_task(asked(pool, "a"))
        await asyncio.sleep(0.01)
        others = [asyncio.create_task(asked(pool, word)) for word in ("b", "poison", "c")]
        await asyncio.sleep(0.01)
        Toy.gate.set()
        found = await asyncio.gather(first, *others, return_exceptions=True)
        assert [found[0], found[1], found[3]] == [["A"], ["B"], ["C"]]
        assert "has ended over this record, twice" in str(found[2])
        assert [worker.closed for worker in Toy.made] == [True, True, False]
        assert await asked(pool, "d") == ["D"]

    run(body)


def test_a_run_is_opened_anew_without_a_lost_request() -> None:
    async def body(pool: Pool) -> None:
        tasks = [asyncio.create_task(asked(pool, "a"))]
        await asyncio.sleep(0.01)
        tasks.append(asyncio.create_task(asked(pool, "b")))
        await asyncio.sleep(0.01)
        await pool.reload()
        Toy.gate.set()
        assert await asyncio.gather(*tasks) == [["A"], ["B"]]
        old, new = Toy.made
        assert old.batches == [["a"]]
        assert new.batches == [["b"]]
        assert (old.closed, new.closed) == (True, False)

    run(body)


def test_a_model_that_cannot_be_loaded_is_an_error() -> None:
    class Broken(Toy):
        async def card(self) -> Card:
            raise LostError

    async def main() -> None:
        Toy.reset()
        with pytest.raises(AntiphonError, match="ended while it loaded its model"):
            await Pool(SERVED, ServeConfig(), Metrics(), Broken).start()

    asyncio.run(main())
