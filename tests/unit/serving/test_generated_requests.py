"""Thousands of requests that Schemathesis makes up: whatever a protocol is asked, it answers, in its form, and never with a failure."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from antiphon.protocols.antiphon import Answered
from antiphon.serving.app import application
from antiphon.serving.pool import Served
from antiphon.serving.settings import ServeConfig
from antiphon.serving.worker import Answer, Asked, Card
from tests.toy_worker import CARD, Toy
from tests.unit.serving.test_nixtla import SeriesToy, card
from tests.unit.serving.test_open_inference import SPOKEN

schemathesis, requests = pytest.importorskip("schemathesis"), pytest.importorskip("requests")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3000),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

EACH, ALL = 330, 5000
"""Requests of each route whose requests can differ, and the fewest of all."""
CARDS = {"en-de": CARD, "sales": card(), "spoken": SPOKEN}


class Several(SeriesToy):
    """A toy of each kind, by the name of its model."""

    def __init__(self, served: Served, threads: int):
        super().__init__(served, threads)
        self.name = served.name

    async def card(self) -> Card:
        return CARDS[self.name]

    async def ask(self, asked: list[Asked]) -> list[Answer]:
        if self.name == "sales":
            try:
                return await super().ask(asked)
            except (KeyError, TypeError):  # a run says so in a sentence
                return ["A row is none." for _ in asked]
        column = CARDS[self.name].columns[0]
        return [[{"prediction": str(record.get(column)).upper(), "score": -0.5} for record in one.records] for one in asked]


def either(*kinds: Any) -> dict[str, Any]:
    return {"anyOf": [kind if isinstance(kind, dict) else {"type": kind} for kind in kinds]}


def fields(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)[:2]}


TEXT, TEXTS = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
NUMBERS = {"type": "array", "items": either("number", "null"), "minItems": 1, "maxItems": 4}
LANGUAGES = {"target_lang": {"enum": ["DE", "de", "IT"]}, "source_lang": {"enum": ["EN", None, "fr"]}}
SERIES = fields(y=NUMBERS, sizes={"enum": [[1], [2], [1, 1], [3], [0]]}, X=either("null", {"type": "array", "items": NUMBERS}))
FORECAST = fields(
    series=either(SERIES, "null"),
    h=either({"type": "integer", "minimum": 0, "maximum": 4}, "null"),
    level=either("null", {"type": "array", "items": {"type": "number"}}),
    freq={"enum": ["D", "MS", None, "?"]},
    n_windows={"type": "integer", "minimum": 0, "maximum": 3},
    model={"enum": ["timegpt-1", "sales", "en-de", "x"]},
)
TENSOR = fields(
    name={"enum": ["source", "y", "audio", "x"]},
    datatype={"enum": ["BYTES", "FP32", "INT16", "BOOL", "x"]},
    shape={"enum": [[1], [2], [1, 2], [0], [], [-1]]},
    data=either(TEXTS, NUMBERS, "null"),
    parameters=either("object", "null"),
)
BODIES = {  # what each adapter may be sent; it reads the body itself, so its document does not say it
    "/translate": fields(q=either(TEXT, TEXTS), target={"enum": ["de", "it"]}, source={"enum": ["en", "auto"]}, alternatives={}, format={}),
    "/v2/translate": fields(
        text=either(TEXTS, TEXT), **LANGUAGES, tag_handling={"enum": ["xml", "html", None]}, ignore_tags={}, glossary_id={}
    ),
    "/v2/glossaries": fields(name=TEXT, entries=TEXT, source_lang=TEXT, target_lang=TEXT, entries_format={"enum": ["tsv", "csv", "x"]}),
    "/v2/document/{name}": fields(document_key=either(TEXT, "null")),
    "/v2/document/{name}/result": fields(document_key=either(TEXT, "null")),
    "/v2/languages": fields(type=either(TEXT, "null")),
    "/v2/forecast": FORECAST,
    "/v2/cross_validation": {**FORECAST, "properties": {**FORECAST["properties"], "full_history": {"type": "boolean"}}},
    "/v2/anomaly_detection": FORECAST,
    "/v2/models/{name}/infer": fields(inputs={"type": "array", "items": TENSOR, "minItems": 1, "maxItems": 2}, outputs={}, parameters={}),
}
NAMES = ["a.txt", "a.md", "a.po", "a.x", ""]
NAMED = {"name": ["en-de", "sales", "spoken", "x"], "version": ["1", "2"]}


def described(document: dict[str, Any]) -> dict[str, Any]:
    """The application's own description, with what its adapters read."""
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                if path.startswith("/v2/models") and parameter["name"] in NAMED:
                    parameter["schema"] = {"enum": NAMED[parameter["name"]]}
            body = BODIES.get(path.replace("/versions/{version}", ""))
            if body is not None and "post" in methods and operation is methods["post"]:
                kinds = ("application/json", "application/x-www-form-urlencoded") if "infer" not in path else ("application/json",)
                operation["requestBody"] = {"content": {kind: {"schema": body} for kind in kinds}, "required": False}
            elif path == "/v2/document":
                file = fields(
                    file={"type": "string", "format": "binary"}, **LANGUAGES, filename={"enum": ["a.txt", "a.md", "a.po", "a.x", ""]}
                )
                operation["requestBody"] = {"content": {"multipart/form-data": {"schema": file}}}
    return document


def test_nothing_that_is_asked_is_a_failure() -> None:
    asked = dict[str, int]()
    with asyncio.Runner() as runner:
        Toy.reset(is_open=True)
        app = application([Served(name, (f"runs/{name}",)) for name in CARDS], ServeConfig(wait=0), make=Several)
        runner.run(app.state.service.start())
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here")
        schema = schemathesis.openapi.from_dict(described(app.openapi()))
        for found in schema.get_all_operations():
            operation = found.ok()

            @seed(0)
            @settings(max_examples=EACH, deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
            @given(case=operation.as_strategy())
            def answered(case: Any) -> None:
                sent = case.as_transport_kwargs(base_url="http://here")
                try:
                    made = requests.Request(**{name: value for name, value in sent.items() if name != "cookies"}).prepare()
                    request = client.build_request(made.method, made.url, headers=dict(made.headers), content=made.body)
                except (TypeError, ValueError, AttributeError, httpx.InvalidURL):  # which no client can send
                    return
                answer = runner.run(client.send(request))
                asked[case.operation.label] = asked.get(case.operation.label, 0) + 1
                check(case.operation.label, answer)

            answered()
        runner.run(client.aclose())
        runner.run(app.state.service.close())
    assert sum(asked.values()) >= ALL, asked


def check(label: str, answer: httpx.Response) -> None:
    """An answer is a result or a refusal in a sentence."""
    assert answer.status_code < 500 or (answer.status_code == 503 and "retry-after" in answer.headers), (label, answer.text)
    if answer.headers.get("content-type", "").startswith("application/json"):
        body = json.loads(answer.content)
        if answer.status_code >= 400:
            told = body["error"] if isinstance(body["error"], dict) else body  # as OpenAI's clients read it, or all others
            assert isinstance(told["message"], str), label
        elif label == "POST /v1/predict":
            Answered.model_validate(body)
    assert "Traceback" not in answer.text
