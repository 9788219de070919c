"""Checks before every route: the API key, the size of the body, variants of paths that clients send, and the counters."""

import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, final

from antiphon.serving.answering import Tell, refusal, told
from antiphon.serving.encodings import unpacked
from antiphon.serving.log import say
from antiphon.serving.refused import RefusedError
from antiphon.serving.service import Service

OPEN = frozenset({"/", "/healthz", "/readyz"})
"""Paths that need no key, since they reveal nothing about a model."""

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_SCHEMES = ("bearer ", "deepl-auth-key ")


@final
class Guards:
    """An ASGI application behind its guards."""

    def __init__(self, app: App, service: Service, unkeyed: frozenset[str] = OPEN, tells: Mapping[str, Tell] | None = None):
        self._app, self._service, self._settings, self._unkeyed = app, service, service.settings, unkeyed
        self._tells = tells or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path = re.sub(r"/{2,}", "/", scope["path"])
        path = path.rstrip("/") or "/"  # served as it is meant: many clients fail over a redirect
        root = str(scope.get("root_path", "")).rstrip("/")  # of a proxy, or of an application that this one is mounted in
        inner = (path.removeprefix(root) or "/") if path == root or path.startswith(f"{root}/") else path
        path = f"{root}/" if path == root else path
        scope = {**scope, "path": path, "raw_path": path.encode()}
        if scope["type"] == "http":
            await self._request(inner, scope, receive, send)
            return
        try:
            self._check_key(inner, scope)
        except RefusedError:  # nothing can be told but that: HTTP status 403
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._app(scope, receive, send)

    async def _request(self, inner: str, scope: Scope, receive: Receive, send: Send) -> None:
        began, status, identity = time.monotonic(), 499, secrets.token_hex(8)
        self._service.metrics.begun()

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", identity.encode())]}
            await send(message)

        try:
            self._check_key(inner, scope)
            scope, whole = await _whole(scope, receive, self._settings.max_body)
            await self._app(scope, whole, sent)
        except RefusedError as error:
            await refusal(error, self._tells.get(inner, told))(scope, receive, sent)
        finally:
            route, seconds = getattr(scope.get("route"), "path", "other"), time.monotonic() - began
            self._service.metrics.request(route, status, seconds)
            if self._settings.log_requests:
                facts = {"id": identity, "method": scope["method"], "route": route, "status": status, "seconds": round(seconds, 4)}
                say("request", more=facts)

    def _check_key(self, path: str, scope: Scope) -> None:
        if path not in self._unkeyed and self._settings.api_key is not None:
            self._service.check_key(key_in(scope))


def key_in(scope: Scope) -> str:
    """The API key in the headers of a request; empty where there is none."""
    headers: dict[str, str] = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    given = headers.get("x-api-key") or headers.get("authorization", "")
    scheme = next((scheme for scheme in _SCHEMES if given.lower().startswith(scheme)), "")
    return given[len(scheme) :].strip()


async def _whole(scope: Scope, receive: Receive, most: int) -> tuple[Scope, Receive]:
    """A request whose body has been read completely and counted, since clients may omit or misstate its length; a compressed body is
    decompressed.

    Raises RefusedError when it is too long, or cannot be unpacked.
    """
    read: list[Message] = []
    taken, more = 0, True
    while more:
        message = await receive()
        read.append(message)
        taken += len(message.get("body", b""))
        more = bool(message.get("more_body", False))
        if taken > most:
            raise RefusedError(413, f"A request may have {most:,} bytes, but this one has more.")
    encoding = b",".join(value for name, value in scope["headers"] if name.lower() == b"content-encoding").decode("latin-1")
    if encoding and read[-1]["type"] == "http.request":
        body = unpacked(b"".join(message.get("body", b"") for message in read), encoding, most)
        kept = [(name, value) for name, value in scope["headers"] if name.lower() not in (b"content-encoding", b"content-length")]
        scope = {**scope, "headers": [*kept, (b"content-length", str(len(body)).encode())]}
        read = [{"type": "http.request", "body": body, "more_body": False}]
    read.reverse()

    async def again() -> Message:
        return read.pop() if read else await receive()

    return scope, again
