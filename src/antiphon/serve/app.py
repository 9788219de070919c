"""The application: routes of all protocols behind the guards, health, and counters."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from antiphon.contracts import registry
from antiphon.errors import MissingPackageError
from antiphon.serve.pool import MakeWorker, Served, WorkerProcess
from antiphon.serve.settings import ServeConfig
from antiphon.version import __version__


def application(
    served: Sequence[Served],
    settings: ServeConfig | None = None,
    protocols: Sequence[str] | None = None,
    make: MakeWorker = WorkerProcess,
) -> Any:
    """An ASGI application that serves runs, which it loads when it starts.

    served      the runs, with their names
    settings    who may ask, and for how much
    protocols   which protocols it speaks, all when left out
    make        starts a worker

    Raises MissingPackageError when the extra `serve` is not installed.
    """
    try:
        from fastapi import FastAPI, Request
        from fastapi.exceptions import RequestValidationError
        from fastapi.responses import Response
        from starlette.exceptions import HTTPException
    except ImportError as error:
        raise MissingPackageError("Serving", "fastapi", "serve") from error
    from antiphon.serve.answering import PlainJSONResponse, refusal
    from antiphon.serve.guards import Guards
    from antiphon.serve.refused import RefusedError
    from antiphon.serve.service import Service

    settings = settings or ServeConfig()
    service = Service(served, settings, make)

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.close()

    app = FastAPI(
        title="Antiphon", version=__version__, lifespan=lifespan, redirect_slashes=False, default_response_class=PlainJSONResponse
    )
    app.state.service = service

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:
        return refusal(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"][1:])) or "the body"
        what = first["msg"].replace("Input should be", "must be").replace("Extra inputs are not permitted", "is not known here")
        return refusal(RefusedError(422, f"`{where}` {what}."))

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> Response:
        what = {
            404: f"There is nothing at {request.url.path}; /docs lists what there is.",
            405: f"{request.url.path} knows no {request.method}.",
        }
        return refusal(RefusedError(error.status_code, what.get(error.status_code, f"{error.detail}.")))

    @app.get("/healthz", tags=["operation"])
    async def healthz() -> Response:
        """Whether the service runs."""
        return PlainJSONResponse({"status": "ok"})

    @app.get("/readyz", tags=["operation"])
    async def readyz() -> Response:
        """Whether every model is loaded."""
        ready = service.is_ready
        return PlainJSONResponse({"status": "ready" if ready else "loading"}, 200 if ready else 503)

    @app.get("/metrics", tags=["operation"])
    async def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    for name in protocols or registry.names("protocols"):
        app.include_router(registry.find("protocols", name).routes(service))
    app.add_middleware(Guards, settings=settings, metrics=service.metrics)
    return app
