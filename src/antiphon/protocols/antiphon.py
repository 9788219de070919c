"""Our own protocol: takes records and returns predictions as `antiphon predict` writes them, all at once or as a stream."""

import base64
import binascii
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from antiphon.contracts.protocol import ProtocolPlugin
from antiphon.serving.refused import RefusedError
from antiphon.serving.service import Service
from antiphon.serving.worker import Card
from antiphon.store.json_text import json_text


class Asked(BaseModel):
    """A request for predictions."""

    model_config = ConfigDict(extra="forbid")

    inputs: Annotated[list[str | dict[str, Any]], Field(min_length=1)]
    """Texts, or records with the columns of the task; rows for a task with tables. Audio is {"base64": ...} in its column."""
    model: str | None = None
    """The name of a model; the first one when left out."""
    search: dict[str, Any] = {}
    """Settings of the search, such as {"beam_size": 4, "n_best": 3}."""
    brief: bool = False
    """Whether predictions have only the text and its score, which some engines find faster."""
    aligned: bool = False
    """Whether to add word alignments: `word_alignment`, and `copied_words` for models that copy; and for speech the times of words."""
    stream: bool = False
    """Whether predictions are streamed as server-sent events, each as soon as it is made."""


class Answered(BaseModel):
    """The predictions for a request."""

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
        card = pool.card
        assert card is not None, "started before"
        records = [_record(one, card.columns) for one in asked.inputs]
        if asked.stream:
            return StreamingResponse(_events(service, asked, records), media_type="text/event-stream")

        async def found() -> dict[str, Any]:
            predictions = await service.predict(
                asked.model, records, asked.search, aligned=asked.aligned, timed=asked.aligned and card.hears, brief=asked.brief
            )
            if len(predictions) == 1 and "error" in predictions[0]:
                raise RefusedError(422, str(predictions[0]["error"]))
            return {"model": pool.served.name, "predictions": predictions}

        return await answered(request, found())

    @router.get("/v1/models")
    async def models() -> Response:
        """The models that are served. `id` is the name by which they are asked."""
        listed = [_listed(name, card, languages) for name, card, languages in _cards(service)]
        most = service.settings
        limits = {"max_records": most.max_records, "max_body": most.max_body, "max_beam": most.max_beam}
        return PlainJSONResponse({"object": "list", "data": listed, "limits": limits})

    return router


def _cards(service: Service) -> Iterator[tuple[str, Card, dict[str, Any] | None]]:
    """Each model with the facts known about it, and with its languages."""
    from antiphon.serving.languages import name_of, pairs

    known = {pair.pool.served.name: (pair.source, pair.target) for pair in pairs(service)}
    for name, card in service.cards().items():
        sides = zip(("source", "target"), known.get(name, ()), strict=False)
        yield name, card, {side: {"code": code, "name": name_of(code)} for side, code in sides} or None


def _listed(name: str, card: Card, languages: dict[str, Any] | None) -> dict[str, Any]:
    """The description of a model for clients."""
    reads = "table" if card.is_table else "sound" if card.hears else "text"
    return {
        "id": name,
        "object": "model",
        "owned_by": "antiphon",
        "task": card.task,
        "reads": reads,
        "columns": list(card.columns),
        "sample_rate": card.sample_rate,
        "streams": card.streams,
        "languages": languages,
        "search": dict(card.search),
        "about": dict(card.about),
    }


async def _events(service: Service, asked: Asked, records: list[dict[str, Any]]) -> AsyncIterator[bytes]:
    """Predictions as events, with the number of their input, and a final event."""
    try:
        found = service.stream(asked.model, records, asked.search, aligned=asked.aligned, brief=asked.brief)
        async for number, prediction in found:
            yield _event("prediction", {"index": number, **prediction})
        yield _event("done", {})
    except RefusedError as error:
        yield _event("error", {"status": error.status, "error": str(error)})


def _event(kind: str, content: Mapping[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json_text(content, ascii_only=True)}\n\n".encode("ascii")


def _record(given: str | Mapping[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    """The record for an input. Raises RefusedError when audio in it is not base64."""
    record: dict[str, Any] = {columns[0]: given} if isinstance(given, str) else dict(given)
    for name, value in record.items():
        if isinstance(value, Mapping) and set(value) == {"base64"}:
            try:
                record[name] = base64.b64decode(str(value["base64"]), validate=True)
            except binascii.Error as error:
                raise RefusedError(422, f"`{name}.base64` must be base64, but is not: {error}.") from error
    return record


plugin = ProtocolPlugin("antiphon", "records in, predictions out, as `antiphon predict` writes them", routes)
