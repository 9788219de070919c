"""Live speech over a WebSocket: blocks of samples in, the text so far out, for pages and programs with a microphone.

The first message is JSON and says what will come: `{"type": "start", "model": ..., "sample_rate": 16000, "encoding": "pcm_s16le"}`. Then
binary messages are blocks of samples of any length, and `{"type": "end"}` is the end. Answers are `ready`, `partial` whenever the text has
grown, `final` with the times of the words, or `error`. Whatever ends it, what was said is told as `final`, unless it is lost.

A page cannot set headers, so its key may be a subprotocol, `key.KEY` beside `antiphon`, or the first message's `key`. Without a key only
pages of this service itself may connect: a WebSocket is not held back by what keeps pages of other sites from reading answers.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from antiphon.contracts.protocol import ProtocolPlugin
from antiphon.serving.hearing import listener
from antiphon.serving.refused import RefusedError
from antiphon.serving.service import Service
from antiphon.store.json_text import json_text

if TYPE_CHECKING:
    from antiphon.serving.speaking import Speaker

PATH = "/v1/audio/live"
_SUBPROTOCOL, _KEY = "antiphon", "key."
_CODES = {413: 1009, 429: 1013, 503: 1013}
_POLICY, _NORMAL, _AWAY = 1008, 1000, 1001


def routes(service: Service) -> Any:
    """The route for live speech."""
    from fastapi import APIRouter, WebSocket
    from starlette.websockets import WebSocketDisconnect

    router = APIRouter(tags=["live"])

    async def live(websocket: WebSocket) -> None:
        """Receive blocks of samples, and send the text so far."""
        offered = websocket.scope.get("subprotocols", [])
        await websocket.accept(_SUBPROTOCOL if _SUBPROTOCOL in offered else None)
        with service.talking(), suppress(WebSocketDisconnect):
            try:
                await _talk(service, websocket)
            except RefusedError as error:
                await _send(websocket, {"type": "error", "status": error.status, "message": str(error), "error": str(error)})
                await websocket.close(_CODES.get(error.status, _POLICY))

    router.add_api_websocket_route(PATH, live)
    return router


async def _talk(service: Service, websocket: Any) -> None:
    from antiphon.serving.speaking import Speaker, next_word

    given = _key_of(websocket)
    if given:
        service.check_key(given)
    message, why = await next_word(service, websocket.receive())
    start = _read(message) if message is not None else {}
    if start is None:
        return
    if why == "shutdown":
        await websocket.close(_AWAY)
        return
    if start.get("type") != "start":
        raise RefusedError(422, 'The first message must be JSON: {"type": "start", "sample_rate": 16000}.')
    if not given:
        service.check_key(str(start.get("key") or ""))
        _check_origin(service, websocket)
    model, language = start.get("model"), start.get("language")
    pool = listener(service, None if model is None else str(model), () if language is None else (str(language),))
    speaker = Speaker(service, pool, start.get("sample_rate"), str(start.get("encoding", "pcm_s16le")), start.get("channels", 1))
    try:
        await speaker.open()
        await _send(websocket, {"type": "ready", "model": pool.served.name})
        ended = await _hear(service, websocket, speaker)
        if ended is not None:
            found = await speaker.end()
            await _send(websocket, {"type": "final", **found, "seconds": round(speaker.seconds, 3), "ended_by": ended})
            await websocket.close(_AWAY if ended == "shutdown" else _NORMAL)
    finally:
        speaker.close()


async def _hear(service: Service, websocket: Any, speaker: "Speaker") -> str | None:
    """Process the stream and send partial texts. Returns why it ended: `client`, `limit`, `idle`, `shutdown`, or None when the client
    disconnected."""
    from antiphon.serving.speaking import next_word

    while not speaker.is_full:
        message, why = await next_word(service, websocket.receive())
        if message is None:
            return why
        if message["type"] == "websocket.disconnect":
            return None
        block = message.get("bytes")
        if block is None:
            if (_read(message) or {}).get("type") == "end":
                return "client"
            raise RefusedError(422, 'Further messages must be blocks of samples, or {"type": "end"}.')
        found = await speaker.hear(block)
        if found is not None:
            await _send(websocket, {"type": "partial", "text": found["text"], "seconds": found["received"]})
    return "limit"


def _read(message: Mapping[str, Any]) -> dict[str, Any] | None:
    """A message that is a JSON object; an empty one if it is not, None if the client has disconnected."""
    if message["type"] == "websocket.disconnect":
        return None
    try:
        found = json.loads(message.get("text") or "")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _key_of(websocket: Any) -> str:
    """The key in the header of a request; empty if it has none."""
    from antiphon.serving.guards import key_in

    offered = (one[len(_KEY) :] for one in websocket.scope.get("subprotocols", []) if one.startswith(_KEY))
    return key_in(websocket.scope) or next(offered, "")


def _check_origin(service: Service, websocket: Any) -> None:
    """Raise RefusedError for a page of another site, unless a key allows access."""
    origin = websocket.headers.get("origin")
    if service.settings.api_key is None and origin is not None and urlsplit(origin).netloc != websocket.headers.get("host"):
        raise RefusedError(403, f"Pages of {origin:.80} may use this service only with a key, but it has none. Set `--api-key`.")


async def _send(websocket: Any, content: Mapping[str, Any]) -> None:
    await websocket.send_text(json_text(content, ascii_only=True))


plugin = ProtocolPlugin("live", "live speech, over a WebSocket: blocks of samples in, the text so far out", routes, own_keys=(PATH,))
