"""The application answers in sentences, whatever it is asked, and lets nobody take more than the operator allows."""

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest

from antiphon.errors import ConfigError
from antiphon.serving.app import application
from antiphon.serving.pool import Served
from antiphon.serving.service import Service
from antiphon.serving.settings import ServeConfig
from antiphon.serving.worker import Card
from tests.toy_worker import Toy
from tests.unit.serving.asking import run

SPOKEN = Card("speech_recognition", ("audio",), False, True, 16000, {})


async def refused(client: httpx.AsyncClient, body: Any, **headers: str) -> tuple[int, str]:
    answer = await client.post("/v1/predict", json=body, headers=headers)
    found = answer.json()
    assert found["message"] == found["detail"] == found["error"]
    return answer.status_code, found["message"]


def test_texts_and_records_are_answered_in_order() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        answer = await client.post(
            "/v1/predict", json={"inputs": ["grün", {"source": "b", "id": 7}], "model": "two", "search": {"beam_size": 2}}
        )
        assert answer.status_code == 200
        assert answer.json() == {"model": "two", "predictions": [{"prediction": "GRÜN", "score": -0.5}, {"prediction": "B", "score": -0.5}]}
        assert answer.content.isascii(), "no client can decode it wrongly"
        assert [one.search for one in Toy.made[1].asked] == [{"beam_size": 2}] * 2
        assert Toy.made[1].asked[1].records == [{"source": "b", "id": 7}]

    run(body)


def test_an_input_that_cannot_be_used_keeps_its_place() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/predict", json={"inputs": ["a", ""]})
        assert answer.json()["predictions"][1]["error"] == "the source is empty."
        assert await refused(client, {"inputs": [""]}) == (422, "the source is empty.")

    run(body)


def test_predictions_come_one_by_one_as_events() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/predict", json={"inputs": ["a", "b"], "stream": True})
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = [event.split("\n") for event in answer.text.strip().split("\n\n")]
        assert [event[0] for event in events] == ["event: prediction", "event: prediction", "event: done"]
        assert [json.loads(event[1].removeprefix("data: "))["index"] for event in events[:2]] == [0, 1]
        answer = await client.post("/v1/predict", json={"inputs": ["a"], "stream": True, "search": {"beam_size": 99}})
        assert "event: error" in answer.text

    run(body)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"inputs": []}, 422, "`inputs` List should have at least 1 item"),
        ({"inputs": "a"}, 422, "`inputs` must be a valid list"),
        ({"inputs": ["a"], "inputz": 1}, 422, "`inputz` is not known here"),
        ({"inputs": ["a"], "model": "tow"}, 404, "There is no model `tow`; there are: one, two. Did you mean `two`?"),
        ({"inputs": ["a"], "search": {"beam_size": 17}}, 422, "`search.beam_size` must be at most 16 here, but is 17."),
        ({"inputs": ["a"], "search": {"language_model": "/etc"}}, 422, "`search.language_model` may not be set by a request."),
        ({"inputs": ["a"], "search": {"limits": {"max_length": 10**9}}}, 422, "`search.limits` may not be set by a request."),
        ({"inputs": ["a"], "search": {"name": "my.code"}}, 422, "`search.name` must be a search of Antiphon's own."),
        ({"inputs": ["a"] * 4}, 413, "A request may have 3 records, but this one has 4."),
        ({"inputs": [{"source": {"base64": "!"}}]}, 422, "`source.base64` must be base64, but is not"),
    ],
)
def test_what_is_wrong_is_one_sentence(body: Any, status: int, message: str) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        found = await refused(client, body)
        assert found[0] == status
        assert found[1].startswith(message)

    run(ask, max_records=3)


def test_sound_is_sent_and_never_read_from_the_server() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        sound = {"audio": {"base64": base64.b64encode(b"RIFF").decode()}}
        answer = await client.post("/v1/predict", json={"inputs": [sound]})
        assert answer.json()["predictions"][0]["prediction"] == "4 bytes"
        for named in ("/etc/passwd", {"audio": "/etc/passwd"}):
            assert await refused(client, {"inputs": [named]}) == (422, '`audio` must hold the recording itself: {"base64": ...}.')

    run(body, SPOKEN)


def test_a_body_is_counted_whatever_its_head_says() -> None:
    async def chunks() -> Any:
        for _ in range(100):
            yield b" " * 100

    async def body(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/predict", content=chunks(), headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["message"]) == (413, "A request may have 1,000 bytes, but this one has more.")

    run(body, max_body=1000)


def test_a_key_is_asked_for_but_not_for_health() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        assert (await refused(client, {"inputs": ["a"]}))[0] == 403
        assert (await refused(client, {"inputs": ["a"]}, authorization="Bearer wrong"))[0] == 403
        for header in ({"authorization": "Bearer geheim"}, {"authorization": "DeepL-Auth-Key geheim"}, {"x-api-key": "geheim"}):
            assert (await client.post("/v1/predict", json={"inputs": ["a"]}, headers=header)).status_code == 200
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).json() == {"status": "ready"}

    run(body, api_key="geheim")


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/", "//v1//models"])
def test_paths_are_answered_as_clients_write_them(path: str) -> None:
    async def body(client: httpx.AsyncClient) -> None:
        answer = await client.get(f"http://here{path}")
        assert [model["id"] for model in answer.json()["data"]] == ["one", "two"]
        assert (await client.get("/nowhere")).json()["message"] == "There is nothing at /nowhere; /docs lists what there is."

    run(body)


def test_each_request_is_described_under_a_name_of_its_own() -> None:
    """Two that share one are one request to whatever is made from the description; FastAPI warns of it, which is an error here."""
    document = application([Served("one", ("runs/one",))], make=Toy).openapi()
    assert {"get", "post"} <= set(document["paths"]["/v2/languages"])


def test_what_happened_is_counted() -> None:
    async def body(client: httpx.AsyncClient) -> None:
        await client.post("/v1/predict", json={"inputs": ["a", "b"]})
        text = (await client.get("/metrics")).text
        assert 'antiphon_requests_total{route="/v1/predict",status="200"} 1.0' in text
        assert 'antiphon_batch_records_count{model="one"}' in text

    run(body)


def test_a_client_who_waits_hears_that_somebody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.serving.answering.BLANK_EVERY", 0.02)

    async def body(client: httpx.AsyncClient) -> None:
        asyncio.get_running_loop().call_later(0.1, Toy.gate.set)
        answer = await client.post("/v1/predict", json={"inputs": ["a"]})
        assert answer.status_code == 200
        assert answer.content.startswith(b"  ")
        assert answer.json()["predictions"][0]["prediction"] == "A"

    run(body, is_open=False)


def test_two_models_have_two_names() -> None:
    with pytest.raises(ConfigError, match=r"Two models are called `a`\. Give one of them another name"):
        Service([Served("a", ("x",)), Served("a", ("y",))], ServeConfig())


def test_an_application_may_be_mounted_in_another_one() -> None:
    from fastapi import FastAPI

    async def main() -> None:
        Toy.reset(is_open=True)
        inner = application([Served("one", ("runs/one",))], ServeConfig(wait=0), make=Toy)
        outer = FastAPI(lifespan=inner.router.lifespan_context)
        outer.mount("/translate", inner)
        async with (
            outer.router.lifespan_context(outer),
            httpx.AsyncClient(transport=httpx.ASGITransport(outer), base_url="http://here") as client,
        ):
            answer = await client.post("/translate/v1/predict", json={"inputs": ["a"]})
            assert answer.json()["predictions"][0]["prediction"] == "A"
        assert Toy.made[0].closed

    asyncio.run(main())
