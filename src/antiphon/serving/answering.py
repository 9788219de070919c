"""Slow answers: work for a client that has disconnected is cancelled, and a client that waits gets blanks that keep its connection alive.

Clients that hear nothing for 5 or 10 seconds send everything again. So what is not there after a moment is answered with status 200 and a
blank every few seconds, which JSON allows in front of it; what goes wrong from there on is told in the body, as the status has been sent.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from antiphon.serving.refused import RefusedError
from antiphon.store.json_text import json_text

BLANK_EVERY = 3.0
"""Seconds between two blanks."""

Tell = Callable[[RefusedError], tuple[int, dict[str, Any]]]
"""How a protocol reports a refusal: the status and the body of the response."""


class PlainJSONResponse(JSONResponse):
    """JSON in ASCII, which no client can decode wrongly, without NaN."""

    def render(self, content: Any) -> bytes:
        """The bytes of the body."""
        return json_text(content, ascii_only=True).encode("ascii")


def told(error: RefusedError) -> tuple[int, dict[str, Any]]:
    """The body of an error response, which clients of all protocols can read."""
    return error.status, {"message": str(error), "detail": str(error), "error": str(error)}


def refusal(error: RefusedError, tell: Tell = told) -> Response:
    """The response to a refused request."""
    status, body = tell(error)
    headers = {} if error.retry_after is None else {"Retry-After": f"{error.retry_after:.0f}"}
    return PlainJSONResponse(body, status, headers=headers)


async def answered(request: Request, work: Awaitable[Any], tell: Tell = told) -> Response:
    """The JSON that `work` makes; `work` is cancelled when the client disconnects. The body of the request must have been read."""
    task = asyncio.ensure_future(work)
    if not await _done(request, task, BLANK_EVERY):
        return Response(status_code=499)
    if task.done():
        try:
            return PlainJSONResponse(task.result())
        except RefusedError as error:
            return refusal(error, tell)
    return StreamingResponse(_waiting(task, tell), media_type="application/json")


async def awaited(request: Request, work: Awaitable[Response]) -> Response:
    """The response that `work` makes, for clients that need no signs of life; `work` is cancelled when the client disconnects."""
    task = asyncio.ensure_future(work)
    return task.result() if await _done(request, task, None) else Response(status_code=499)


async def _done(request: Request, task: "asyncio.Future[Any]", timeout: float | None) -> bool:
    """Wait a limited time for the work; False when the client has disconnected meanwhile, so that the work is cancelled."""
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if gone.done() and not task.done():
            await _cancelled(task)
            return False
        return True
    finally:
        gone.cancel()


async def _waiting(task: "asyncio.Future[Any]", tell: Tell) -> AsyncIterator[bytes]:
    try:
        while not task.done():
            yield b" "
            await asyncio.wait({task}, timeout=BLANK_EVERY)
        try:
            body = task.result()
        except RefusedError as error:
            body = tell(error)[1]
        yield json_text(body, ascii_only=True).encode("ascii")
    finally:  # also when the client leaves
        await _cancelled(task)


async def _gone(request: Request) -> None:
    """Return when the client has disconnected."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _cancelled(task: "asyncio.Future[Any]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, RefusedError):
        await task
