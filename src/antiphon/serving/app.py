"""The ASGI application: the routes of all protocols behind the guards, health checks, and counters."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from antiphon.contracts import registry
from antiphon.errors import MissingPackageError
from antiphon.serving.pool import MakeWorker, Served, WorkerProcess
from antiphon.serving.settings import ServeConfig
from antiphon.version import __version__


def serve(runs: Path | str | Mapping[str, Path | str], settings: ServeConfig | None = None, *, overrides: Sequence[str] = ()) -> Any:
    """An ASGI application for a server of one's own: `app = antiphon.serve({"german": "runs/german"})`, then `uvicorn module:app`.

    runs        a run or an exported folder, or several by the names that requests ask for
    settings    who may ask, and for how much
    overrides   recipe settings such as "search.beam_size=1"

    Models are loaded, in processes of their own, when the application starts.
    """
    named = runs if isinstance(runs, Mapping) else {Path(runs).absolute().name: runs}
    return application([Served(name, (str(run),), tuple(overrides)) for name, run in named.items()], settings)


def application(
    served: Sequence[Served],
    settings: ServeConfig | None = None,
    protocols: Sequence[str] | None = None,
    make: MakeWorker = WorkerProcess,
) -> Any:
    """An ASGI application that serves runs, which it loads at startup.

    served      the runs, with their names
    settings    who may ask, and for how much
    protocols   which protocols it speaks, all when left out
    make        starts a worker

    Raises MissingPackageError when the extra `serve` is not installed.
    """
    try:
        from fastapi import FastAPI
    except ImportError as error:
        raise MissingPackageError("Serving", "fastapi", "serve") from error
    from antiphon.serving.answering import PlainJSONResponse
    from antiphon.serving.guards import OPEN, Guards
    from antiphon.serving.operation import tell_errors, watch
    from antiphon.serving.service import Service

    settings = settings or ServeConfig()
    service = Service(served, settings, make)

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.close()

    app = FastAPI(
        title="Antiphon",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        default_response_class=PlainJSONResponse,
        strict_content_type=False,  # some clients name none
    )
    app.state.service = service
    tell_errors(app)
    watch(app, service)
    spoken = [registry.find("protocols", name) for name in protocols or registry.names("protocols")]
    for plugin in spoken:
        if plugin.routes is not None:
            app.include_router(plugin.routes(service))
    tells = {path: tell for plugin in spoken for path, tell in plugin.tells.items()}
    app.add_middleware(Guards, service=service, unkeyed=OPEN.union(*(plugin.own_keys for plugin in spoken)), tells=tells)
    return app
