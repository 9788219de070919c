"""What all protocols share: errors in one sentence, and routes for operators: health and counters."""

from fastapi import FastAPI, Request
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException as AnyHTTPException

from antiphon.serving.answering import PlainJSONResponse, refusal
from antiphon.serving.refused import RefusedError
from antiphon.serving.service import Service


def tell_errors(app: FastAPI) -> None:
    """Answer refused requests, malformed requests and unknown paths with one sentence each."""

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:
        return refusal(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"][1:])) or "the body"
        what = first["msg"].replace("Input should be", "must be").replace("Extra inputs are not permitted", "is not known here")
        return refusal(RefusedError(422, f"`{where}` {what}."))

    @app.exception_handler(AnyHTTPException)
    async def other(request: Request, error: HTTPException) -> Response:
        path = request.url.path
        what = {404: f"There is nothing at {path}; /docs lists what there is.", 405: f"{path} knows no {request.method}."}
        return refusal(RefusedError(error.status_code, what.get(error.status_code, f"{error.detail}.")))


def watch(app: FastAPI, service: Service) -> None:
    """Add routes by which operators monitor a service."""

    @app.get("/healthz", tags=["operation"])
    async def healthz() -> Response:
        """Whether the service runs."""
        return PlainJSONResponse({"status": "ok"})

    @app.get("/readyz", tags=["operation"])
    async def readyz() -> Response:
        """Whether every model is loaded and ready."""
        ready = service.is_ready
        return PlainJSONResponse({"status": "ready" if ready else "loading"}, 200 if ready else 503)

    @app.get("/metrics", tags=["operation"])
    async def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")
