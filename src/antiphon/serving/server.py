"""The process that listens: it loads the models, serves until it is asked to stop, and lets what was accepted end first."""

import asyncio
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any

from antiphon.errors import AntiphonError, MissingPackageError
from antiphon.serving.app import application
from antiphon.serving.log import log_as_json, say
from antiphon.serving.pool import MakeWorker, Served, WorkerProcess
from antiphon.serving.settings import ServeConfig


def run_server(
    served: Sequence[Served],
    settings: ServeConfig,
    *,
    host: str,
    port: int,
    root_path: str = "",
    make: MakeWorker = WorkerProcess,
) -> None:
    """Serve until SIGINT or SIGTERM; `make` starts workers. Raises AntiphonError when a model cannot be loaded, or the port is taken."""
    try:
        import uvicorn
    except ImportError as error:
        raise MissingPackageError("Serving", "uvicorn", "serve") from error
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
    )
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection is an open file, and 1,024 are few
    log_as_json("uvicorn")
    log_as_json("asyncio")
    asyncio.run(_serve(app.state.service, uvicorn.Server(config), config))


async def _serve(service: Any, server: Any, config: Any) -> None:
    try:
        family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
        sock = socket.create_server((config.host, config.port), family=family, backlog=config.backlog)
    except OSError as error:
        raise AntiphonError(
            f"{config.host}:{config.port} cannot be listened at: {error.strerror}. Choose another `--port`, or an address of this machine."
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
        await server.serve(sockets=[sock])
    finally:
        sock.close()
        await service.close()


async def _reloaded(service: Any) -> None:
    try:
        await service.reload()
        say("reloaded", "All models were opened anew.")
    except AntiphonError as error:
        say("not_reloaded", f"The models stay as they were, since one cannot be opened anew: {error}", level="error")
