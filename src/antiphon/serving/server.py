"""The server process: it loads the models, serves until it is asked to stop, and finishes accepted requests before it ends."""

import asyncio
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any

from antiphon.contracts import registry
from antiphon.errors import AntiphonError, ConfigError, MissingPackageError
from antiphon.serving.app import application
from antiphon.serving.log import log_as_json, say
from antiphon.serving.pool import MakeWorker, Served, WorkerProcess
from antiphon.serving.settings import ServeConfig
from antiphon.serving.speaking import MOST_BYTES

Listen = tuple[str, str, int]
"""A protocol other than HTTP, and the address to listen on."""


def run_server(
    served: Sequence[Served],
    settings: ServeConfig,
    *,
    host: str,
    port: int,
    root_path: str = "",
    listen: Sequence[Listen] = (),
    make: MakeWorker = WorkerProcess,
) -> None:
    """Serve until SIGINT or SIGTERM; `make` starts workers. Raises AntiphonError when a model cannot be loaded, or a port is in use."""
    try:
        import uvicorn
    except ImportError as error:
        raise MissingPackageError("Serving", "uvicorn", "serve") from error
    for protocol, *_ in listen:  # what cannot be spoken is refused before models are loaded
        _speaker(protocol)
    app = application(served, settings, make=make)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        root_path=root_path,
        log_config=None,
        access_log=False,  # paths of requests may hold texts
        lifespan="off",  # models are loaded before anybody is let in
        timeout_graceful_shutdown=int(settings.timeout) + 1,
        server_header=False,
        ws_max_size=MOST_BYTES,
    )

    class Server(uvicorn.Server):
        """A server that sends live speech clients their final transcripts before it closes their connections."""

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            for own in self.servers:
                own.close()
            await app.state.service.drain()
            await super().shutdown(sockets)

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection is an open file, and 1,024 are few
    log_as_json("uvicorn")
    log_as_json("asyncio")
    asyncio.run(_serve(app.state.service, Server(config), config, listen))


async def _serve(service: Any, server: Any, config: Any, listen: Sequence[Listen]) -> None:
    others: list[asyncio.Server] = []
    try:
        family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
        sock = socket.create_server((config.host, config.port), family=family, backlog=config.backlog)
    except OSError as error:
        raise AntiphonError(
            f"The service cannot listen at {config.host}:{config.port}: {error.strerror}. Choose another `--port`, or"
            " an address of this machine."
        ) from error
    try:
        await service.start()
        loop = asyncio.get_running_loop()
        reloading: set[asyncio.Task[None]] = set()

        def reload() -> None:
            task = loop.create_task(_reloaded(service))
            reloading.add(task)
            task.add_done_callback(reloading.discard)

        loop.add_signal_handler(signal.SIGHUP, reload)
        address, port = sock.getsockname()[:2]
        print(f"Serving {', '.join(service.pools)} at http://{address}:{port}", file=sys.stderr, flush=True)
        for one in listen:
            others.append(await _listening(service, *one))
        await server.serve(sockets=[sock])
    finally:
        sock.close()
        for other in others:
            other.close()
        await service.close()


async def _reloaded(service: Any) -> None:
    try:
        await service.reload()
        say("reloaded", "All models were opened anew.")
    except AntiphonError as error:
        say("not_reloaded", f"The models stay as they were, since one cannot be opened anew: {error}", level="error")


def _speaker(protocol: str) -> Any:
    """The module that implements a protocol other than HTTP. Raises ConfigError for an unknown protocol."""
    speak = registry.find("protocols", protocol).listen
    if speak is None:
        raise ConfigError(f"`--listen` needs a protocol that is not HTTP, such as wyoming, but {protocol} is spoken at `--port`.")
    return speak


async def _listening(service: Any, protocol: str, host: str, port: int) -> asyncio.Server:
    """Serve a protocol at an address. Raises AntiphonError when that is not possible."""
    try:
        server: asyncio.Server = await _speaker(protocol)(service, host, port)
    except OSError as error:
        raise AntiphonError(
            f"The service cannot listen at {host}:{port} for {protocol}: {error.strerror}. Choose another address."
        ) from error
    address, bound = server.sockets[0].getsockname()[:2]
    say("listening", f"Speaking {protocol} at {address}:{bound}.", more={"protocol": protocol, "port": bound})
    return server
