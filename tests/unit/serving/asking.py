"""Clients for tests of protocols: an application with toys, asked without a network."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx

from antiphon.serving.app import application
from antiphon.serving.pool import MakeWorker, Served
from antiphon.serving.settings import ServeConfig
from antiphon.serving.worker import Card
from tests.toy_worker import CARD, Toy


def run(
    body: Callable[[httpx.AsyncClient], Awaitable[None]],
    card: Card = CARD,
    *,
    names: Sequence[str] = ("one", "two"),
    is_open: bool = True,
    make: MakeWorker = Toy,
    **settings: Any,
) -> None:
    """Ask an application that serves toys by some names."""

    async def main() -> None:
        Toy.reset(is_open=is_open, card=card)
        app = application([Served(name, (f"runs/{name}",)) for name in names], ServeConfig(**{"wait": 0, **settings}), make=make)
        await app.state.service.start()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            await asyncio.wait_for(body(client), 60)
        for end in app.state.service.at_end:
            end()

    asyncio.run(main())
