"""What stands before every route: the key, the size of a body, paths as clients write them, and the counters."""

import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, final

from antiphon.serving.answering import refusal
from antiphon.serving.refused import RefusedError
from antiphon.serving.service import Service

OPEN = frozenset({"/", "/healthz", "/readyz"})
"""Paths that need no key: nothing of a model is told there."""

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_SCHEMES = ("bearer ", "deepl-auth-key ")


@final
class Guards:
    """An application behind its guards."""

    def __init__(self, app: App, service: Service, unkeyed: frozenset[str] = OPEN):
        self._app, self._service, self._settings, self._unkeyed = app, service, service.settings, unkeyed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = re.sub(r"/{2,}", "/", scope["path"])
        path = path.rstrip("/") or "/"  # served as it is meant: many clients fail over a redirect
        root = str(scope.get("root_path", "")).rstrip("/")  # of a proxy, or of an application that this one is mounted in
        inner = (path.removeprefix(root) or "/") if path == root or path.startswith(f"{root}/") else path
        path = f"{root}/" if path == root else path
        scope = {**scope, "path": path, "raw_path": path.encode()}
        began, status = time.monotonic(), 499

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            self._check_key(inner, scope)
            await self._app(scope, await _whole(receive, self._settings.max_body), sent)
        except RefusedError as error:
            await refusal(error)(scope, receive, sent)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._service.metrics.request(route, status, time.monotonic() - began)

    def _check_key(self, path: str, scope: Scope) -> None:
        if path in self._unkeyed:
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get("x-api-key") or headers.get("authorization", "")
        scheme = next((scheme for scheme in _SCHEMES if given.lower().startswith(scheme)), "")
        self._service.check_key(given[len(scheme) :].strip())


async def _whole(receive: Receive, most: int) -> Receive:
    """A request whose body has been read, and counted meanwhile: clients may leave its length out, or lie.

    Raises RefusedError when it is too long.
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
    read.reverse()

    async def again() -> Message:
        return read.pop() if read else await receive()

    return again
