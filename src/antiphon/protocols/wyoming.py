"""The protocol of Wyoming (github.com/OHF-Voice/wyoming), with which Home Assistant and its satellites use speech recognition.

An event is a line of JSON, then so many bytes of JSON (`data_length`), then so many bytes of sound (`payload_length`). A client sends
`transcribe`, `audio-start`, blocks as `audio-chunk`, and `audio-stop`; it hears `transcript`, and before it what is said meanwhile as
`transcript-chunk`, where the model can follow. There are no keys: whoever reaches the port may speak.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, final

from antiphon.contracts.protocol import ProtocolPlugin
from antiphon.serving.hearing import languages_of, listener
from antiphon.serving.languages import codes
from antiphon.serving.refused import RefusedError
from antiphon.serving.service import Service
from antiphon.serving.speaking import MOST_BYTES, Speaker, next_word
from antiphon.store.json_text import json_text
from antiphon.version import __version__

_LINE = 2**16
_PATIENCE = 2.0  # seconds
_WIDTHS = {1: "pcm_u8", 2: "pcm_s16le", 4: "pcm_s32le"}
_ATTRIBUTION = {"name": "Antiphon", "url": ""}


@dataclass(frozen=True)
class _Event:
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
    payload: bytes = b""


async def listen(service: Service, host: str, port: int) -> asyncio.Server:
    """Serve Wyoming clients at an address."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with service.talking():
                await _Client(service, reader, writer).talk()
        except (OSError, asyncio.IncompleteReadError):
            pass  # it has left
        finally:
            writer.close()

    return await asyncio.start_server(talk, host, port, limit=_LINE)


@final
class _Client:
    """One connection."""

    def __init__(self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._service, self._reader, self._writer = service, reader, writer
        self._asked: Mapping[str, Any] = {}
        self._speaker: Speaker | None = None
        self._told = ""

    async def talk(self) -> None:
        """Answer events until the client disconnects, or the service closes."""
        try:
            while True:
                event, why = await next_word(self._service, self._read())
                if event is None:
                    if self._speaker is not None and why:  # it still listens, so what was said is not lost
                        await self._end()
                    return
                await self._take(event)
        except RefusedError as error:
            await self._send("error", {"text": str(error), "code": str(error.status)})
            await self._leave()
        finally:
            if self._speaker is not None:
                self._speaker.close()

    async def _leave(self) -> None:
        """Send no more, but keep reading for a moment: a client that is still sending would find the connection broken before it reads the
        error."""
        self._writer.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while await self._reader.read(_LINE):
                    pass

    async def _take(self, event: _Event) -> None:
        if event.kind == "describe":
            await self._send("info", _info(self._service))
        elif event.kind == "transcribe":
            self._asked = event.data
        elif event.kind == "audio-start":
            await self._begin(event.data)
        elif event.kind == "audio-chunk":
            if self._speaker is None:
                await self._begin(event.data)
            await self._hear(event.payload)
        elif event.kind == "audio-stop" and self._speaker is not None:
            await self._end()

    async def _begin(self, data: Mapping[str, Any]) -> None:
        """Start an utterance. Raises RefusedError for unsupported audio."""
        name, language = self._asked.get("name"), self._asked.get("language")
        pool = listener(self._service, str(name) if name else None, (str(language),) if language else ())
        width = data.get("width", 2)
        if width not in _WIDTHS:
            raise RefusedError(422, f"`width` must be 1, 2 or 4 bytes, but is {width!r:.40}.")
        self._speaker, self._told = Speaker(self._service, pool, data.get("rate", 16000), _WIDTHS[width], data.get("channels", 1)), ""
        await self._speaker.open(must_stream=False)

    async def _hear(self, payload: bytes) -> None:
        assert self._speaker is not None, "begun before"
        if self._speaker.is_full:
            most = self._service.settings.max_seconds
            raise RefusedError(413, f"A recording may last {most:g} seconds, but this one is longer.")
        found = await self._speaker.hear(payload)
        if found is not None:
            await self._tell(found["text"])

    async def _tell(self, text: str) -> None:
        """Send the new part of a text."""
        if text.startswith(self._told) and text != self._told:
            if not self._told:
                await self._send("transcript-start", {"language": self._asked.get("language")})
            await self._send("transcript-chunk", {"text": text[len(self._told) :]})
            self._told = text

    async def _end(self) -> None:
        assert self._speaker is not None, "begun before"
        speaker, self._speaker = self._speaker, None
        try:
            said = await speaker.end([*_phrases(self._asked, "transcript_names"), *_phrases(self._asked, "transcript_terms")])
        finally:
            speaker.close()
        text = said["text"]
        streams = bool(self._told)
        if streams:
            await self._tell(text)
        heard = languages_of(speaker.pool)[0] or self._asked.get("language")
        await self._send("transcript", {"text": text, **({} if heard is None else {"language": heard})})
        if streams:
            await self._send("transcript-stop", {})

    async def _read(self) -> _Event | None:
        """The next event; None at the end. Raises RefusedError for an invalid one."""
        try:
            line = await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError as error:
            raise RefusedError(413, f"A line may have {_LINE:,} bytes, but this one has more.") from error
        head = _object(line)
        data = dict(head["data"]) if isinstance(head.get("data"), dict) else {}
        length, payload = _length(head, "data_length"), _length(head, "payload_length")
        if length:
            data |= _object(await self._reader.readexactly(length))
        return _Event(str(head.get("type")), data, await self._reader.readexactly(payload) if payload else b"")

    async def _send(self, kind: str, data: Mapping[str, Any]) -> None:
        """Send an event with its data apart from the header: clients close the connection at a line over 64 KiB."""
        content = json_text(data, ascii_only=True).encode("ascii")
        head = {"type": kind, "version": __version__, "data_length": len(content)}
        self._writer.write(json_text(head, ascii_only=True).encode("ascii") + b"\n" + content)
        await self._writer.drain()


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "An event must be a line of JSON, but is not.") from error
    if not isinstance(found, dict):
        raise RefusedError(400, "An event must be a JSON object, but is not.")
    return found


def _length(head: Mapping[str, Any], name: str) -> int:
    value = head.get(name) or 0
    if not isinstance(value, int) or not 0 <= value <= MOST_BYTES:
        raise RefusedError(413, f"`{name}` must be at most {MOST_BYTES:,}, but is {value!r:.40}.")
    return value


def _phrases(data: Mapping[str, Any], name: str) -> Sequence[str]:
    value = data.get(name)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else ()


def _info(service: Service) -> dict[str, Any]:
    """The speech models. One whose language is unknown may be requested for any."""
    models: list[dict[str, Any]] = []
    for name, pool in service.pools.items():
        if pool.card is not None and pool.card.hears:
            heard = languages_of(pool)[0]
            languages = codes() if heard is None else [heard]
            models.append(
                {"name": name, "attribution": _ATTRIBUTION, "installed": True, "languages": languages, "description": name, "version": None}
            )
    program = {
        "name": "antiphon",
        "description": "Speech recognition by Antiphon",
        "attribution": _ATTRIBUTION,
        "installed": True,
        "version": __version__,
        "models": models,
        "supports_transcript_streaming": any(pool.card is not None and pool.card.streams for pool in service.pools.values()),
        "requires_external_vad": True,
        "prefers_auto_gain_enabled": False,
        "prefers_noise_reduction_enabled": False,
    }
    return {"asr": [program] if models else []}


plugin = ProtocolPlugin("wyoming", "speech as Home Assistant asks for it, over TCP (`--listen wyoming=HOST:PORT`)", listen=listen)
