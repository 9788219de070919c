"""A service with toys that a real Chromium looks at: Debian's package `chromium`, steered by Playwright (the extra `browser`)."""

import asyncio
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from antiphon.serving.app import application
from antiphon.serving.pool import Served
from antiphon.serving.settings import ServeConfig
from tests.browser.page_worker import PageWorker

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

Serve = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="module")  # while it is there, asyncio has a loop that runs, which other tests must not find
def browser() -> Iterator[Any]:
    """Chromium, with a microphone that beeps."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser`")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    arguments = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    with playwright.sync_playwright() as steering:
        chromium = steering.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def serve() -> Serve:
    """`with serve("en-de", api_key="x") as address` serves toys by these names."""

    @contextmanager
    def served(*names: str, make: Any = PageWorker, runs: dict[str, str] | None = None, **settings: Any) -> Iterator[str]:
        PageWorker.asked.clear()
        PageWorker.sounds.clear()
        found = [Served(name, (run,)) for name, run in (runs or {name: name for name in names}).items()]
        with listening(application(found, ServeConfig(**{"wait": 0, **settings}), make=make)) as address:
            yield address

    return served


@contextmanager
def listening(app: Any) -> Iterator[str]:
    """An application at a port of its own, in a thread."""
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of 1100 by 800; what goes wrong in it, or is asked for elsewhere, fails the test."""
    context = browser.new_context(viewport={"width": 1100, "height": 800}, permissions=["clipboard-read", "clipboard-write", "microphone"])
    context.set_default_timeout(200_000)  # milliseconds: a busy machine is no failure
    found = context.new_page()
    wrong: list[str] = []
    found.on("pageerror", lambda error: wrong.append(str(error)))
    found.on("console", lambda message: wrong.append(message.text) if message.type == "error" and "status of" not in message.text else None)
    found.on("request", lambda request: None if "//127.0.0.1" in request.url or request.url[:5] == "blob:" else wrong.append(request.url))
    yield found
    context.close()
    assert wrong == []
