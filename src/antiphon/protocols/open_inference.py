"""The Open Inference Protocol, version 2 (https://github.com/kserve/open-inference-protocol), as KServe's and Triton's clients speak it.

Texts are tensors of BYTES, one element each; sound is samples, FP32 (samples) or (recordings, samples); series are numbers, (steps) or
(series, steps), under the name of the column that is forecast. What is said of texts and sound is `prediction`, its `score`, and all that
is known of it as JSON in `details`. Settings of the search are parameters of a request.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from antiphon.contracts.protocol import ProtocolPlugin
from antiphon.serving.refused import RefusedError
from antiphon.serving.service import Service
from antiphon.version import __version__

if TYPE_CHECKING:
    from antiphon.serving.pool import Pool
    from antiphon.serving.tensors import Tensor
    from antiphon.serving.worker import Card

_VERSION = "1"  # a run has no others
_PROTOCOL = ("binary_data_output", "priority", "timeout", "sample_rate")  # parameters that are none of the search
_SEQUENCE = ("sequence_id", "sequence_start", "sequence_end")


def routes(service: Service) -> Any:
    """The routes of the protocol, each for models with and without a version."""
    from fastapi import APIRouter

    router = APIRouter(tags=["open inference"])
    router.include_router(_facts(service))
    router.include_router(_models(service))
    return router


def _facts(service: Service) -> Any:
    from fastapi import APIRouter
    from fastapi.responses import Response

    from antiphon.serving.answering import PlainJSONResponse

    router = APIRouter()

    @router.get("/v2")
    async def server() -> Response:
        """The description of the server."""
        return PlainJSONResponse({"name": "antiphon", "version": __version__, "extensions": ["binary_tensor_data", "model_repository"]})

    @router.get("/v2/health/live")
    async def live() -> Response:
        """Whether the service runs."""
        return PlainJSONResponse({"live": True})

    @router.get("/v2/health/ready")
    async def ready() -> Response:
        """Whether every model is loaded; the status says it, too."""
        return PlainJSONResponse({"ready": service.is_ready}, 200 if service.is_ready else 503)

    @router.post("/v2/repository/index")
    async def index() -> Response:
        """All models."""
        states = {name: "READY" if pool.is_ready else "UNAVAILABLE" for name, pool in service.pools.items()}
        return PlainJSONResponse([{"name": name, "version": _VERSION, "state": state, "reason": ""} for name, state in states.items()])

    return router


def _models(service: Service) -> Any:
    from fastapi import APIRouter, Request
    from fastapi.responses import Response

    from antiphon.serving.answering import PlainJSONResponse, awaited
    from antiphon.serving.tensors import read_tensors

    router = APIRouter()

    async def metadata(name: str, version: str = _VERSION) -> Response:
        """The inputs and outputs of a model."""
        return PlainJSONResponse(_metadata(name, _card(_pool(service, name, version))))

    async def ready(name: str, version: str = _VERSION) -> Response:
        """Whether a model is loaded; the status says it, too."""
        is_ready = _pool(service, name, version).is_ready
        return PlainJSONResponse({"name": name, "ready": is_ready}, 200 if is_ready else 503)

    async def infer(request: Request, name: str, version: str = _VERSION) -> Response:
        """Predict. The body is JSON, followed by tensors as bytes if `Inference-Header-Content-Length` gives the length of the JSON."""
        pool = _pool(service, name, version)
        asked, tensors = read_tensors(await request.body(), request.headers.get("inference-header-content-length"))
        return await awaited(request, _inferred(service, pool, asked, tensors))

    add: Callable[..., None] = router.add_api_route
    for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        add(path, metadata, methods=["GET"])
        add(f"{path}/ready", ready, methods=["GET"])
        add(f"{path}/infer", infer, methods=["POST"])
    return router


def _pool(service: Service, name: str, version: str) -> "Pool":
    """The workers of the model with this name. Raises RefusedError when there is none."""
    pool = service.named(name)
    if version != _VERSION:
        raise RefusedError(404, f"Model `{name}` has only the version {_VERSION}, not {version}.")
    return pool


def _card(pool: "Pool") -> "Card":
    assert pool.card is not None, "started before"
    return pool.card


def _metadata(name: str, card: "Card") -> dict[str, Any]:
    """Names, datatypes and shapes; -1 where any size is allowed."""
    if card.series is not None:
        facts = card.series
        columns = [*facts.targets, *facts.past, *facts.known]
        inputs = [_described(column, "FP32", -1, -1) for column in columns] + [_described(one, "BYTES", -1) for one in facts.static]
        inputs.append(_described(facts.time, "BYTES", -1))
        outputs = [_described(target, "FP64", -1, facts.horizon) for target in facts.targets]
    else:
        inputs = [_described(column, "BYTES", -1) for column in card.columns]
        if card.hears:
            inputs[0] = _described(card.columns[0], "FP32", -1, -1)
        outputs = [_described(*one, -1) for one in (("prediction", "BYTES"), ("score", "FP32"), ("details", "BYTES"))]
    return {"name": name, "versions": [_VERSION], "platform": f"antiphon_{card.task}", "inputs": inputs, "outputs": outputs}


def _described(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


async def _inferred(service: Service, pool: "Pool", asked: Mapping[str, Any], tensors: Sequence["Tensor"]) -> Any:
    """The response to a request. Raises RefusedError."""
    from fastapi.responses import Response

    from antiphon.serving.tensors import written

    parameters = _object(asked.get("parameters"), "parameters")
    said = await _said(service, pool, _search(parameters), parameters, tensors)
    shown, binary = _shown(asked, said, default=parameters.get("binary_data_output") is True)
    head = {"model_name": pool.served.name, "model_version": _VERSION}
    if isinstance(asked.get("id"), str):
        head["id"] = asked["id"]
    body, length = written(head, shown, binary)
    if length is None:
        return Response(body, media_type="application/json")
    return Response(body, media_type="application/octet-stream", headers={"Inference-Header-Content-Length": str(length)})


def _object(given: Any, name: str) -> Mapping[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise RefusedError(400, f"`{name}` must be an object.")
    return given or {}


def _search(parameters: Mapping[str, Any]) -> dict[str, Any]:
    for name in _SEQUENCE:
        if parameters.get(name):
            raise RefusedError(400, f"`{name}` is for models that remember earlier requests, which this one does not.")
    return {name: value for name, value in parameters.items() if name not in (*_PROTOCOL, *_SEQUENCE)}


def _shown(asked: Mapping[str, Any], said: Sequence["Tensor"], *, default: bool) -> tuple[list["Tensor"], dict[str, bool]]:
    """The requested outputs, or all if none is named, and which of them are to be sent as bytes."""
    outputs = asked.get("outputs")
    if not outputs:
        return list(said), {tensor.name: default for tensor in said}
    known, shown, binary = {tensor.name: tensor for tensor in said}, list["Tensor"](), dict[str, bool]()
    for output in outputs if isinstance(outputs, list) else [{}]:
        name = output.get("name") if isinstance(output, Mapping) else None
        if not isinstance(name, str) or name not in known:
            raise RefusedError(400, f"`outputs` must be a list of these, each with its `name`: {', '.join(known)}.")
        wanted = _object(output.get("parameters"), f"parameters of {name}")
        if wanted.get("classification"):
            raise RefusedError(400, "`classification` is for models that choose among classes.")
        shown.append(known[name])
        binary[name] = wanted.get("binary_data", default) is True
    return shown, binary


async def _said(
    service: Service, pool: "Pool", search: Mapping[str, Any], parameters: Mapping[str, Any], tensors: Sequence["Tensor"]
) -> list["Tensor"]:
    """The model's outputs, as tensors. Raises RefusedError."""
    from antiphon.serving.series_tensors import forecasts_as_tensors, tables_of
    from antiphon.serving.tensor_records import predictions_as_tensors, records_of

    card = _card(pool)

    def predicted(records: Sequence[Mapping[str, Any]]) -> Awaitable[list[dict[str, Any]]]:
        return service.predict(pool.served.name, records, search)

    if card.series is not None:
        said = [prediction for table in tables_of(card.series, tensors) for prediction in await predicted(table)]
        return forecasts_as_tensors(card.series, _unbroken(said))
    return predictions_as_tensors(_unbroken(await predicted(records_of(card, tensors, parameters.get("sample_rate")))))


def _unbroken(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wrong = next((number for number, prediction in enumerate(said) if "error" in prediction), None)
    if wrong is not None:
        raise RefusedError(400, f"Element {wrong + 1}: {said[wrong]['error']}")
    return said


plugin = ProtocolPlugin("open_inference", "tensors in and out, as clients of KServe and Triton send them", routes)
