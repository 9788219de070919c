"""Our own protocol: records in, predictions out as `antiphon predict` writes them, at once or one by one."""

import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from antiphon.contracts.protocol import ProtocolPlugin
from antiphon.serving.refused import RefusedError
from antiphon.serving.service import Service
from antiphon.store.json_text import json_text


class Asked(BaseModel):
    """What to predict."""

    model_config = ConfigDict(extra="forbid")

    inputs: Annotated[list[str | dict[str, Any]], Field(min_length=1)]
    """Texts, or records with the columns of the task; rows where it reads a table. Sound is {"base64": ...} in its column."""
    model: str | None = None
    """The name of a model; the first one when left out."""
    search: dict[str, Any] = {}
    """Settings of the search, such as {"beam_size": 4, "n_best": 3}."""
    brief: bool = False
    """Whether predictions have only what is said and its score, which some engines find faster."""
    stream: bool = False
    """Whether predictions come one by one, as server-sent events, each as soon as it is made."""


class Answered(BaseModel):
    """What was predicted."""

    model: str
    """The name of the model."""
    predictions: list[dict[str, Any]]
    """One for each input, in their order, or for each series of a table: `prediction`, `score`, `log_prob`, `alternatives`, and details;
    `error` where the input cannot be used."""


def routes(service: Service) -> Any:
    """The routes of our own protocol."""
    from fastapi import APIRouter, Request
    from fastapi.responses import Response, StreamingResponse

    from antiphon.serving.answering import PlainJSONResponse, answered

    router = APIRouter(tags=["antiphon"])

    @router.post("/v1/predict", response_model=Answered, responses={422: {"description": "An input or a setting is wrong."}})
    async def predict(asked: Asked, request: Request) -> Response:
        """Predict for each input."""
        pool = service.named(asked.model)
        assert pool.card is not None, "started before"
        records = [_record(one, pool.card.columns) for one in asked.inputs]
        if asked.stream:
            return StreamingResponse(_events(service, asked, records), media_type="text/event-stream")

        async def found() -> dict[str, Any]:
            predictions = await service.predict(asked.model, records, asked.search, brief=asked.brief)
            if len(predictions) == 1 and "error" in predictions[0]:
                raise RefusedError(422, str(predictions[0]["error"]))
            return {"model": pool.served.name, "predictions": predictions}

        return await answered(request, found())

    @router.get("/v1/models")
    async def models() -> Response:
        """The models that are served. `id` is the name by which they are asked."""
        listed = [
            {
                "id": name,
                "object": "model",
                "owned_by": "antiphon",
                "task": card.task,
                "columns": list(card.columns),
                "search": dict(card.search),
            }
            for name, card in service.cards().items()
        ]
        return PlainJSONResponse({"object": "list", "data": listed})

    return router


async def _events(service: Service, asked: Asked, records: list[dict[str, Any]]) -> AsyncIterator[bytes]:
    """Predictions as events, with the number of their input, and one at the end."""
    try:
        async for number, prediction in service.stream(asked.model, records, asked.search, brief=asked.brief):
            yield _event("prediction", {"index": number, **prediction})
        yield _event("done", {})
    except RefusedError as error:
        yield _event("error", {"status": error.status, "error": str(error)})


def _event(kind: str, content: Mapping[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json_text(content, ascii_only=True)}\n\n".encode("ascii")


def _record(given: str | Mapping[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    """The record of an input. Raises RefusedError when sound in it is no base64."""
    record: dict[str, Any] = {columns[0]: given} if isinstance(given, str) else dict(given)
    for name, value in record.items():
        if isinstance(value, Mapping) and set(value) == {"base64"}:
            try:
                record[name] = base64.b64decode(str(value["base64"]), validate=True)
            except binascii.Error as error:
                raise RefusedError(422, f"`{name}.base64` must be base64, but is not: {error}.") from error
    return record


plugin = ProtocolPlugin("antiphon", "records in, predictions out, as `antiphon predict` writes them", routes)
