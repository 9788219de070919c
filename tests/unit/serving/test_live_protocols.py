"""Speech over a WebSocket and over Wyoming, by real clients, from a service with tiny models that really hear."""

import asyncio
import json
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import uvicorn
import websockets

from antiphon.protocols import wyoming as spoken_wyoming
from antiphon.serving.app import application
from antiphon.serving.pool import Served
from antiphon.serving.settings import ServeConfig
from antiphon.serving.worker import Card, card_of
from tests.tiny_listener import RATE, Listener, blocks_of, listener, sound, texts_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # its client imports a module of Python that is to go
    from wyoming.asr import Transcribe, Transcript
    from wyoming.audio import AudioChunk, AudioStart, AudioStop
    from wyoming.client import AsyncTcpClient
    from wyoming.error import Error
    from wyoming.info import Describe, Info

BLOCKS = [(20000 * block).astype("<i2") for block in blocks_of(sound(), 800)]
START = {"type": "start", "model": "ears", "sample_rate": RATE}


class Ears(Listener):
    """`ears` can follow, `whole` needs the whole recording; `words` is one that says the same, but does not hear."""

    whole: Any

    def __init__(self, served: Served, threads: int):
        super().__init__(served, threads)
        self.name = served.name
        if served.name == "whole":
            self.model = Ears.whole

    async def card(self) -> Card:
        return card_of(self.model)


@dataclass
class Place:
    """Where a service is reached, and its loop."""

    address: str
    port: int
    service: Any
    loop: asyncio.AbstractEventLoop

    def set(self, **settings: Any) -> None:
        for name, value in settings.items():
            object.__setattr__(self.service.settings, name, value)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """One service for all tests, in a thread."""
    Listener.model, Ears.whole = listener(), listener(normalization="utterance", seed=4)
    app = application([Served("ears", ("x",)), Served("whole", ("y",))], ServeConfig(wait=0), make=Ears)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off"))
    started, found = threading.Event(), list[Place]()

    async def main() -> None:
        service = app.state.service
        await service.start()
        tcp = await spoken_wyoming.plugin.listen(service, "127.0.0.1", 0)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        found.append(Place(f"ws://127.0.0.1:{port}/v1/audio/live", tcp.sockets[0].getsockname()[1], service, loop))
        started.set()
        await serving
        tcp.close()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert started.wait(60)
    yield found[0]
    server.should_exit = True
    thread.join(60)
    del Listener.model, Ears.whole


@pytest.fixture(autouse=True)
def usual(place: Place) -> Iterator[None]:
    before = {name: getattr(place.service.settings, name) for name in ("api_key", "idle", "max_seconds", "max_sessions")}
    yield
    place.set(**before)
    place.loop.call_soon_threadsafe(place.service.closing.clear)


def run(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 60))  # type: ignore[arg-type]


async def told(socket: Any) -> list[dict[str, Any]]:
    """All that is told until the end."""
    found = []
    with suppress(websockets.ConnectionClosedError):  # which tells that an error was
        async for message in socket:
            found.append(json.loads(message))
    return found


def test_partial_texts_are_those_of_predict_and_words_have_times(place: Place) -> None:
    expected = texts_of(Listener.model, BLOCKS)
    last = list(Listener.model.stream(BLOCKS, RATE))[-1]

    async def body() -> None:
        async with websockets.connect(place.address) as socket:
            await socket.send(json.dumps(START))
            for block in BLOCKS:
                await socket.send(block.tobytes())
            await socket.send('{"type": "end"}')
            ready, *partial, final = await told(socket)
        assert ready == {"type": "ready", "model": "ears"}
        assert {one["type"] for one in partial} == {"partial"}
        assert [one["text"] for one in (*partial, final)] == expected
        assert (final["type"], final["words"], final["seconds"], final["ended_by"]) == ("final", last.details["words"], 3.0, "client")
        assert socket.close_code == 1000

    run(body)


def test_floats_of_two_channels_at_another_rate_are_heard(place: Place) -> None:
    blocks = [np.stack([block, block], axis=1) for block in blocks_of(sound(rate=16000), 4000)]

    async def body() -> None:
        async with websockets.connect(place.address) as socket:
            await socket.send(json.dumps({**START, "sample_rate": 16000, "encoding": "pcm_f32le", "channels": 2}))
            for block in blocks:
                await socket.send(block.astype("<f4").tobytes())
            await socket.send('{"type": "end"}')
            *_, final = await told(socket)
        assert (final["text"], final["seconds"]) == (texts_of(Listener.model, blocks, 16000)[-1], 3.0)

    run(body)


def test_a_session_that_is_closed_or_idle_or_full_still_says_what_it_heard(place: Place) -> None:
    async def ended(by: str, code: int) -> None:
        async with websockets.connect(place.address) as socket:
            await socket.send(json.dumps(START))
            assert json.loads(await socket.recv())["type"] == "ready"
            for block in BLOCKS[:10]:
                await socket.send(block.tobytes())
            if by == "shutdown":
                assert json.loads(await socket.recv())["type"] == "partial"
                await asyncio.sleep(0.2)
                place.loop.call_soon_threadsafe(place.service.closing.set)
            *_, final = await told(socket)
            assert (final["type"], final["ended_by"], socket.close_code) == ("final", by, code)
            assert final["text"]

    async def body() -> None:
        place.set(max_seconds=1.0)
        await ended("limit", 1000)
        place.set(max_seconds=100.0, idle=0.5)
        await ended("idle", 1000)
        place.set(idle=30.0)
        await ended("shutdown", 1001)

    run(body)


@pytest.mark.parametrize(
    ("start", "block", "status", "message"),
    [
        ({"type": "begin"}, b"", 422, "The first message must be JSON"),
        ({**START, "model": "whole"}, b"", 422, "`whole` cannot transcribe speech while it is spoken. `task.normalization` must be"),
        ({**START, "model": "eras"}, b"", 404, "There is no model `eras`"),
        ({**START, "sample_rate": "8k"}, b"", 422, "`sample_rate` must be a whole number from 1,000 to 384,000, but is '8k'."),
        ({**START, "encoding": "opus"}, b"", 422, "`encoding` must be one of pcm_s16le, pcm_s32le, pcm_u8, pcm_f32le, but is 'opus'."),
        ({**START, "channels": 0}, b"", 422, "`channels` must be a whole number from 1 to 32"),
        (START, b"123", 422, "A block must have whole samples, of 2 bytes, but has 3 bytes."),
        (START, bytes(2**20 + 2), 413, "A block may have 1,048,576 bytes"),
        (START, "{}", 422, "Further messages must be blocks of samples"),
        ({**START, "encoding": "pcm_f32le"}, np.full(100, np.nan, "<f4").tobytes(), 422, "Block 1 of the stream:"),
    ],
)
def test_what_cannot_be_heard_is_one_sentence(place: Place, start: Any, block: Any, status: int, message: str) -> None:
    async def body() -> None:
        async with websockets.connect(place.address, max_size=None) as socket:
            await socket.send(json.dumps(start))
            with suppress(websockets.ConnectionClosed):  # the start may have been refused already
                await socket.send(block)
            *_, error = await told(socket)
            assert (error["type"], error["status"]) == ("error", status)
            assert error["error"].startswith(message)
            assert socket.close_code in (1008, 1009)

    run(body)


def test_a_key_is_a_header_a_subprotocol_or_in_the_first_message(place: Place) -> None:
    async def said(start: dict[str, Any], **how: Any) -> tuple[str, str | None]:
        async with websockets.connect(place.address, **how) as socket:
            with suppress(websockets.ConnectionClosed):  # what the head of the request says may be refused already
                await socket.send(json.dumps(start))
            return json.loads(await socket.recv())["type"], socket.subprotocol

    async def body() -> None:
        place.set(api_key="geheim")
        assert await said(START, additional_headers={"Authorization": "Bearer geheim"}) == ("ready", None)
        assert await said(START, subprotocols=["antiphon", "key.geheim"]) == ("ready", "antiphon")
        assert await said({**START, "key": "geheim"}) == ("ready", None)
        assert await said(START) == ("error", None)
        assert await said({**START, "key": "geheim"}, additional_headers={"Authorization": "Bearer falsch"}) == ("error", None)
        place.set(api_key=None)
        assert await said(START, origin="http://elsewhere.example") == ("error", None)
        assert await said(START, origin=place.address.replace("ws", "http").removesuffix("/v1/audio/live")) == ("ready", None)

    run(body)


def test_what_one_may_not_open_is_refused_before_it_is_open(place: Place) -> None:
    async def body() -> None:
        place.set(api_key="geheim")
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(place.address.replace("live", "other"))
        assert refused.value.response.status_code == 403

    run(body)


async def recognized(client: AsyncTcpClient, blocks: list[Any], **asked: Any) -> list[Any]:
    """The events of one utterance."""
    await client.write_event(Transcribe(**asked).event())
    await client.write_event(AudioStart(RATE, 2, 1).event())
    for block in blocks:
        await client.write_event(AudioChunk(RATE, 2, 1, block.tobytes()).event())
    await client.write_event(AudioStop().event())
    found = []
    while True:
        event = await asyncio.wait_for(client.read_event(), 30)
        assert event is not None
        found.append(event)
        if event.type in ("error", "transcript-stop") or (event.type == "transcript" and len(found) == 1):
            return found


def test_wyoming_tells_what_it_hears_while_it_is_spoken(place: Place) -> None:
    expected = texts_of(Listener.model, BLOCKS)[-1]

    async def body() -> None:
        async with AsyncTcpClient("127.0.0.1", place.port) as client:
            await client.write_event(Describe().event())
            info = Info.from_event(await client.read_event())  # type: ignore[arg-type]
            (program,) = info.asr
            assert [(model.name, model.installed) for model in program.models] == [("ears", True), ("whole", True)]
            assert {"en", "de"} < set(program.models[0].languages)
            assert (program.supports_transcript_streaming, program.requires_external_vad) == (True, True)
            for _ in range(2):  # one utterance after another
                start, *chunks, transcript, stop = await recognized(client, BLOCKS, language="de")
                assert (start.type, stop.type) == ("transcript-start", "transcript-stop")
                assert len(chunks) > 2
                assert "".join(chunk.data["text"] for chunk in chunks) == Transcript.from_event(transcript).text == expected

    run(body)


def test_wyoming_gives_the_whole_to_a_model_that_needs_it(place: Place) -> None:
    samples = np.concatenate(BLOCKS)
    expected = Ears.whole.predict({"audio": samples, "sample_rate": RATE}).text
    assert len(expected) > 3

    async def body() -> None:
        async with AsyncTcpClient("127.0.0.1", place.port) as client:
            (found,) = await recognized(client, BLOCKS, name="whole", transcript_names=["%%%"])  # which no letters write
            assert Transcript.from_event(found).text == expected

    run(body)


def test_wyoming_refuses_in_a_sentence_and_closes(place: Place) -> None:
    async def body() -> None:
        async with AsyncTcpClient("127.0.0.1", place.port) as client:
            (error,) = await recognized(client, BLOCKS[:1], name="eras")
            assert Error.from_event(error).text.startswith("There is no model `eras`")
            assert Error.from_event(error).code == "404"
            assert await client.read_event() is None

    run(body)


def test_wyoming_survives_what_is_no_event(place: Place) -> None:
    async def body() -> None:
        for content, message in (
            (b"hello\n", "An event must be a line of JSON"),
            (b"[]\n", "An event must be a JSON object"),
            (b" " * 70000, "A line may have 65,536 bytes"),
            (b'{"type": "audio-chunk", "payload_length": 99999999}\n', "`payload_length` must be at most"),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
            writer.write(content)
            head = json.loads(await reader.readline())
            assert head["type"] == "error"
            assert json.loads(await reader.readexactly(head["data_length"]))["text"].startswith(message)
            assert await reader.read() == b""
            writer.close()
        async with AsyncTcpClient("127.0.0.1", place.port) as client:
            names = ["ö" * 100] * 400  # 70,000 characters of data
            await client.write_event(Transcribe(name="ears", transcript_names=names).event())
            await client.write_event(AudioStart(RATE, 2, 1).event())
            await client.write_event(AudioStop().event())
            event = await client.read_event()
            assert event is not None
            assert Transcript.from_event(event).text == ""

    run(body)
