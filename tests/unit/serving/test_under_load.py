"""A service behind real sockets, with workers in processes: nothing that was accepted is lost, and nobody notices what others do wrong."""

import asyncio
import contextlib
import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from tests.unit.serving.behind_sockets import WAIT, Reader, Service, Writer, serving


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """One that all tests share who leave it as it was."""
    with serving(0.01, queue=5000, batch_size=64) as one:
        yield one


def request(word: str, path: str = "/v1/predict") -> bytes:
    body = json.dumps({"inputs": [word], "brief": True}).encode()
    return f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def answer(reader: Reader) -> tuple[int, Any]:
    """Status and JSON of an answer, also of one that comes in chunks."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = re.search(r"content-length: (\d+)", head)
    if length:
        body = await reader.readexactly(int(length[1]))
    else:
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
    return int(head.split()[1]), json.loads(body)


async def asked(service: Service, word: str) -> tuple[int, Any]:
    """Ask over a connection of one's own; status 0 when it ends without an answer."""
    try:
        reader, writer = await service.connect()
    except OSError:
        return 0, None
    with contextlib.closing(writer):
        try:
            writer.write(request(word))
            return await answer(reader)
        except (OSError, EOFError):
            return 0, None


def said(found: tuple[int, Any]) -> str | None:
    return found[1]["predictions"][0]["prediction"] if found[0] == 200 else None


def run(body: Awaitable[None]) -> None:
    async def main() -> None:
        async with asyncio.timeout(WAIT):
            await body

    asyncio.run(main())


async def accepted(service: Service, count: int) -> list["asyncio.Task[tuple[int, Any]]"]:
    """So many requests that the service has read, and has not answered all of."""
    before, seen = -1, -1
    tasks: list[asyncio.Task[tuple[int, Any]]] = []
    while seen < before + count:
        await asyncio.sleep(0.02)
        reader, writer = await service.connect()
        with contextlib.closing(writer):
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
            text = (await reader.read()).decode()
        seen = sum(
            int(float(one)) for one in re.findall(r"^antiphon_requests_(?:in_progress|total\{route=\"/v1/[^}]*\}) (\S+)", text, re.M)
        )
        if not tasks:
            before = seen
            tasks = [asyncio.create_task(asked(service, f"word{number}")) for number in range(count)]
    assert not all(task.done() for task in tasks)
    return tasks


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_sigterm_loses_nothing_that_was_accepted(count: int) -> None:
    async def body() -> None:
        tasks = await accepted(service, count)
        await asyncio.gather(*tasks[:1])
        service.process.send_signal(signal.SIGTERM)
        found = await asyncio.gather(*tasks)
        wrong = Counter(one[0] for one, number in zip(found, range(count), strict=True) if said(one) != f"WORD{number}")
        assert not wrong
        assert service.process.wait(WAIT) in (0, 143, -signal.SIGTERM)
        assert (await asked(service, "late"))[0] == 0, "the door is closed"

    with serving(0.1, queue=2000, batch_size=16) as service:
        run(body())


def test_sighup_loses_nothing(service: Service) -> None:
    async def body() -> None:
        old = service.workers()
        tasks = await accepted(service, 50)
        service.process.send_signal(signal.SIGHUP)
        while set(service.workers()) & set(old):
            await asyncio.sleep(0.02)
            tasks.append(asyncio.create_task(asked(service, f"word{len(tasks)}")))
        found = await asyncio.gather(*tasks)
        assert [said(one) for one in found] == [f"WORD{number}" for number in range(len(found))]

    run(body())


def test_a_killed_worker_is_replaced_and_others_do_not_notice(service: Service) -> None:
    async def body() -> None:
        old = service.workers()
        tasks = await accepted(service, 50)
        os.kill(old[0], signal.SIGKILL)
        killer = asyncio.create_task(asked(service, "poison"))
        assert [said(one) for one in await asyncio.gather(*tasks)] == [f"WORD{number}" for number in range(50)]
        status, told = await killer
        assert status in (422, 200), "200 when it took so long that blanks were sent"
        assert told["message"] == "The model's process has ended over this record, twice."
        assert said(await asked(service, "after")) == "AFTER"
        assert len(service.workers()) == 1
        assert not set(service.workers()) & set(old)

    run(body())


async def slow_header(reader: Reader, writer: Writer) -> None:
    for byte in request("slow")[:30]:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.01)


async def slow_body(reader: Reader, writer: Writer) -> None:
    whole = request("slow")
    writer.write(whole[:-10])
    for byte in whole[-10:]:
        await asyncio.sleep(0.02)
        writer.write(bytes([byte]))
    assert said(await answer(reader)) == "SLOW"


async def half_a_request(reader: Reader, writer: Writer) -> None:
    writer.write(request("half")[:-5])
    await writer.drain()


async def no_request(reader: Reader, writer: Writer) -> None:
    writer.write(b"\x16\x03\x01 hello\r\n\r\n")
    assert b" 400 " in await reader.read()


async def leaves_at_once(reader: Reader, writer: Writer) -> None:
    writer.write(request("gone"))
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.transport.abort()


async def reads_nothing(reader: Reader, writer: Writer) -> None:
    for number in range(100):
        writer.write(request(f"unread{number}"))
    await asyncio.sleep(0.3)


@pytest.mark.parametrize("manners", [slow_header, slow_body, half_a_request, no_request, leaves_at_once, reads_nothing])
def test_bad_manners_harm_nobody_else(service: Service, manners: Callable[[Reader, Writer], Awaitable[None]]) -> None:
    async def rude() -> None:
        reader, writer = await service.connect()
        with contextlib.closing(writer):
            await manners(reader, writer)

    async def polite() -> AsyncIterator[str | None]:
        for number in range(5):
            yield said(await asked(service, f"polite{number}"))

    async def body() -> None:
        others = [asyncio.create_task(rude()) for _ in range(10)]
        assert [one async for one in polite()] == [f"POLITE{number}" for number in range(5)]
        await asyncio.gather(*others)
        assert said(await asked(service, "after")) == "AFTER"

    run(body())


@pytest.mark.slow
def test_ten_times_too_much_is_refused_in_time_and_leaves_nothing_behind() -> None:
    """5 batches of 4 a second are 20 words a second; 60 clients who come back at once after a refusal ask for many more."""

    async def one_client(until: float, found: list[tuple[int, float]]) -> None:
        while time.monotonic() < until:
            began = time.monotonic()
            found.append(((await asked(service, "a"))[0], time.monotonic() - began))
            await asyncio.sleep(0.2)

    async def body() -> None:
        before = service.megabytes()
        for _ in range(2):
            found: list[tuple[int, float]] = []
            until = time.monotonic() + 8
            await asyncio.gather(*(one_client(until, found) for _ in range(60)))
            counted = Counter(status for status, _ in found)
            assert set(counted) == {200, 429}, counted
            assert sum(counted.values()) > 5 * counted[200]
            assert max(seconds for _, seconds in found) < 4
        assert service.megabytes() < before + 30
        began = time.monotonic()
        assert said(await asked(service, "after")) == "AFTER"
        assert time.monotonic() - began < 1

    with serving(0.2, queue=8, batch_size=4, timeout=3.0) as service:
        run(body())
