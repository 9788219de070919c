"""Whoever speaks hears what `predict` says of the same sound, whatever else is served meanwhile, and until his worker dies."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import pytest

from antiphon.serving.metrics import Metrics
from antiphon.serving.pool import Pool, Served
from antiphon.serving.refused import RefusedError
from antiphon.serving.sessions import Session
from antiphon.serving.settings import ServeConfig
from antiphon.serving.worker import Card, card_of
from tests.tiny_listener import RATE, Listener, blocks_of, listener, sound, texts_of
from tests.toy_worker import Toy

SPEECH = Card("speech_recognition", ("source",), False, True, RATE, {}, streams=True)
BLOCK = np.zeros((100, 1), dtype=np.float32)


@pytest.fixture(scope="module", autouse=True)
def model() -> Iterator[None]:
    Listener.model = listener()
    yield
    del Listener.model


def run(body: Callable[[Pool], Awaitable[None]], make: Any = Toy, card: Card = SPEECH, is_open: bool = True, **settings: Any) -> None:
    async def main() -> None:
        Toy.reset(card=card, is_open=is_open)
        pool = Pool(Served("ears", ("runs/ears",)), ServeConfig(**{"wait": 0, **settings}), Metrics(), make)
        await pool.start()
        await asyncio.wait_for(body(pool), 60)

    asyncio.run(main())


async def spoken(pool: Pool, blocks: list[np.ndarray], rate: int = RATE) -> list[str]:
    """The texts that one who speaks hears."""
    session = await pool.converse(rate)
    found = [said["text"] for block in blocks if (said := await session.hear(block)) is not None]
    return [*found, (await session.end())["text"]]


@pytest.mark.parametrize("workers", [1, 2])
def test_each_hears_what_predict_says_whatever_else_is_served(workers: int) -> None:
    model, samples = Listener.model, sound()
    other = np.flip(samples).copy()
    sounds = [blocks_of(samples, 400), blocks_of(other, 555), blocks_of((other * 20000).astype(np.int16), 1111)]
    expected = [texts_of(model, blocks) for blocks in sounds]
    assert all(len(texts) > 3 for texts in expected)
    wholes = [{"audio": {"array": one, "sampling_rate": RATE}} for one in (samples, other)]
    said = [one.text for one in model.predict(wholes)]

    async def body(pool: Pool) -> None:
        asked = [asyncio.create_task(pool.ask(wholes, {})) for _ in range(3)]
        found = await asyncio.gather(*(spoken(pool, blocks) for blocks in sounds))
        assert found == expected
        assert [[one["prediction"] for one in await task] for task in asked] == [said] * 3
        assert expected[0][-1] == said[0]

    run(body, Listener, workers=workers)


def test_words_and_times_come_at_the_end() -> None:
    blocks = blocks_of(sound(rate=16000), 1600)
    expected = list(Listener.model.stream(blocks, 16000))[-1]

    async def body(pool: Pool) -> None:
        session = await pool.converse(16000)
        heard = [await session.hear(block) for block in blocks]
        assert next(set(one) for one in heard if one is not None) == {"text", "received", "decided"}
        found = await session.end()
        assert (found["text"], found["words"]) == (expected.text, expected.details["words"])
        with pytest.raises(RefusedError):
            await session.hear(blocks[0])

    run(body, Listener)


def test_a_block_that_is_no_sound_ends_its_session_and_no_other() -> None:
    blocks = blocks_of(sound(), 4000)

    async def body(pool: Pool) -> None:
        one, other = await pool.converse(RATE), await pool.converse(RATE)
        await other.hear(blocks[0])
        with pytest.raises(RefusedError, match=r"Block 1 of the stream: .*NaN"):
            await one.hear(blocks[0] * np.nan)
        for block in blocks[1:]:
            await other.hear(block)
        assert (await other.end())["text"] == texts_of(Listener.model, blocks)[-1]
        assert pool._sessions.count == 0

    run(body, Listener)


def test_what_is_older_goes_first_and_blocks_go_together() -> None:
    async def body(pool: Pool) -> None:
        first, second = await pool.converse(RATE), await pool.converse(RATE)
        Toy.gate.clear()
        tasks = [asyncio.create_task(pool.ask([{"source": "a"}], {}))]
        await asyncio.sleep(0.01)
        later: list[Any] = [pool.ask([{"source": "b"}], {}), first.hear(BLOCK), second.hear(BLOCK), pool.ask([{"source": "c"}], {})]
        for one in later:
            tasks.append(asyncio.create_task(one))
            await asyncio.sleep(0.01)
        Toy.gate.set()
        await asyncio.gather(*tasks)
        assert Toy.made[0].batches[2:] == [["a"], ["b"], [("hear", 0), ("hear", 1)], ["c"]]

    run(body, batch_size=1)


def test_a_session_does_not_wait_for_a_batch_to_fill() -> None:
    async def body(pool: Pool) -> None:
        session = await pool.converse(RATE)
        await pool.ask([{"source": "a"}, {"source": "b"}], {})  # several ask, so a batch waits for more
        asked = asyncio.create_task(pool.ask([{"source": "a"}], {}))
        await asyncio.sleep(0)
        await session.hear(BLOCK)
        assert not asked.done()
        assert Toy.made[0].batches == [[("open", 0)], ["a", "b"], [("hear", 0)]]
        asked.cancel()

    run(body, wait=900)


def test_only_so_many_may_speak() -> None:
    async def body(pool: Pool) -> None:
        sessions = [await pool.converse(RATE) for _ in range(2)]
        with pytest.raises(RefusedError, match="2 clients speak to ears already") as refused:
            await pool.converse(RATE)
        assert (refused.value.status, refused.value.retry_after) == (429, 5.0)
        sessions[0].close()
        await pool.converse(RATE)

    run(body, max_sessions=2)


def test_who_leaves_is_forgotten() -> None:
    async def body(pool: Pool) -> None:
        session = await pool.converse(RATE)
        Toy.gate.clear()
        task = asyncio.create_task(session.hear(BLOCK))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        Toy.gate.set()
        await asyncio.sleep(0.01)
        assert [kind for batch in Toy.made[0].batches for kind, _ in batch] == ["open", "hear", "close"]
        assert pool._sessions.count == 0

    run(body)


def test_a_dead_worker_ends_its_sessions_and_no_others() -> None:
    async def lost(one: Awaitable[Any]) -> None:
        with pytest.raises(RefusedError, match="The model's process has ended, and with it what was said so far") as refused:
            await one
        assert refused.value.status == 503

    async def body(pool: Pool) -> None:
        sessions = [await pool.converse(RATE) for _ in range(4)]
        alive: list[Session] = [one for one in sessions if one.worker is not sessions[0].worker]
        assert len(alive) == 2
        waiting = next(one for one in sessions[1:] if one.worker is sessions[0].worker)
        Toy.gate.clear()
        poisoned = asyncio.create_task(lost(sessions[0].hear(np.array(["poison"]))))
        await asyncio.sleep(0.01)
        behind = asyncio.create_task(lost(waiting.hear(BLOCK)))
        await asyncio.sleep(0.01)
        Toy.gate.set()
        await asyncio.gather(poisoned, behind)
        await lost(sessions[0].hear(BLOCK))
        for one in alive:
            assert (await one.end())["text"] == "end"
        new = await pool.converse(RATE)
        assert (await new.end())["text"] == "end"
        assert [worker.closed for worker in Toy.made].count(False) == 2

    run(body, workers=2)


def test_a_session_ends_where_it_began_when_the_run_is_opened_anew() -> None:
    async def body(pool: Pool) -> None:
        session = await pool.converse(RATE)
        await pool.reload()
        old, new = Toy.made
        other = await pool.converse(RATE)
        await session.hear(BLOCK)
        assert await pool.ask([{"source": "a"}], {}) == [{"prediction": "A", "score": -0.5}]
        assert (await session.end())["text"] == "end"
        await other.hear(BLOCK)
        await asyncio.sleep(0.01)
        assert [kind for batch in old.batches for kind, _ in batch] == ["open", "hear", "end", "close"]
        assert (old.closed, new.closed) == (True, False)
        assert ["a"] in new.batches

    run(body)


def test_a_model_that_needs_the_whole_is_refused_with_the_reason() -> None:
    async def body(pool: Pool) -> None:
        with pytest.raises(
            RefusedError,
            match=r"`ears` cannot transcribe speech while it is spoken\."
            r" `task\.normalization` must be `global`",
        ):
            await pool.converse(RATE)

    whole = card_of(listener(normalization="utterance"))
    assert not whole.streams
    run(body, card=whole)


def test_those_who_speak_when_the_service_closes_are_told() -> None:
    async def body(pool: Pool) -> None:
        session = await pool.converse(RATE)
        await pool.close()
        with pytest.raises(RefusedError, match="has ended"):
            await session.hear(BLOCK)
        with pytest.raises(RefusedError, match="not ready"):
            await pool.converse(RATE)

    run(body)
